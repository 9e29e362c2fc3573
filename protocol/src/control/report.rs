//! What people should know: somebody may have to act.

use std::fmt;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_ring::decision::{ChainError, ProposalError};
use coterie_ring::moves::SetVersion;
use coterie_swim::Address;
use coterie_wire::Slice;

use super::peers::Unfit;

/// Something that happened, for logs and alerts.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// A layout is in force.
    Decided {
        /// Its version.
        version: SetVersion,
        /// How many slices move.
        moving: usize,
    },
    /// What is asked for cannot be decided, or somebody proposed what cannot be.
    LayoutRefused(ProposalError),
    /// A node has another chain of decisions: another cluster's, or a disk was lost.
    ForkedChain(ChainError),
    /// A forced epoch overruled decisions that this node knew.
    Overruled {
        /// Owner sets that are moved from, too.
        sets: usize,
    },
    /// A move goes on without the pushes of removed owners: what fewer owners acknowledged than the slice's write
    /// quorum may be lost.
    Excused {
        /// Of which slice.
        slice: Slice,
        /// The removed owners.
        pushers: Vec<NodeId>,
    },
    /// A peer is not talked to.
    Unfit {
        /// Who.
        peer: NodeId,
        /// Why.
        reason: Unfit,
    },
    /// Another process claims this node's identity.
    DuplicateIdentity {
        /// Whether this one has fallen silent in its favour.
        halted: bool,
    },
    /// Datagrams arrive that this cluster's key does not open.
    ForeignCluster {
        /// From where.
        from: Address,
    },
    /// This node hears too few others to judge (true), or hears enough again (false).
    Isolated(bool),
    /// This node may hold less than it acknowledged (invariant 2).
    Amnesia(AmnesiaCause),
    /// What was lost has been received again.
    Recovered,
    /// What this node voted for last was lost: it votes no more until the next decision.
    VoteLost,
    /// A control row was damaged that the node can do without.
    RowDropped {
        /// Its address.
        row: Bytes,
    },
    /// The cluster has removed this node.
    Removed,
}

/// How a loss was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmnesiaCause {
    /// The machine stopped uncleanly, or the disk failed, while the node synced periodically.
    UncleanStop,
    /// The storage came from a backup.
    Restored,
    /// The layout has this node as a member, and its storage is empty.
    Wiped,
    /// A peer remembers an acknowledgement of a later commit than the storage has.
    Told {
        /// The peer.
        by: NodeId,
        /// The lane that acknowledged.
        lane: u16,
        /// What it acknowledged.
        remembered: u64,
        /// What the storage has.
        recovered: u64,
    },
    /// A peer has heard of a later life of this node than the storage has.
    Superseded {
        /// The peer.
        by: NodeId,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided { version, moving } => {
                write!(f, "layout {} is in force; {moving} slices move", version.number)
            }
            Self::LayoutRefused(error) => write!(f, "what is asked for is not decided: {error}"),
            Self::ForkedChain(error) => write!(f, "another chain of layouts is about: {error}"),
            Self::Overruled { sets } => {
                write!(
                    f,
                    "a forced epoch overruled this node's layouts; {sets} owner sets are merged"
                )
            }
            Self::Excused { slice, pushers } => write!(
                f,
                "partition {} went on without what {} removed owners held; some writes may be lost",
                slice.partition,
                pushers.len()
            ),
            Self::Unfit { peer, reason } => write!(f, "node {peer} is not talked to: {reason}"),
            Self::DuplicateIdentity { halted: true } => {
                f.write_str("another process has this node's identity; this one falls silent")
            }
            Self::DuplicateIdentity { halted: false } => {
                f.write_str("another process claims this node's identity")
            }
            Self::ForeignCluster { from } => {
                write!(f, "{from:?} sends packets that this cluster's key does not open")
            }
            Self::Isolated(true) => f.write_str("too few other nodes are heard"),
            Self::Isolated(false) => f.write_str("enough other nodes are heard again"),
            Self::Amnesia(cause) => {
                write!(
                    f,
                    "this node may have lost what it acknowledged ({cause}); it receives it again"
                )
            }
            Self::Recovered => f.write_str("what was lost has been received again"),
            Self::VoteLost => f.write_str("this node's last vote is lost; it skips one decision"),
            Self::RowDropped { row } => write!(f, "control row {row:?} was damaged and is dropped"),
            Self::Removed => f.write_str("the cluster has removed this node"),
        }
    }
}

impl fmt::Display for AmnesiaCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UncleanStop => f.write_str("an unclean stop while syncing periodically"),
            Self::Restored => f.write_str("a restored storage"),
            Self::Wiped => f.write_str("an empty storage"),
            Self::Told { by, lane, remembered, recovered } => write!(
                f,
                "node {by} remembers commit {remembered} of lane {lane}, which has {recovered}"
            ),
            Self::Superseded { by } => write!(f, "node {by} remembers a later life"),
        }
    }
}
