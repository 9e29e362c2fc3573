//! Hints: what is kept for owners that are down, and how it is brought to them.
//!
//! A hint is asked for by a [`Write`](super::write::Write) that names its owner, and delivered by one that
//! does not. What is here paces the delivery and says what became of hints that were given up.

use coterie_ring::NodeId;
use serde::{Deserialize, Serialize};

use crate::grows::grows;

/// For whom a hint is kept, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HintFor {
    /// The owner that is down.
    pub owner: NodeId,
    /// What has been promised on it.
    pub worth: Worth,
}

/// What has been promised on a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Worth {
    /// Keeping it counts for an acknowledgement: it is never given up (invariant 18).
    Counted,
    /// As many owners as the level asks hold what it carries: it may be given up for a mark by which the owner is
    /// synchronised.
    Held,
    /// Neither: fewer hold it, and nobody counts it.
    Uncounted,
}

/// What nodes say to each other of hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HintMessage {
    /// There are hints for the receiver; it says when it has room for so much.
    Offer {
        /// How much, in bytes of rows.
        bytes: u64,
    },
    /// So much may be sent now.
    Grant {
        /// How much, in bytes of rows.
        bytes: u64,
    },
    /// Hints for this owner of the slice were given up: synchronise it.
    Dirty {
        /// The owner that lacks something.
        owner: NodeId,
    },
    /// The mark is durable.
    Marked {
        /// The owner that lacks something.
        owner: NodeId,
    },
}

grows! {
    HintFor { owner, worth }
}
