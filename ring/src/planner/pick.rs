//! Which of several equally good nodes takes a slot.

use super::groups::Group;
use super::standing::Nodes;
use super::swap::Swap;

/// A target in a zone that `swap` allows, its own first; forgets nodes that are none any more.
pub(super) fn pick(
    group: &mut Group,
    swap: &Swap<'_>,
    nodes: &Nodes,
    level: u32,
    random: u64,
) -> Option<u16> {
    if let Some(candidates) = group.of_zone(swap.zone())
        && let Some(target) = pick_in_zone(candidates, swap, nodes, level, random)
    {
        return Some(target);
    }
    let mut position = 0;
    while position < group.zones() {
        let (zone, candidates) = group.zone(position);
        if zone != swap.zone() && swap.allows_zone(zone) {
            let target = pick_in_zone(candidates, swap, nodes, level, random);
            if target.is_some() {
                return target;
            }
        }
        if candidates.is_empty() {
            group.close(position);
        } else {
            position += 1;
        }
    }
    None
}

/// Of a few candidates from a random position on, the one that lacks most.
///
/// Random, so that the partitions of a node share their other owners with many nodes; the one that
/// lacks most, so that all nodes fill up at the same time and the choice stays wide.
fn pick_in_zone(
    candidates: &mut Vec<u16>,
    swap: &Swap<'_>,
    nodes: &Nodes,
    level: u32,
    random: u64,
) -> Option<u16> {
    const SAMPLES: usize = 4;
    let mut best: Option<u16> = None;
    let mut samples = 0;
    let mut left = candidates.len();
    let mut position = if left == 0 { 0 } else { remainder(random, left) };
    while left > 0 && samples < SAMPLES {
        left -= 1;
        position = if position < candidates.len() { position } else { 0 };
        let candidate = candidates[position];
        if !nodes.is_target(candidate, level) {
            // In order: those before the start are still to come.
            candidates.remove(position);
            continue;
        }
        position += 1;
        if swap.is_new_to(candidate) {
            samples += 1;
            if best.is_none_or(|best| nodes.lacks_more(candidate, best)) {
                best = Some(candidate);
            }
        }
    }
    best
}

fn remainder(random: u64, count: usize) -> usize {
    let count = u64::try_from(count).expect("counts fit 64 bits");
    usize::try_from(random % count).expect("below a count")
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::super::standing::UNREACHED;
    use super::super::topology::{Rule, Topology};
    use super::*;

    /// Once a removal on the way brought back a node that had been seen and could not take the slot,
    /// and another was passed over.
    #[test]
    fn a_target_is_found_wherever_the_search_starts() {
        const NODES: u16 = 5;
        let count = usize::from(NODES);
        let topology = Topology {
            width: 2,
            weights: vec![1; count],
            zone_of: vec![0; count],
            region_of: vec![0],
            regions: 1,
            zone_rule: Rule::AtLeastOne,
            region_rule: Rule::AtLeastOne,
        };
        for owner in 0..NODES {
            let rows = Rows { slots: vec![NODES, owner], zones: vec![0; 2], old: vec![NODES; 2] };
            let swap = Swap::new(&topology, &rows, 0);
            for (targets, random) in (0_u32..1 << NODES).flat_map(|it| (0..5).map(move |r| (it, r)))
            {
                let is_target = |node: u16| targets >> node & 1 == 1;
                let level = |node| if is_target(node) { 1 } else { UNREACHED };
                let nodes = Nodes {
                    quotas: vec![1; count],
                    lacking: vec![1; count],
                    rounding: Vec::new(),
                    potentials: vec![0; count],
                    potential_sink: 0,
                    levels: (0..NODES).map(level).collect(),
                    level_sink: 1,
                };
                let mut group = Group::default();
                for node in 0..NODES {
                    group.push(0, node);
                }
                let free = |node: &u16| is_target(*node) && *node != owner;
                match pick(&mut group, &swap, &nodes, 1, random) {
                    Some(node) => assert!(free(&node)),
                    None => assert_eq!((0..NODES).find(free), None),
                }
            }
        }
    }
}
