//! What owners of one partition must differ in, as bounds on zones and regions.

use std::collections::BTreeMap;

use crate::intent::Spread;
use crate::layout::Member;
use crate::node::Place;

/// How many owners of one partition a group of nodes may have.
///
/// With at least as many groups as owners, maximal spread is at most one owner per group; with
/// fewer groups it is at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    AtMostOne,
    AtLeastOne,
}

impl Rule {
    fn new(groups: usize, width: usize) -> Self {
        if groups >= width { Self::AtMostOne } else { Self::AtLeastOne }
    }

    /// Fewest owners of one partition.
    pub(super) fn lower(self) -> usize {
        match self {
            Self::AtMostOne => 0,
            Self::AtLeastOne => 1,
        }
    }

    /// Most owners of one partition, out of `width`.
    pub(super) fn upper(self, width: usize) -> usize {
        match self {
            Self::AtMostOne => 1,
            Self::AtLeastOne => width,
        }
    }
}

/// The nodes that take a share, grouped as far as the spread asked for looks.
///
/// Nodes are numbered by ascending id. Where zones (or regions) do not matter, all nodes are in
/// one, which no rule then restricts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Topology {
    /// Owners per partition.
    pub(super) width: usize,
    /// Weight of each node, never 0.
    pub(super) weights: Vec<u32>,
    /// Zone of each node.
    pub(super) zone_of: Vec<u16>,
    /// Region of each zone.
    pub(super) region_of: Vec<u16>,
    pub(super) regions: usize,
    pub(super) zone_rule: Rule,
    pub(super) region_rule: Rule,
}

impl Topology {
    /// The topology of `nodes`, of which there is at least one, with min(replicas, nodes) owners.
    pub(super) fn new(nodes: &[&Member], spread: Spread, replicas: usize) -> Self {
        let width = replicas.min(nodes.len());
        let places = nodes.iter().map(|node| grouping(&node.place, spread));
        let mut zones: BTreeMap<_, u16> = places.map(|place| (place, 0)).collect();
        let mut region_of = Vec::with_capacity(zones.len());
        let mut regions = 0;
        let mut last_region = None;
        for ((region, ..), zone) in &mut zones {
            if last_region.replace(*region) != Some(*region) {
                regions += 1;
            }
            *zone = index(region_of.len());
            region_of.push(index(regions - 1));
        }
        let zone_of = nodes.iter().map(|node| zones[&grouping(&node.place, spread)]).collect();
        Self {
            width,
            weights: nodes.iter().map(|node| node.weight).collect(),
            zone_of,
            zone_rule: Rule::new(region_of.len(), width),
            region_rule: Rule::new(regions, width),
            region_of,
            regions,
        }
    }

    pub(super) fn nodes(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn zones(&self) -> usize {
        self.region_of.len()
    }

    pub(super) fn zone(&self, node: u16) -> u16 {
        self.zone_of[usize::from(node)]
    }

    pub(super) fn region(&self, zone: u16) -> u16 {
        self.region_of[usize::from(zone)]
    }
}

/// The region that counts, then what tells the zone from others.
fn grouping(place: &Place, spread: Spread) -> (&str, &str, &str) {
    match spread {
        Spread::Nodes => ("", "", ""),
        Spread::Zones => ("", place.region(), place.zone()),
        Spread::Regions => (place.region(), place.region(), place.zone()),
    }
}

fn index(count: usize) -> u16 {
    u16::try_from(count).expect("fewer groups than nodes")
}
