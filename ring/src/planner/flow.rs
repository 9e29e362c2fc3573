//! Minimum-cost flow that brings every node to its quota with the fewest new placements.
//!
//! A node whose share was rounded up may leave that to one whose share was rounded down, where that
//! saves copies: quotas say how many are rounded up, and which where it does not matter otherwise.
//!
//! The network is source → partition → (partition, region) → (partition, zone) → node → sink, with
//! bounds on the middle arcs and cost 1 for a node that did not own the partition before. The flow
//! starts as the old table, whose residual costs are all non-negative, and is augmented along
//! shortest paths (Ahuja, Magnanti and Orlin 1993, §9.7), so the result is optimal for the quotas.
//!
//! The arcs are never stored. A path is a chain of swaps: in some partition, node u gives its slot
//! to node v, in another v gives one to w, until a node below its quota is reached. So only nodes
//! are searched; which swaps a partition allows follows from its row. Costs being 0 and 1, a
//! potential per node and breadth-first search over the swaps of reduced cost 0 replace a general
//! shortest-path search, with blocking flows as in Dinic's algorithm. Rounding up is traded over a
//! further vertex, the pool.

use super::groups::{Groups, Slots, mix};
use super::pick::pick;
use super::quotas::{Quota, Rounding};
use super::rows::Rows;
use super::standing::{Nodes, UNREACHED, index};
use super::swap::Swap;
use super::topology::Topology;

/// Gives the slots of `rows` to other nodes until every node owns its quota.
///
/// `seed` varies which of several best tables comes out.
pub(super) fn balance(topology: &Topology, rows: &mut Rows, quotas: &[Quota], seed: u64) {
    let mut flow = Flow::new(topology, rows, quotas, seed);
    while flow.nodes.any_above_quota() {
        if flow.find_levels() {
            flow.block();
        } else {
            flow.raise_potentials();
        }
    }
}

/// A step on the path being searched, to be undone if it leads nowhere.
enum Step {
    /// `node` gave a slot, which was in `zone`.
    Swap { node: u16, slot: usize, zone: u16 },
    /// `node` took over a rounding up.
    RoundUp { node: u16 },
    /// `node` gave its rounding up to the pool's last taker.
    RoundDown { node: u16 },
}

struct Flow<'a> {
    topology: &'a Topology,
    rows: &'a mut Rows,
    nodes: Nodes,
    /// Slots of each node when the levels were found.
    held: Slots,
    /// Next position in `held` for each node.
    cursors: Vec<usize>,
    /// Reached nodes, as targets.
    targets: Groups,
    seed: u64,
}

impl<'a> Flow<'a> {
    fn new(topology: &'a Topology, rows: &'a mut Rows, quotas: &[Quota], seed: u64) -> Self {
        let mut counts: Vec<usize> = quotas.iter().map(|quota| quota.count).collect();
        let mut rounding: Vec<Rounding> = quotas.iter().map(|quota| quota.rounding).collect();
        // The vacancy is to have nothing, and the pool has no slots.
        counts.extend([0, 0]);
        rounding.extend([Rounding::Exact; 2]);
        let lacking = counts.iter().map(|&count| i64::try_from(count).expect("at most 65,536"));
        let mut lacking: Vec<i64> = lacking.collect();
        for &node in &rows.slots {
            lacking[usize::from(node)] -= 1;
        }
        let count = counts.len();
        let nodes = Nodes {
            quotas: counts,
            lacking,
            rounding,
            potentials: vec![0; count],
            potential_sink: 0,
            levels: vec![UNREACHED; count],
            level_sink: UNREACHED,
        };
        Self {
            topology,
            rows,
            nodes,
            held: Slots::default(),
            cursors: vec![0; count],
            targets: Groups::default(),
            seed,
        }
    }

