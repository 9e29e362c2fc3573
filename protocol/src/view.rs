//! What control tells the lanes: the layout in force and who is alive.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use coterie_ring::decision::{Decision, LostSet};
use coterie_ring::moves::{LiveSets, SetVersion};
use coterie_ring::{BucketPolicy, NodeId, NodeState, Partition, Place};
use coterie_swim::Attributes;
use coterie_wire::peer::control::GivenUp;
use coterie_wire::{Incarnation, Key, Run, Slice};

/// Whether a node can be expected to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// Yes.
    Up,
    /// Perhaps: it is asked last.
    Suspect,
    /// No: its fallbacks take over.
    Down,
}

/// An immutable picture of the cluster, replaced as a whole.
#[derive(Clone, Debug)]
pub struct View {
    /// Rises with each view that this node makes.
    pub version: u64,
    /// This node.
    pub me: NodeId,
    /// Its storage's life. Where it differs from that of the view before, all earlier actors are spent.
    pub incarnation: Incarnation,
    /// This process: what it acknowledges names it (invariant 2).
    pub run: Run,
    /// The layout in force, with what moves.
    pub decision: Arc<Decision>,
    /// Others that are known, with how they are.
    pub members: BTreeMap<NodeId, Liveness>,
    /// What they say of themselves: addresses, lanes, versions spoken.
    pub attributes: Arc<BTreeMap<NodeId, Attributes>>,
    /// The wire version that all members speak.
    pub protocol: u16,
    /// Whether what this node holds may be less than it acknowledged (invariant 2): until synchronised it
    /// coordinates nothing and counts nowhere. It stays so, also over restarts, until every lane has said
    /// [`ControlEvent::Received`](crate::ControlEvent::Received) for this incarnation.
    pub amnesiac: bool,
    /// Whether it may have lost what it had synced, too: a purge epoch that it had confirmed, for one (invariant 19).
    pub went_back: bool,
    /// The last decision that was learned without those between it and the one known before. A replica whose
    /// newest set is older than this, and no live one of the decision in force, is received afresh.
    pub skipped: Option<SetVersion>,
    /// Owner sets that a forced epoch overruled, as far as this node knew of them: older sets to move from,
    /// too, until [`ControlEvent::OverruledDone`](crate::ControlEvent::OverruledDone).
    pub overruled: Arc<Vec<LostSet>>,
    /// What an operator gave up, for [`coterie_ring::moves::Event::WriteQuorum`].
    pub given_up: Option<GivenUp>,
}

impl View {
    /// A view of a node that knows a decision and nobody else yet.
    #[must_use]
    pub fn new(me: NodeId, incarnation: Incarnation, decision: Arc<Decision>) -> View {
        View {
            version: 1,
            me,
            incarnation,
            run: Run::default(),
            decision,
            members: BTreeMap::new(),
            attributes: Arc::default(),
            protocol: 1,
            amnesiac: false,
            went_back: false,
            skipped: None,
            overruled: Arc::default(),
            given_up: None,
        }
    }

    /// How a node is; this node is up, strangers are down.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        if node == self.me {
            return Liveness::Up;
        }
        self.members.get(&node).copied().unwrap_or(Liveness::Down)
    }

    /// Whether a node is not down.
    #[must_use]
    pub fn is_live(&self, node: NodeId) -> bool {
        self.liveness(node) != Liveness::Down
    }

    /// Whether this node was asked to leave and owns nothing any more: it is about to be removed, or is, and keeps nothing
    /// for others (invariant 18).
    #[must_use]
    pub fn has_handed_over(&self) -> bool {
        let node = self.decision.layout().snapshot().node(self.me);
        node.is_some_and(|node| match node.state {
            NodeState::Draining => !self.decision.is_owner(self.me),
            NodeState::Removed => true,
            NodeState::Joining | NodeState::Active => false,
        })
    }

    /// The policy in force of a bucket.
    #[must_use]
    pub fn policy(&self, bucket: &[u8]) -> Option<&BucketPolicy> {
        let name = std::str::from_utf8(bucket).ok()?;
        self.decision.layout().snapshot().bucket(name)
    }

    /// How long a key lives unless a write says otherwise, in milliseconds; `None` for ever.
    #[must_use]
    pub fn lifetime_millis(&self, key: &Key) -> Option<u64> {
        self.policy(key.bucket())?.expiry_millis.map(NonZeroU64::get)
    }

    /// The partition of a key.
    #[must_use]
    pub fn partition(&self, key: &Key) -> Partition {
        key.partition(self.decision.layout().partitioner())
    }

    /// The slice of a key, if its bucket is known.
    #[must_use]
    pub fn slice(&self, key: &Key) -> Option<Slice> {
        let replicas = self.policy(key.bucket())?.replicas;
        Some(Slice { partition: self.partition(key), replicas })
    }

    /// The live owner sets of a slice.
    ///
    /// # Panics
    /// If the partition is past the layout's last.
    #[must_use]
    pub fn live_sets(&self, slice: Slice) -> LiveSets {
        self.decision.live_sets(slice.partition, slice.replicas)
    }

    /// Where a node stands, if the layout has it.
    #[must_use]
    pub fn place(&self, node: NodeId) -> Option<&Place> {
        let layout = self.decision.layout();
        let index = layout.member_index(node)?;
        Some(&layout.members()[usize::from(index)].place)
    }

    /// Who may stand in for owners of a slice, best first: the rest of the partition's row, then the
    /// owners of the rows that follow.
    pub fn fallbacks(&self, slice: Slice) -> impl Iterator<Item = NodeId> + '_ {
        let layout = self.decision.layout();
        let width = u8::try_from(layout.replicas()).expect("rows have at most 255 owners");
        let row = layout.owners(slice.partition, width).skip(usize::from(slice.replicas));
        row.chain(layout.fallbacks(slice.partition))
    }
}
