//! The table that the flow starts from: the old owners, as far as the spread allows them.

use super::groups::mix;
use super::quotas::Quota;
use super::topology::{Rule, Topology};

/// A table under construction: `topology.width` slots per partition, each in a zone.
pub(super) struct Rows {
    /// The node in each slot; the number of nodes where it is still vacant.
    pub(super) slots: Vec<u16>,
    /// The zone of each slot; a vacant slot has one too, so that every row is spread maximally.
    pub(super) zones: Vec<u16>,
    /// The old table in the same shape. An owner that takes no share any more, or none at all, is
    /// the number of nodes.
    pub(super) old: Vec<u16>,
}

/// Keeps the old owners, in order, that a maximally spread row has room for; leaves the other slots
/// vacant, in zones that still lack owners.
///
/// `old` has `topology.width` entries per partition.
pub(super) fn start(topology: &Topology, old: Vec<u16>, quotas: &[Quota], seed: u64) -> Rows {
    let width = topology.width;
    let vacant = vacant(topology);
    let mut slots = vec![vacant; old.len()];
    let mut zones = vec![0; old.len()];
    let mut lacking = vec![0_i64; topology.zones()];
    for (node, quota) in quotas.iter().enumerate() {
        let quota = i64::try_from(quota.count).expect("at most the partitions");
        lacking[usize::from(topology.zone_of[node])] += quota;
    }
    let mut row = Row::new(topology);
    let mut kept = vec![false; width];
    // Every kept owner counts before the first vacancy is given a zone.
    let mut vacancies = Vec::new();
    for (partition, old) in old.chunks_exact(width).enumerate() {
        row.clear();
        kept.fill(false);
        for (slot, &owner) in old.iter().enumerate() {
            if owner != vacant && row.admits(topology.zone(owner)) {
                row.add(topology.zone(owner));
                kept[slot] = true;
            }
        }
        for (slot, &owner) in old.iter().enumerate() {
            let at = partition * width + slot;
            if kept[slot] {
                slots[at] = owner;
                zones[at] = topology.zone(owner);
                lacking[usize::from(zones[at])] -= 1;
            } else {
                vacancies.push(at);
            }
        }
    }
    for of_row in vacancies.chunk_by(|a, b| a / width == b / width) {
        row.clear();
        let first = of_row[0] / width * width;
        for slot in first..first + width {
            if slots[slot] != vacant {
                row.add(zones[slot]);
            }
        }
        for &at in of_row {
            let noise = mix(seed ^ u64::try_from(at).expect("fewer than 2^20 slots"));
            let zone = (0..topology.zones())
                .map(|zone| u16::try_from(zone).expect("fewer zones than nodes"))
                .filter(|&zone| row.admits(zone))
                .max_by_key(|&zone| {
                    (need(zone, lacking[usize::from(zone)], noise), u16::MAX - zone)
                })
                .expect("a row that admits its owners can be completed");
            row.add(zone);
            zones[at] = zone;
            lacking[usize::from(zone)] -= 1;
        }
    }
    Rows { slots, zones, old }
}

/// How much a zone that lacks so many owners wants a slot.
///
/// Noise varies which zones go together. Did few combinations occur, then after a loss the nodes
/// that lack owners could all be in zones that the rows in need already have.
fn need(zone: u16, lacking: i64, noise: u64) -> i64 {
    let noise = mix(noise ^ u64::from(zone)) % 256;
    lacking * i64::try_from(256 + noise).expect("below 512")
}

/// What stands in a slot without an owner.
pub(super) fn vacant(topology: &Topology) -> u16 {
    u16::try_from(topology.nodes()).expect("fewer than 65,536 nodes")
}

/// The zones of a partly filled row.
struct Row<'a> {
    topology: &'a Topology,
    zones: Vec<u16>,
}

impl<'a> Row<'a> {
    fn new(topology: &'a Topology) -> Self {
        Self { topology, zones: Vec::with_capacity(topology.width) }
    }

    fn clear(&mut self) {
        self.zones.clear();
    }

    fn add(&mut self, zone: u16) {
        self.zones.push(zone);
    }

    /// Whether the row can still be completed to a maximally spread one after adding `zone`.
    fn admits(&self, zone: u16) -> bool {
        let topology = self.topology;
        let region = topology.region(zone);
        let new_zone = !self.zones.contains(&zone);
        let new_region = !self.zones.iter().any(|&other| topology.region(other) == region);
        if topology.zone_rule == Rule::AtMostOne && !new_zone
            || topology.region_rule == Rule::AtMostOne && !new_region
        {
            return false;
        }
        let left = topology.width - self.zones.len() - 1;
        let lacks = |rule: Rule, groups: usize, covered: usize, gains: bool| match rule {
            Rule::AtMostOne => 0,
            Rule::AtLeastOne => groups - covered - usize::from(gains),
        };
        let zones = self.distinct(|zone| zone);
        let regions = self.distinct(|zone| topology.region(zone));
        lacks(topology.zone_rule, topology.zones(), zones, new_zone) <= left
            && lacks(topology.region_rule, topology.regions, regions, new_region) <= left
    }

    fn distinct(&self, group: impl Fn(u16) -> u16) -> usize {
        let repeated = |index: usize, zone: u16| {
            self.zones[..index].iter().any(|&other| group(other) == group(zone))
        };
        self.zones.iter().enumerate().filter(|&(index, &zone)| !repeated(index, zone)).count()
    }
}
