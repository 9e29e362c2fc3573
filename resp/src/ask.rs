//! What a connection asks for, and what it is answered.

use std::time::Duration;

use coterie_protocol::repair::barrier;
use coterie_wire::{List, Listed, Outcome, Request};

use crate::facts::{Query, Told};

/// Names a question of a connection: its answer bears the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// A question.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A request, for the lane of its key's partition.
    Request(Box<Request>),
    /// A page of keys, for the lane of its partition.
    List(Box<List>),
    /// Wait until owners are equal, on every lane; at most so long.
    Barrier(Duration),
    /// Something that the node knows.
    Query(Query),
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// What became of a request.
    Outcome(Outcome),
    /// A page of keys.
    Listed(Listed),
    /// What became of a barrier: the worst that any lane says.
    Barrier(barrier::Outcome),
    /// What the node tells.
    Told(Told),
}