    /// Finds the levels of all nodes up to the first that are below their quota; false if no such
    /// node can be reached at the present cost.
    fn find_levels(&mut self) -> bool {
        self.held = Slots::collect(&self.rows.slots, self.topology, self.seed);
        self.nodes.levels.fill(UNREACHED);
        self.nodes.level_sink = UNREACHED;
        let mut unreached = Groups::default();
        for (node, &zone) in self.topology.zone_of.iter().enumerate() {
            unreached.add(0, self.nodes.potentials[node], zone, index(node));
        }
        let mut queue = Vec::new();
        for (node, &lacking) in self.nodes.lacking.iter().enumerate() {
            if lacking < 0 {
                self.nodes.levels[node] = 0;
                queue.push(index(node));
            }
        }
        let mut next = 0;
        while let Some(&node) = queue.get(next) {
            next += 1;
            let level = self.nodes.levels[usize::from(node)] + 1;
            if level > self.nodes.level_sink {
                break;
            }
            if node == self.nodes.pool() {
                self.reach_from_pool(level, &mut queue);
                continue;
            }
            for position in self.held.range(node) {
                self.reach_from(node, self.held.at(position), level, &mut unreached, &mut queue);
            }
            let pool = self.nodes.pool();
            if self.nodes.levels[usize::from(pool)] == UNREACHED && self.nodes.may_round_up(node) {
                self.nodes.reach(pool, level, &mut queue);
            }
        }
        if self.nodes.level_sink == UNREACHED {
            return false;
        }
        self.index_targets(&queue);
        true
    }

    /// Gives `level` to every unreached node that `node` can give `slot` to at reduced cost 0.
    fn reach_from(
        &mut self,
        node: u16,
        slot: usize,
        level: u32,
        unreached: &mut Groups,
        queue: &mut Vec<u16>,
    ) {
        let swap = Swap::new(self.topology, self.rows, slot);
        let nodes = &mut self.nodes;
        let potential = nodes.potentials[usize::from(node)];
        let refund = swap.cost_of(node);
        if let Some(group) = unreached.get(0, potential + 1 - refund) {
            let mut position = 0;
            while position < group.zones() {
                let (zone, candidates) = group.zone(position);
                if swap.allows_zone(zone) {
                    candidates.retain(|&other| {
                        if nodes.levels[usize::from(other)] != UNREACHED {
                            return false;
                        }
                        let reached = swap.is_new_to(other);
                        if reached {
                            nodes.reach(other, level, queue);
                        }
                        !reached
                    });
                }
                if candidates.is_empty() {
                    group.close(position);
                } else {
                    position += 1;
                }
            }
        }
        let Some(potential) = potential.checked_sub(refund) else { return };
        for other in swap.former_owners() {
            if nodes.levels[usize::from(other)] == UNREACHED
                && nodes.potentials[usize::from(other)] == potential
                && swap.allows_zone(self.topology.zone(other))
            {
                nodes.reach(other, level, queue);
            }
        }
    }

    /// Gives `level` to every unreached node that can give up its rounding up.
    fn reach_from_pool(&mut self, level: u32, queue: &mut Vec<u16>) {
        for node in 0..self.topology.nodes() {
            if self.nodes.levels[node] == UNREACHED && self.nodes.may_round_down(index(node)) {
                self.nodes.reach(index(node), level, queue);
            }
        }
    }

    fn index_targets(&mut self, reached: &[u16]) {
        self.targets = Groups::default();
        for &node in reached {
            let level = self.nodes.levels[usize::from(node)];
            if level > 0 && node != self.nodes.pool() && self.nodes.is_target(node, level) {
                let potential = self.nodes.potentials[usize::from(node)];
                self.targets.add(level, potential, self.topology.zone(node), node);
            }
        }
        self.cursors.fill(0);
    }

    /// No path of the present cost is left: the next cheapest costs one more.
    fn raise_potentials(&mut self) {
        for (potential, &level) in self.nodes.potentials.iter_mut().zip(&self.nodes.levels) {
            *potential += u32::from(level == UNREACHED);
        }
        self.nodes.potential_sink += 1;
        // A path visits a node once and no swap costs more than one.
        let most = self.nodes.potentials.len();
        let sink = usize::try_from(self.nodes.potential_sink).expect("counts up from 0");
        assert!(sink <= most, "quotas within the bounds can be met");
    }

    /// Augments along shortest paths until the levels allow no more.
    fn block(&mut self) {
        let mut progressed = false;
        for node in 0..self.nodes.lacking.len() {
            while self.nodes.lacking[node] < 0 && self.augment(index(node)) {
                progressed = true;
            }
        }
        // Else the same levels would be found for ever.
        assert!(progressed, "one of the paths that gave the levels can be taken");
    }

