//! What an almost full disk still takes.
//!
//! Refusing clients long before the disk is full leaves room for what they were promised to be repaired, moved and
//! swept; the last of it is for opening the store again. Reads and whatever frees space always go on.

use crate::rows::Rows;

/// Below so many free parts of 1,000, clients may not write.
pub const CLIENT_WRITES_FREE_PERMILLE: u16 = 100;

/// Below so many, hints and deltas of other nodes are refused too: the sender marks the slice dirty.
pub const REPLICATION_FREE_PERMILLE: u16 = 20;

/// So many are kept for opening the store again: below, nothing is written but what frees space.
pub const RESERVE_PERMILLE: u16 = 10;

/// What is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// What a client asks for.
    Client,
    /// Hints, and deltas and states of other nodes.
    Replication,
    /// What the node needs to go on: epochs, votes, moves, fences.
    Control,
    /// What frees space: a client's deletes, sweeps, retirement, purges, deleting hints that were delivered.
    Freeing,
}

/// Whether the disk has room for it.
#[must_use]
pub fn takes(rows: &impl Rows, purpose: Purpose) -> bool {
    let least = match purpose {
        Purpose::Client => CLIENT_WRITES_FREE_PERMILLE,
        Purpose::Replication => REPLICATION_FREE_PERMILLE,
        Purpose::Control => RESERVE_PERMILLE,
        Purpose::Freeing => 0,
    };
    rows.free_permille() >= least
}
