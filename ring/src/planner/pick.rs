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
            candidates.swap_remove(position);
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
