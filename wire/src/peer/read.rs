//! Reading at other owners.

use coterie_crdt::{Footprint, Partial};
use coterie_ring::moves::{Quorum, SetVersion};
use serde::{Deserialize, Serialize};

use crate::grows::grows;

use crate::{Key, SessionDots};

/// What the coordinator has of what it asks for, so that an equal replica answers with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digests {
    /// Of the whole key.
    pub key: u128,
    /// Of the footprint's cells, where the footprint has single cells only.
    pub footprint: Option<u128>,
}

/// Show part of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Of which key.
    pub key: Key,
    /// Which owner set is read.
    pub set: SetVersion,
    /// With what quorum: an owner that has not received enough for it refuses.
    pub quorum: Quorum,
    /// What is to be shown.
    pub footprint: Footprint,
    /// What the coordinator has; an owner that has the same says so. `None` asks for the state in any case.
    pub digests: Option<Digests>,
    /// What the session must see.
    pub session: SessionDots,
    /// Whether hints kept here for owners are joined in: at sloppy levels, of a fallback.
    pub hints: bool,
}

/// What an owner shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadAnswer {
    /// The same as the coordinator has.
    Same,
    /// Its state.
    State(Box<Partial>),
    /// Its state differs and is more than one message should carry: synchronise the key.
    Large {
        /// The digest of the whole key.
        digest: u128,
    },
    /// Sums of the key wait for a sweep: ask again.
    Counting,
    /// It lacks dots that the session must see.
    Lacks,
    /// It has retired from the set, is no owner in it, has not received enough, or lost some (invariant 2).
    NotReady {
        /// The newest set that it knows.
        known: SetVersion,
    },
    /// Its rows of the key are damaged.
    Damaged,
}

grows! {
    Digests { key, footprint }
    Read { key, set, quorum, footprint, digests, session, hints }
}
