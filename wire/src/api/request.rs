//! Requests: operations on one key, and what they are to be worth.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::grows::grows;

use coterie_crdt::Context;
use coterie_crdt::operation::Operation;
use coterie_ring::Level;

use crate::Key;

/// Names a request for its whole life: retries, forwards and answers bear the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId(pub u128);

/// How many owners must take part; what is `None` the bucket's policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Levels {
    /// What a write waits for.
    pub write: Option<Level>,
    /// What a read asks, and what a write that observes asks first.
    pub read: Option<Level>,
}

/// Dots that a session has to see on a key: its own writes, and what it has read if it asked for
/// monotonic reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDots {
    /// The dots.
    pub dots: Context,
    /// The lowest purge epoch that they were learned under.
    pub epoch: u64,
}

/// Operations on one key, evaluated as one: they make one delta.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its name. A client that retries uses it again, and is answered as before where the coordinator
    /// remembers.
    pub id: RequestId,
    /// On which key.
    pub key: Key,
    /// What to do, in order; at least one.
    pub operations: Vec<Operation>,
    /// How many owners must take part.
    pub levels: Levels,
    /// How long the client waits, from when this was sent.
    pub time_left: Duration,
    /// What the client's session must see.
    pub session: SessionDots,
    /// Whether the response is to say who answered what.
    pub explain: bool,
}

grows! {
    Levels { write, read }
    SessionDots { dots, epoch }
    Request { id, key, operations, levels, time_left, session, explain }
}
