//! A node of a small cluster: its lanes, its storage, and what its control says.

use std::collections::VecDeque;
use std::sync::Arc;

use coterie_protocol::rows::MemoryStore;
use coterie_protocol::{Action, Event, Lane, Liveness, Settings, Start, View};
use coterie_ring::NodeId;
use coterie_ring::decision::Decision;
use coterie_swim::Now;
use coterie_wire::Incarnation;

/// One process.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) store: MemoryStore,
    pub(crate) view: View,
    /// Whether the process runs.
    pub(crate) runs: bool,
    /// Whether what is committed is synced at once.
    pub(crate) syncs: bool,
    /// What waits for a sync, with the lane it is of.
    pub(super) held: Vec<(usize, Action)>,
    /// Events that its lanes hand themselves, where the test lets them through one by one.
    pub(super) handed_back: Option<VecDeque<(usize, Event)>>,
    pub(super) lane_count: u16,
    pub(super) seed: u64,
}

impl Node {
    pub(super) fn new(
        me: NodeId,
        all: &[NodeId],
        lanes: u16,
        decision: &Arc<Decision>,
        now: Now,
    ) -> Node {
        let seed = u64::try_from(me.0).unwrap();
        let mut view = View::new(me, Incarnation(seed), Arc::clone(decision));
        view.members.extend(all.iter().filter(|id| **id != me).map(|id| (*id, Liveness::Up)));
        let mut node = Node {
            id: me,
            lanes: Vec::new(),
            store: MemoryStore::new(),
            view,
            runs: true,
            syncs: true,
            held: Vec::new(),
            handed_back: None,
            lane_count: lanes,
            seed,
        };
        node.open(now);
        node
    }

    pub(super) fn open(&mut self, now: Now) {
        self.seed += 1_000;
        let (lanes, view) = (self.lane_count, Arc::new(self.view.clone()));
        let start = |lane| Start {
            lane,
            lanes,
            settings: Settings::default(),
            view: Arc::clone(&view),
            seed: self.seed + u64::from(lane),
            actors_spent: false,
            now,
        };
        self.lanes = (0..lanes).map(|lane| Lane::open(start(lane), &self.store).unwrap()).collect();
    }

    pub(super) fn restart(&mut self, now: Now) {
        self.store = std::mem::take(&mut self.store).crash(0);
        self.held.clear();
        self.runs = true;
        self.open(now);
    }
}
