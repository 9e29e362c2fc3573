//! Moving ownership: how far owners are, and who has brought whom up to date.

use coterie_crdt::Actor;
use coterie_ring::moves::{SetVersion, Status};
use serde::{Deserialize, Serialize};

/// What owners of a slice tell each other while it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// How far the sender is, on disk. Repeated until the move is done.
    Status(Status),
    /// The sender is fenced, on disk, and about to bring the receiver up to date: may it? Said again until the receiver is
    /// ready, and while the synchronisation goes on, which keeps the turn that was given.
    Offer,
    /// It may: of those that offer, one at a time. What it brings counts only while the receiver's copy has this life.
    Ready {
        /// The actor that the receiver mints under: another one is drawn whenever what was received may be
        /// lost, or is dropped.
        life: Actor,
    },
    /// A synchronisation that began after the sender was fenced for a set, on disk, and after the receiver said
    /// that it was ready, has come to its end.
    Pushed {
        /// The set.
        fenced: SetVersion,
        /// What the receiver said of its copy.
        life: Actor,
    },
}
