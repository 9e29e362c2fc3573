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

/// How many more of a group's nodes must, and may, be rounded up to stay within its bounds.
#[derive(Clone, Copy)]
struct Bounds {
    missing: i64,
    space: i64,
}

impl Bounds {
    fn take(&mut self, count: i64) {
        self.missing -= count;
        self.space -= count;
    }
}

/// What can still be rounded up, with the sums over zones and regions kept at hand.
struct Room {
    zones: Vec<Bounds>,
    /// Nodes of each zone that are not decided on yet.
    undecided: Vec<i64>,
    regions: Vec<Bounds>,
    /// Per region, what its zones must and may round up.
    zones_must: Vec<i64>,
    zones_may: Vec<i64>,
    /// What all regions must and may round up.
    regions_must: i64,
    regions_may: i64,
    /// Nodes still to be rounded up.
    left: i64,
}

impl Room {
    fn new(topology: &Topology, partitions: usize, quotas: &[Quota], order: &[usize]) -> Self {
        let bounds = |rule: Rule| Bounds {
            missing: signed(rule.lower() * partitions),
            space: signed(rule.upper(topology.width) * partitions),
        };
        let mut room = Self {
            zones: vec![bounds(topology.zone_rule); topology.zones()],
            undecided: vec![0; topology.zones()],
            regions: vec![bounds(topology.region_rule); topology.regions],
            zones_must: vec![0; topology.regions],
            zones_may: vec![0; topology.regions],
            regions_must: 0,
            regions_may: 0,
            left: signed(topology.width * partitions),
        };
        for (quota, &zone) in quotas.iter().zip(&topology.zone_of) {
            room.zones[usize::from(zone)].take(signed(quota.count));
            room.regions[usize::from(topology.region(zone))].take(signed(quota.count));
            room.left -= signed(quota.count);
        }
        for &node in order {
            room.undecided[usize::from(topology.zone_of[node])] += 1;
        }
        for (zone, &region) in topology.region_of.iter().enumerate() {
            room.zones_must[usize::from(region)] += room.zone_must(zone);
            room.zones_may[usize::from(region)] += room.zone_may(zone);
        }
        for region in 0..topology.regions {
            room.regions_must += room.region_must(region);
            room.regions_may += room.region_may(region);
        }
        room
    }

    fn zone_must(&self, zone: usize) -> i64 {
        self.zones[zone].missing.max(0)
    }

    fn zone_may(&self, zone: usize) -> i64 {
        self.undecided[zone].min(self.zones[zone].space)
    }

    fn region_must(&self, region: usize) -> i64 {
        self.regions[region].missing.max(self.zones_must[region])
    }

    fn region_may(&self, region: usize) -> i64 {
        self.regions[region].space.min(self.zones_may[region])
    }

    /// Decides on `node`: rounds it up if all bounds can still be met afterwards.
    fn round_up(&mut self, topology: &Topology, node: usize) -> bool {
        let zone = usize::from(topology.zone_of[node]);
        let region = usize::from(topology.region_of[zone]);
        self.change(zone, region, |room| room.undecided[zone] -= 1);
        self.take(zone, region, 1);
        let can_be_met = self.can_be_met(zone, region);
        if !can_be_met {
            self.take(zone, region, -1);
        }
        can_be_met
    }

    fn take(&mut self, zone: usize, region: usize, count: i64) {
        self.change(zone, region, |room| {
            room.zones[zone].take(count);
            room.regions[region].take(count);
        });
        self.left -= count;
    }

    /// Changes a zone and its region and keeps the sums over zones and regions.
    fn change(&mut self, zone: usize, region: usize, change: impl FnOnce(&mut Self)) {
        self.regions_must -= self.region_must(region);
        self.regions_may -= self.region_may(region);
        self.zones_must[region] -= self.zone_must(zone);
        self.zones_may[region] -= self.zone_may(zone);
        change(self);
        self.zones_must[region] += self.zone_must(zone);
        self.zones_may[region] += self.zone_may(zone);
        self.regions_must += self.region_must(region);
        self.regions_may += self.region_may(region);
    }

    fn can_be_met(&self, zone: usize, region: usize) -> bool {
        self.zone_must(zone) <= self.zone_may(zone)
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