    /// Takes one slot from `source` to a node below its quota; false if there is no way.
    fn augment(&mut self, source: u16) -> bool {
        let mut path: Vec<Step> = Vec::new();
        let mut node = source;
        let mut level = 0;
        loop {
            if level == self.nodes.level_sink {
                self.nodes.lacking[usize::from(source)] += 1;
                self.nodes.lacking[usize::from(node)] -= 1;
                return true;
            }
            if let Some((step, target)) = self.advance(node, level + 1) {
                path.push(step);
                node = target;
                level += 1;
                continue;
            }
            // A dead end until levels are found anew.
            self.nodes.levels[usize::from(node)] = UNREACHED;
            let Some(step) = path.pop() else { return false };
            node = self.retreat(&step);
            level -= 1;
        }
    }

    /// Takes a step from `node` to a node of `level`, if there is one left.
    fn advance(&mut self, node: u16, level: u32) -> Option<(Step, u16)> {
        if node == self.nodes.pool() {
            let target = self.next_to_round_down(level)?;
            self.nodes.rounding[usize::from(target)] = Rounding::Down;
            return Some((Step::RoundDown { node: target }, target));
        }
        if let Some((slot, target)) = self.next_swap(node, level) {
            let zone = self.rows.zones[slot];
            self.rows.slots[slot] = target;
            self.rows.zones[slot] = self.topology.zone(target);
            return Some((Step::Swap { node, slot, zone }, target));
        }
        let pool = self.nodes.pool();
        if self.nodes.is_target(pool, level) && self.nodes.may_round_up(node) {
            self.nodes.rounding[usize::from(node)] = Rounding::Up;
            return Some((Step::RoundUp { node }, pool));
        }
        None
    }

    /// Undoes a step and tells where it began.
    fn retreat(&mut self, step: &Step) -> u16 {
        match *step {
            Step::Swap { node, slot, zone } => {
                self.rows.slots[slot] = node;
                self.rows.zones[slot] = zone;
                node
            }
            Step::RoundUp { node } => {
                self.nodes.rounding[usize::from(node)] = Rounding::Down;
                node
            }
            Step::RoundDown { node } => {
                self.nodes.rounding[usize::from(node)] = Rounding::Up;
                self.nodes.pool()
            }
        }
    }

    /// A node of `level` that can give up its rounding up.
    fn next_to_round_down(&mut self, level: u32) -> Option<u16> {
        let cursor = usize::from(self.nodes.pool());
        while self.cursors[cursor] < self.topology.nodes() {
            let node = index(self.cursors[cursor]);
            if self.nodes.is_target(node, level) && self.nodes.may_round_down(node) {
                return Some(node);
            }
            self.cursors[cursor] += 1;
        }
        None
    }

    /// A slot that `node` can give to a node of `level`, and that node.
    fn next_swap(&mut self, node: u16, level: u32) -> Option<(usize, u16)> {
        let held = self.held.range(node);
        while held.start + self.cursors[usize::from(node)] < held.end {
            let slot = self.held.at(held.start + self.cursors[usize::from(node)]);
            if self.rows.slots[slot] == node
                && let Some(target) = self.target(node, slot, level)
            {
                return Some((slot, target));
            }
            self.cursors[usize::from(node)] += 1;
        }
        None
    }

    /// A node of `level` that `node` can give `slot` to at reduced cost 0.
    fn target(&mut self, node: u16, slot: usize, level: u32) -> Option<u16> {
        let swap = Swap::new(self.topology, self.rows, slot);
        let nodes = &self.nodes;
        let potential = nodes.potentials[usize::from(node)];
        let refund = swap.cost_of(node);
        if let Some(potential) = potential.checked_sub(refund) {
            let former = swap.former_owners().find(|&other| {
                nodes.is_target(other, level)
                    && nodes.potentials[usize::from(other)] == potential
                    && swap.allows_zone(self.topology.zone(other))
            });
            if former.is_some() {
                return former;
            }
        }
        let group = self.targets.get(level, potential + 1 - refund)?;
        let random = mix(self.seed ^ u64::try_from(slot).expect("fewer than 2^20 slots"));
        pick(group, &swap, nodes, level, random)
    }
}
