//! What nodes say to each other about decisions.

use super::moving::Decision;
use crate::layout::LayoutHash;
use crate::moves::SetVersion;
use crate::node::NodeId;
use crate::register::{Reply, Request};

/// The most decisions sent at once; who lacks more asks again.
pub const DECISIONS_PER_MESSAGE_MAX: usize = 8;

/// The last decision of a chain; every packet of the failure detector carries its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tip {
    /// Its place.
    pub version: SetVersion,
    /// Its layout's hash.
    pub hash: LayoutHash,
}

/// A message about decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// To a voter: a request to the register of what follows `parent`. Values are encoded decisions.
    Request {
        /// What the proposer takes for the last decision.
        parent: Tip,
        /// The request.
        request: Request<NodeId, Vec<u8>>,
    },
    /// A voter's answer.
    Reply {
        /// What it is to follow.
        parent: Tip,
        /// The answer.
        reply: Reply<NodeId, Vec<u8>>,
    },
    /// Asks for what follows `known`.
    Fetch {
        /// The last decision the asker has.
        known: Tip,
    },
    /// Decisions in order, each the parent of the next.
    Decisions(Vec<Decision>),
}
