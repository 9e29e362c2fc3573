//! Who comes first among the owners of a partition.

use super::quotas::Quota;
use super::rows::Rows;
use super::topology::Topology;

/// Puts each row in order. `old` is the old table in the same shape, by node.
///
/// 1. Every prefix of a row is spread as far as the row is: buckets with fewer replicas use one.
/// 2. Staying owners keep their order, and a new owner never comes before the position that was
///    given up for it. So a prefix gets no more new owners than it lost.
/// 3. Each position is dealt out evenly among the nodes, in particular the first.
pub(super) fn order(topology: &Topology, rows: &mut Rows, quotas: &[Quota]) {
    let width = topology.width;
    let mut order = Order { topology, quotas, dealt: vec![0; topology.nodes() * width] };
    let mut ordered = Vec::with_capacity(width);
    for (row, old) in rows.slots.chunks_exact_mut(width).zip(rows.old.chunks_exact(width)) {
        ordered.clear();
        order.deal(row, old, &mut ordered);
        row.copy_from_slice(&ordered);
    }
}

struct Order<'a> {
    topology: &'a Topology,
    quotas: &'a [Quota],
    /// How often each node was dealt each position.
    dealt: Vec<usize>,
}

impl Order<'_> {
    fn deal(&mut self, row: &[u16], old: &[u16], ordered: &mut Vec<u16>) {
        let given_up = |position: usize| !row.contains(&old[position]);
        // Staying owners in their old order, then new ones.
        let staying: Vec<u16> = old.iter().copied().filter(|node| row.contains(node)).collect();
        let mut left = staying.clone();
        left.extend(row.iter().filter(|node| !staying.contains(node)));
        let mut staying = staying.len();
        let mut new_allowed = 0;
        for position in 0..row.len() {
            new_allowed += usize::from(given_up(position));
            let spreading: Vec<usize> =
                (0..left.len()).filter(|&at| self.spreads(ordered, &left, left[at])).collect();
            // The spread may have to break the order of those who stay, nothing else may.
            let in_order =
                |at: &usize| *at == 0 && staying > 0 || *at >= staying && new_allowed > 0;
            let deals = |at: &usize| {
                let node = usize::from(left[*at]);
                // Compared as dealt / quota, scaled.
                (self.dealt[node * row.len() + position] << 32) / self.quotas[node].count.max(1)
            };
            let chosen = spreading
                .iter()
                .copied()
                .filter(in_order)
                .min_by_key(|at| (deals(at), *at))
                .or_else(|| spreading.first().copied())
                .expect("some owner is left, and one of them spreads furthest");
            let node = left.remove(chosen);
            if chosen < staying {
                staying -= 1;
            } else {
                new_allowed = new_allowed.saturating_sub(1);
            }
            self.dealt[usize::from(node) * row.len() + position] += 1;
            ordered.push(node);
        }
    }

    /// Whether `node` adds as much spread to `ordered` as any of `left` would.
    fn spreads(&self, ordered: &[u16], left: &[u16], node: u16) -> bool {
        let gain = |node| self.gain(ordered, node);
        left.iter().all(|&other| gain(other) <= gain(node))
    }

    /// 2 for a new region, 1 for a new zone.
    fn gain(&self, ordered: &[u16], node: u16) -> u8 {
        let zone = self.topology.zone(node);
        let region = self.topology.region(zone);
        let zones = || ordered.iter().map(|&other| self.topology.zone(other));
        if !zones().any(|other| self.topology.region(other) == region) {
            2
        } else {
            u8::from(!zones().any(|other| other == zone))
        }
    }
}
