//! Requests that another node coordinates: handed on once, never twice (invariant 3).

use coterie_ring::NodeId;
use coterie_wire::Slice;

use crate::view::{Liveness, View};

/// A request that was handed to an owner.
#[derive(Debug)]
pub(super) struct Forwarding {
    /// Who has it.
    pub(super) to: NodeId,
    /// Who said that it did not begin to coordinate it.
    pub(super) refused: Vec<NodeId>,
}

/// The owner to hand a request to: of the oldest live set, as its owners have received all there is; those that
/// are suspected last.
pub(super) fn target(view: &View, slice: Slice, refused: &[NodeId]) -> Option<NodeId> {
    let owners = view.live_sets(slice).owners();
    let may = |node: &&NodeId| **node != view.me && !refused.contains(node) && view.is_live(**node);
    let rank = |node: &&NodeId| view.liveness(**node) == Liveness::Suspect;
    owners.iter().filter(may).min_by_key(rank).copied()
}
