//! One connection to a peer, and why connections are closed.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use coterie_ring::NodeId;
use quinn::VarInt;

use super::outgoing::Outgoing;

/// Why this node closes a connection, as it says to the other end (docs/formats.md, "node").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// The process ends.
    Stopping,
    /// The other end has made another, or is another process by now.
    Replaced,
    /// What came was no frame.
    Garbage,
    /// Control does not talk to this peer.
    Unfit,
    /// Another node is there than was looked for, or this one itself.
    OtherNode,
}

impl Closing {
    pub(super) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Closing::Stopping => 0,
            Closing::Replaced => 1,
            Closing::Garbage => 2,
            Closing::Unfit => 3,
            Closing::OtherNode => 4,
        })
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: NodeId,
    pub(super) connection: quinn::Connection,
    /// Whether this lane made it.
    pub(super) made_here: bool,
    /// Counts the connections of this lane: a greater one is newer.
    pub(super) number: u64,
    /// When the other end had not yet said hello for certain.
    pub(super) began: Instant,
    /// Process and lane of the other end, once it has said so.
    pub(super) remote: Cell<Option<(u64, u16)>>,
    /// Classes of which there is a stream already.
    pub(super) classes: Cell<[bool; 2]>,
    /// Why this end closed it, if it did.
    pub(super) closing: Cell<Option<Closing>>,
    pub(super) outgoing: RefCell<Outgoing>,
}

impl Link {
    /// Closes it, saying why. Its task then sees that it is lost.
    pub(super) fn close(&self, closing: Closing, reason: &str) {
        if self.closing.get().is_none() {
            self.closing.set(Some(closing));
            self.connection.close(closing.code(), reason.as_bytes());
        }
    }
}
