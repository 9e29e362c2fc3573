//! Fleets of nodes to plan for, and an independent judge of plans.

use std::collections::{BTreeMap, BTreeSet};

use coterie_ring::{
    Intent, Layout, Member, NodeId, NodeIntent, NodeState, Partitioner, Place, PlacementPolicy,
    Plan, Spread, moves_between,
};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Whether to run at full size.
pub(crate) fn proof() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some()
}

pub(crate) fn seeded(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// A node to be active in zone `zone` of `zones`, which are dealt out to `regions`.
pub(crate) fn node(weight: u32, zone: usize, regions: usize) -> NodeIntent {
    let place = Place::new(&format!("r{}", zone % regions), &format!("z{zone}")).unwrap();
    NodeIntent { state: NodeState::Active, weight, place }
}

/// `nodes` nodes dealt out to `zones` zones, with random ids and weights from 1 to `weight_max`.
pub(crate) fn fleet(
    rng: &mut Xoshiro256PlusPlus,
    nodes: usize,
    zones: usize,
    regions: usize,
    weight_max: u32,
) -> Intent {
    let mut intent = Intent::new();
    for index in 0..nodes {
        let weight = rng.random_range(1..=weight_max);
        intent.set_node(NodeId(rng.random()), node(weight, index % zones, regions)).unwrap();
    }
    intent
}

pub(crate) fn placement(intent: &mut Intent, replicas: u8, spread: Spread) {
    intent.set_placement(PlacementPolicy { replicas, spread }).unwrap();
}

pub(crate) fn partitioner(count: usize) -> Partitioner {
    Partitioner::new(count).unwrap()
}

/// Changes one node of the intent.
pub(crate) fn edit(intent: &mut Intent, id: NodeId, change: impl FnOnce(&mut NodeIntent)) {
    let mut node = intent.node(id).unwrap().clone();
    change(&mut node);
    intent.set_node(id, node).unwrap();
}

/// The layout with random owners in every row, distinct but neither balanced nor spread.
pub(crate) fn scrambled(rng: &mut Xoshiro256PlusPlus, layout: &Layout) -> Layout {
    let mut parts = layout.parts().clone();
    let members: Vec<u16> = (0..u16::try_from(layout.members().len()).unwrap()).collect();
    for row in parts.table.chunks_exact_mut(parts.replicas.into()) {
        let owners: Vec<u16> = members.sample(rng, row.len()).copied().collect();
        row.copy_from_slice(&owners);
    }
    Layout::new(parts).unwrap()
}

/// Ids of the active nodes.
pub(crate) fn active(intent: &Intent) -> Vec<NodeId> {
    let active = intent.nodes().filter(|(_, node)| node.state == NodeState::Active);
    active.map(|(id, _)| id).collect()
}

/// The members that are to take a share.
pub(crate) fn shareholders(layout: &Layout) -> Vec<&Member> {
    let takes = |member: &&Member| member.state == NodeState::Active && member.weight > 0;
    layout.members().iter().filter(takes).collect()
}

pub(crate) fn counts(layout: &Layout) -> BTreeMap<NodeId, usize> {
    let mut counts = BTreeMap::new();
    for partition in layout.partitioner().partitions() {
        for owner in layout.owners(partition, u8::MAX) {
            *counts.entry(owner).or_insert(0) += 1;
        }
    }
    counts
}

/// Region and zone of a member, as far as the layout's spread looks at them.
pub(crate) fn groups<'a>(layout: &Layout, member: &'a Member) -> (&'a str, (&'a str, &'a str)) {
    let (region, zone) = (member.place.region(), member.place.zone());
    match layout.snapshot().placement().spread {
        Spread::Nodes => ("", ("", "")),
        Spread::Zones => ("", (region, zone)),
        Spread::Regions => (region, (region, zone)),
    }
}

/// What the judge found in a plan that has no faults.
pub(crate) struct Verdict {
    /// Copies beyond what the counts alone make necessary.
    pub(crate) moves_forced: usize,
    pub(crate) moves: usize,
}

