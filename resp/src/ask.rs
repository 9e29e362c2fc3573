//! What a connection asks for, and what it is answered.

use std::time::Duration;

use coterie_protocol::repair::barrier;
use coterie_wire::{List, Listed, Outcome, Request};

use crate::facts::{Query, Told};

/// Bits of a question's number that say which part of its command it is.
const ITEM_BITS: u32 = 24;

/// Parts that a command may have under way at once: their numbers are smaller.
pub(crate) const ITEMS: u32 = 1 << ITEM_BITS;

/// Names a question of a connection: its answer bears the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

impl AskId {
    /// Of a part of a command.
    ///
    /// # Panics
    /// If there are more parts than it tells apart.
    pub(crate) fn new(command: u64, item: usize) -> AskId {
        let item = u64::try_from(item).expect("parts of a command are counted in 24 bits");
        assert!(item < u64::from(ITEMS), "parts of a command are counted in 24 bits");
        AskId(command << ITEM_BITS | item)
    }

    /// The command's number.
    pub(crate) fn command(self) -> u64 {
        self.0 >> ITEM_BITS
    }

    /// Which part of it.
    pub(crate) fn item(self) -> u32 {
        u32::try_from(self.0 & u64::from(ITEMS - 1)).expect("24 bits")
    }
}

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
