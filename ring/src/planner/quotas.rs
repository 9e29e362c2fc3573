//! Shares rounded to whole numbers.

use std::cmp::Reverse;

use super::shares::Fraction;
use super::topology::{Rule, Topology};

/// How many partitions a node is to own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quota {
    pub(super) count: usize,
    pub(super) rounding: Rounding,
}

/// How a share became a whole number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rounding {
    /// It was one.
    Exact,
    Down,
    Up,
}

/// The share of each node rounded down or up, so that the sum is right and the zones and regions
/// stay within their bounds.
///
/// Those are rounded up first that already own more than the rounded-down share, then those with
/// the largest remainder, then those with the smaller id. Taking them greedily is optimal, since
/// the sets that can be rounded up are the bases of a matroid (nested bounds).
pub(super) fn quotas(
    topology: &Topology,
    partitions: usize,
    shares: &[Fraction],
    owned: &[usize],
) -> Vec<Quota> {
    let quota = |share: &Fraction| Quota {
        count: whole(share.floor()),
        rounding: if share.remainder().is_zero() { Rounding::Exact } else { Rounding::Down },
    };
    let mut quotas: Vec<Quota> = shares.iter().map(quota).collect();
    let mut order: Vec<usize> =
        (0..shares.len()).filter(|&node| quotas[node].rounding == Rounding::Down).collect();
    order.sort_by_key(|&node| {
        let above_floor = owned[node] > quotas[node].count;
        (Reverse(above_floor), Reverse(shares[node].remainder()), node)
    });

    let mut room = Room::new(topology, partitions, &quotas, &order);
    for node in order {
        if room.round_up(topology, node) {
            quotas[node].count += 1;
            quotas[node].rounding = Rounding::Up;
        }
    }
    assert_eq!(room.left, 0, "shares add up to a whole number within whole bounds");
    quotas
}

/// How many more of a group's undecided nodes must, and may, be rounded up.
#[derive(Clone, Copy)]
struct Group {
    /// Undecided nodes.
    undecided: i64,
    /// Missing to the group's lower bound.
    missing: i64,
    /// Left to the group's upper bound.
    space: i64,
}

impl Group {
    fn must(self) -> i64 {
        self.missing.max(0)
    }

    fn may(self) -> i64 {
        self.undecided.min(self.space)
    }
}

struct Room {
    zones: Vec<Group>,
    /// `undecided` unused: what a region may take is what its zones may.
    regions: Vec<Group>,
    zones_must: Vec<i64>,
    zones_may: Vec<i64>,
    regions_must: i64,
    regions_may: i64,
    /// Nodes still to be rounded up.
    left: i64,
}

impl Room {
    fn new(topology: &Topology, partitions: usize, quotas: &[Quota], order: &[usize]) -> Self {
        let group = |rule: Rule| Group {
            undecided: 0,
            missing: signed(rule.lower() * partitions),
            space: signed(rule.upper(topology.width) * partitions),
        };
        let mut zones = vec![group(topology.zone_rule); topology.zones()];
        let mut regions = vec![group(topology.region_rule); topology.regions];
        for (node, quota) in quotas.iter().enumerate() {
            let zone = topology.zone_of[node];
            for group in
                [&mut zones[usize::from(zone)], &mut regions[usize::from(topology.region(zone))]]
            {
                group.missing -= signed(quota.count);
                group.space -= signed(quota.count);
            }
        }
        for &node in order {
            zones[usize::from(topology.zone_of[node])].undecided += 1;
        }
        let mut room = Self {
            zones_must: vec![0; regions.len()],
            zones_may: vec![0; regions.len()],
            zones,
            regions,
            regions_must: 0,
            regions_may: 0,
            left: signed(topology.width * partitions)
                - signed(quotas.iter().map(|quota| quota.count).sum()),
        };
        for (zone, &region) in room.zones.iter().zip(&topology.region_of) {
            room.zones_must[usize::from(region)] += zone.must();
            room.zones_may[usize::from(region)] += zone.may();
        }
        for region in 0..room.regions.len() {
            room.regions_must += room.region_must(region);
            room.regions_may += room.region_may(region);
        }
        room
    }

    fn region_must(&self, region: usize) -> i64 {
        self.regions[region].must().max(self.zones_must[region])
    }

    fn region_may(&self, region: usize) -> i64 {
        self.regions[region].space.min(self.zones_may[region])
    }

    /// Decides on `node`: rounds it up if all bounds can still be met afterwards.
    fn round_up(&mut self, topology: &Topology, node: usize) -> bool {
        let zone = usize::from(topology.zone_of[node]);
        let region = usize::from(topology.region_of[zone]);
        self.decide(zone, region, 1);
        if self.can_be_met(zone, region) {
            return true;
        }
        self.take_back(zone, region);
        false
    }

    fn decide(&mut self, zone: usize, region: usize, taken: i64) {
        self.change(zone, region, |room| {
            room.zones[zone].undecided -= 1;
            for group in [&mut room.zones[zone], &mut room.regions[region]] {
                group.missing -= taken;
                group.space -= taken;
            }
        });
        self.left -= taken;
    }

    /// Turns a node that was rounded up into one that was not.
    fn take_back(&mut self, zone: usize, region: usize) {
        self.change(zone, region, |room| {
            for group in [&mut room.zones[zone], &mut room.regions[region]] {
                group.missing += 1;
                group.space += 1;
            }
        });
        self.left += 1;
    }

    /// Changes a zone and its region and keeps the sums over zones and regions.
    fn change(&mut self, zone: usize, region: usize, change: impl FnOnce(&mut Self)) {
        self.regions_must -= self.region_must(region);
        self.regions_may -= self.region_may(region);
        self.zones_must[region] -= self.zones[zone].must();
        self.zones_may[region] -= self.zones[zone].may();
        change(self);
        self.zones_must[region] += self.zones[zone].must();
        self.zones_may[region] += self.zones[zone].may();
        self.regions_must += self.region_must(region);
        self.regions_may += self.region_may(region);
    }

    fn can_be_met(&self, zone: usize, region: usize) -> bool {
        self.zones[zone].must() <= self.zones[zone].may()
            && self.region_must(region) <= self.region_may(region)
            && (self.regions_must..=self.regions_may).contains(&self.left)
    }
}

fn whole(count: u64) -> usize {
    usize::try_from(count).expect("at most the partitions")
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).expect("counts are small")
}
