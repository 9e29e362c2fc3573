//! Receiving a slice again after a loss.

use coterie_ring::moves::SetVersion;
use serde::{Deserialize, Serialize};

/// What an owner that has lost something and the other owners say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reception {
    /// The sender counts nowhere until it has been synchronised with every other owner: how is the receiver?
    Ask,
    /// The receiver is an owner at the purge epoch that the message bears.
    Source {
        /// The newest owner set that it is fenced for, on disk; none while it is about to be.
        fenced: Option<SetVersion>,
    },
}
