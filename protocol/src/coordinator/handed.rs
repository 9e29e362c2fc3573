//! Owners that something was handed to, to be coordinated there.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::Slice;
use smallvec::SmallVec;

use crate::view::{Liveness, View};

/// After so long another owner gets what changes nothing, too.
const LATE: Duration = Duration::from_millis(500);

/// What became of handing something on.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Those that have it: they were told, or it came from them.
    told: SmallVec<[NodeId; 3]>,
    /// Of these, those that may yet answer.
    open: SmallVec<[NodeId; 3]>,
    /// When another one may be told; never where only one may coordinate it.
    next: Option<Duration>,
    /// Whether one of them does not coordinate it.
    refused: bool,
}

impl Handed {
    /// What these nodes have handed to this one already: none of them is told.
    pub(crate) fn by(nodes: impl Iterator<Item = NodeId>) -> Self {
        Handed { told: nodes.collect(), ..Handed::default() }
    }

    /// The owner to tell next, which was not told yet: of the oldest live set, as its owners have received all there is;
    /// those that are suspected last.
    pub(crate) fn on(
        &mut self,
        view: &View,
        slice: Slice,
        again_from: Option<Duration>,
    ) -> Option<NodeId> {
        let owners = view.live_sets(slice).owners();
        let may =
            |node: &&NodeId| **node != view.me && !self.told.contains(node) && view.is_live(**node);
        let rank = |node: &&NodeId| view.liveness(**node) == Liveness::Suspect;
        let to = owners.iter().filter(may).min_by_key(rank).copied();
        self.told.extend(to);
        self.open.extend(to);
        self.next = to.and(again_from).map(|now| now + LATE);
        to
    }

    /// One of them will not answer, or has.
    pub(crate) fn over(&mut self, node: NodeId) {
        self.open.retain(|open| *open != node);
    }

    /// One of them is there and does not coordinate it.
    pub(crate) fn refused(&mut self) {
        self.refused = true;
    }

    /// Whether one of them has said so.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }

    /// Whether one of them may yet answer.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether this one may.
    pub(crate) fn is_open_for(&self, node: NodeId) -> bool {
        self.open.contains(&node)
    }

    /// How many were told.
    pub(crate) fn told(&self) -> usize {
        self.told.len()
    }

    /// When another one is to be told.
    pub(crate) fn next_deadline(&self) -> Duration {
        self.next.unwrap_or(Duration::MAX)
    }
}
