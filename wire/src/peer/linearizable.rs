//! Laps of a linearizable read.
//!
//! Source: reliability.md §3A, after Skrzypczak, Schintke and Schütt 2019 (arXiv 1905.08733).

use std::time::Duration;

use coterie_crdt::Partial;
use coterie_ring::moves::SetVersion;
use serde::{Deserialize, Serialize};

use crate::grows::grows;

use crate::Key;

/// Join what is known so far, and say what you have.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Of which key.
    pub key: Key,
    /// The whole key as the coordinator has joined it, where the receiver was found to lack some of it and
    /// it fits one message.
    pub join: Option<Partial>,
    /// The digest that the receiver is compared with.
    pub digest: u128,
    /// How long the receiver is to hold other writes to the key back, from the second lap on, so that the next
    /// one finds all as they were.
    pub hold: Duration,
}

/// What one owner has.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryAnswer {
    /// The digest of the key it was asked about: an answer to an earlier lap is told apart.
    pub asked: u128,
    /// How its key compares.
    pub compared: Compared,
}

/// How an owner's key compares with the digest asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Compared {
    /// Equal, on disk.
    Equal {
        /// Whether it holds the pushes of a majority of each older owner set.
        ready: bool,
    },
    /// Different: its whole key.
    Different(Box<Partial>),
    /// Different, and more than one message should carry: synchronise the key, and ask again.
    Large {
        /// Its digest.
        digest: u128,
    },
    /// Sums of the key wait for a sweep: ask again.
    Counting,
    /// It is an owner no more.
    Retired,
    /// It does not take part: it has lost something, or not received it, or is no owner.
    NotReady,
    /// One of both knows too old a layout.
    OtherLayout {
        /// The newest set that it knows.
        known: SetVersion,
    },
    /// It is at another purge epoch.
    OtherEpoch {
        /// Its epoch.
        epoch: u64,
    },
}

grows! {
    Query { key, join, digest, hold }
    QueryAnswer { asked, compared }
}
