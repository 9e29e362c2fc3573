//! How far each node is from its quota and from where the search began.

use super::quotas::Rounding;

pub(super) const UNREACHED: u32 = u32::MAX;

/// What is known of each node, then of the vacancy, then of the pool.
pub(super) struct Nodes {
    /// Slots that each is to have, before any trade.
    pub(super) quotas: Vec<usize>,
    /// Slots missing to the quota; negative above it.
    pub(super) lacking: Vec<i64>,
    pub(super) rounding: Vec<Rounding>,
    /// Cost of the cheapest way to each node from those above their quota, or a lower bound.
    pub(super) potentials: Vec<u32>,
    /// The same for the sink.
    pub(super) potential_sink: u32,
    /// Swaps on the shortest way of reduced cost 0 to each node.
    pub(super) levels: Vec<u32>,
    /// The level at which a node below its quota was first met.
    pub(super) level_sink: u32,
}

impl Nodes {
    pub(super) fn any_above_quota(&self) -> bool {
        self.lacking.iter().any(|&lacking| lacking < 0)
    }

    pub(super) fn is_sink(&self, node: u16) -> bool {
        let node = usize::from(node);
        self.lacking[node] > 0 && self.potentials[node] == self.potential_sink
    }

    pub(super) fn pool(&self) -> u16 {
        index(self.quotas.len() - 1)
    }

    /// Whether `node` may take over a rounding up at reduced cost 0.
    pub(super) fn may_round_up(&self, node: u16) -> bool {
        self.rounding[usize::from(node)] == Rounding::Down && self.is_level_with_pool(node)
    }

    /// Whether `node` may give up its rounding up at reduced cost 0.
    pub(super) fn may_round_down(&self, node: u16) -> bool {
        self.rounding[usize::from(node)] == Rounding::Up && self.is_level_with_pool(node)
    }

    pub(super) fn is_level_with_pool(&self, node: u16) -> bool {
        self.potentials[usize::from(node)] == self.potentials[usize::from(self.pool())]
    }

    /// Whether a path may go on to `node` at `level`; the last level has sinks only.
    pub(super) fn is_target(&self, node: u16, level: u32) -> bool {
        self.levels[usize::from(node)] == level && (level < self.level_sink || self.is_sink(node))
    }

    /// Whether `a` lacks a greater part of its quota than `b`.
    pub(super) fn lacks_more(&self, a: u16, b: u16) -> bool {
        let (a, b) = (usize::from(a), usize::from(b));
        let quota = |node: usize| i64::try_from(self.quotas[node]).expect("at most 65,536");
        self.lacking[a] * quota(b) > self.lacking[b] * quota(a)
    }

    pub(super) fn reach(&mut self, node: u16, level: u32, queue: &mut Vec<u16>) {
        self.levels[usize::from(node)] = level;
        if self.is_sink(node) {
            self.level_sink = level;
        }
        queue.push(node);
    }
}

/// A node's number in the narrow form that tables have.
pub(super) fn index(node: usize) -> u16 {
    u16::try_from(node).expect("fewer than 65,536 nodes")
}
