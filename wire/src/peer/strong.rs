//! Registers of strong keys.

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_ring::register::{Accepted, Reply, Request};
use serde::{Deserialize, Serialize};

use crate::grows::grows;

use crate::Key;

/// Of one key: its encoded value (docs/formats.md), which also remembers recent request ids.
pub type RegisterValue = Vec<u8>;

/// A vote for such a value.
pub type Vote = Accepted<NodeId, RegisterValue>;

/// Take in a vote that another owner cast: an accept that comes late. Answered as a write is.
#[derive(Clone, Debug, PartialEq)]
pub struct LateVote {
    /// Of which key.
    pub key: Key,
    /// The vote.
    pub vote: Vote,
}

/// A request to one owner's acceptor.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterRequest {
    /// Of which key.
    pub key: Key,
    /// What is asked.
    pub request: Request<NodeId, RegisterValue>,
}

/// What the acceptor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RegisterReply {
    /// Its answer, on disk.
    Reply(Reply<NodeId, RegisterValue>),
    /// It does not vote: it has lost votes, has not received the slice, or is no owner.
    NotVoting,
    /// One of both knows too old a layout.
    OtherLayout {
        /// The newest set that the receiver knows.
        known: SetVersion,
    },
}

grows! {
    LateVote { key, vote }
    RegisterRequest { key, request }
}