/// Panics unless the plan keeps every promise of the planner.
pub(crate) fn judge(parent: Option<&Layout>, plan: &Plan) -> Verdict {
    let layout = plan.layout();
    let nodes = shareholders(layout);
    let width = usize::from(layout.snapshot().replicas()).min(nodes.len());
    assert_eq!(layout.replicas(), width);

    let counts = counts(layout);
    for (id, share) in float_shares(layout) {
        let count = counts.get(&id).copied().unwrap_or(0) as f64;
        assert!((count - share).abs() < 1.0, "node {id} owns {count}, its share is {share}");
        let planned = plan.nodes().iter().find(|node| node.node == id).unwrap();
        assert!((planned.share - share).abs() < 1e-6, "{} is not {share}", planned.share);
    }

    let by_id: BTreeMap<NodeId, _> =
        nodes.iter().map(|node| (node.id, groups(layout, node))).collect();
    let regions = by_id.values().map(|place| place.0).collect::<BTreeSet<_>>().len();
    let zones = by_id.values().map(|place| place.1).collect::<BTreeSet<_>>().len();
    for partition in layout.partitioner().partitions() {
        let row: Vec<NodeId> = layout.owners(partition, u8::MAX).collect();
        assert_eq!(row.iter().collect::<BTreeSet<_>>().len(), width, "distinct owners");
        for prefix in 1..=width {
            let places = || row[..prefix].iter().map(|id| by_id[id]);
            let spread_regions = places().map(|place| place.0).collect::<BTreeSet<_>>().len();
            let spread_zones = places().map(|place| place.1).collect::<BTreeSet<_>>().len();
            assert_eq!(spread_regions, regions.min(prefix), "regions of {partition}");
            assert_eq!(spread_zones, zones.min(prefix), "zones of {partition}");
        }
    }

    let Some(parent) = parent else { return Verdict { moves_forced: 0, moves: 0 } };
    let moves = moves_between(parent, layout, layout.snapshot().replicas());
    assert_eq!(moves, plan.moves());
    Verdict { moves_forced: moves.len() - plan.moves_min(), moves: moves.len() }
}

/// The shares by bisection in floating point: another way to the same numbers.
fn float_shares(layout: &Layout) -> Vec<(NodeId, f64)> {
    let nodes = shareholders(layout);
    let width = layout.replicas();
    let mut tree: BTreeMap<&str, BTreeMap<(&str, &str), Vec<&Member>>> = BTreeMap::new();
    for node in &nodes {
        let (region, zone) = groups(layout, node);
        tree.entry(region).or_default().entry(zone).or_default().push(node);
    }
    let zones: usize = tree.values().map(BTreeMap::len).sum();
    let bound = |groups: usize| if groups >= width { (0.0, 1.0) } else { (1.0, width as f64) };
    let (zone_bound, region_bound) = (bound(zones), bound(tree.len()));

    let in_zone = |nodes: &[&Member], level: f64| -> f64 {
        nodes.iter().map(|node| (level * f64::from(node.weight)).min(1.0)).sum()
    };
    let in_region = |zones: &BTreeMap<(&str, &str), Vec<&Member>>, level: f64| -> f64 {
        zones.values().map(|nodes| in_zone(nodes, level).clamp(zone_bound.0, zone_bound.1)).sum()
    };
    let in_all = |level: f64| -> f64 {
        tree.values()
            .map(|zones| in_region(zones, level).clamp(region_bound.0, region_bound.1))
            .sum()
    };
    let level = level_of(width as f64, in_all);
    let mut shares = Vec::new();
    for zones in tree.values() {
        let wanted = in_region(zones, level);
        let bounded = wanted.clamp(region_bound.0, region_bound.1);
        let level =
            if bounded == wanted { level } else { level_of(bounded, |at| in_region(zones, at)) };
        for nodes in zones.values() {
            let wanted = in_zone(nodes, level);
            let bounded = wanted.clamp(zone_bound.0, zone_bound.1);
            let level =
                if bounded == wanted { level } else { level_of(bounded, |at| in_zone(nodes, at)) };
            for node in nodes {
                let part = (level * f64::from(node.weight)).min(1.0);
                shares.push((node.id, part * layout.partitioner().count() as f64));
            }
        }
    }
    shares
}

fn level_of(target: f64, amount: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 2.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if amount(middle) < target { low = middle } else { high = middle }
    }
    high
}
