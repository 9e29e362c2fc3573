//! What a layout tells: owners, fallbacks, size.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]
#![expect(clippy::print_stdout, reason = "sizes are printed")]

use std::collections::BTreeSet;

use coterie_ring::{
    Intent, Layout, NodeId, NodeIntent, NodeState, Partition, Partitioner, Place, bootstrap,
    moves_between, plan,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn layout(partitions: usize, nodes: usize, zones: usize) -> Layout {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut intent = Intent::new();
    for index in 0..nodes {
        let place = Place::new("eu-west", &format!("zone-{}", index % zones)).unwrap();
        let weight = rng.random_range(50..=100);
        let node = NodeIntent { state: NodeState::Active, weight, place };
        intent.set_node(NodeId(rng.random()), node).unwrap();
    }
    let partitioner = Partitioner::new(partitions).unwrap();
    bootstrap(7, partitioner, &intent).unwrap().layout().clone()
}

/// The whole layout (nodes with 128-bit ids, places, weights, revisions; voters; header; table) is
/// within 26 KiB up to about 560 nodes. At 1,000 the ids alone are 16,000 bytes; the table is 15 KiB.
#[test]
fn layouts_of_4096_by_3_are_small() {
    const LIMIT: usize = 26 * 1_024;
    for (nodes, whole_fits) in [(3, true), (100, true), (512, true), (560, true), (1_000, false)] {
        let layout = layout(4_096, nodes, 5);
        let bytes = layout.encode().len();
        let snapshot = layout.snapshot().encode().len();
        println!("4,096 x 3, {nodes} nodes: {bytes} bytes, {snapshot} of them for the snapshot");
        assert_eq!(bytes <= LIMIT, whole_fits);
        assert!(bytes - snapshot <= LIMIT);
        assert!(bytes - snapshot <= 4_096 * 3 * 10 / 8 + 64);
    }
}

#[test]
fn fallbacks_are_distinct_strangers_other_zones_first() {
    for (nodes, zones) in [(3, 3), (5, 2), (12, 4), (40, 5)] {
        let layout = layout(64, nodes, zones);
        let zone = |id| &layout.members()[usize::from(layout.member_index(id).unwrap())].place;
        for partition in layout.partitioner().partitions() {
            let owners: Vec<NodeId> = layout.owners(partition, u8::MAX).collect();
            let fallbacks: Vec<NodeId> = layout.fallbacks(partition).collect();
            let distinct: BTreeSet<_> = fallbacks.iter().chain(&owners).collect();
            assert_eq!(distinct.len(), nodes);
            assert_eq!(fallbacks.len() + owners.len(), nodes);
            let in_owners_zone: Vec<bool> = fallbacks
                .iter()
                .map(|&id| owners.iter().any(|&owner| zone(owner) == zone(id)))
                .collect();
            assert!(in_owners_zone.is_sorted());
        }
    }
}

#[test]
fn fallbacks_are_the_owners_of_the_rows_that_follow() {
    let layout = layout(64, 12, 1);
    let mut expected: Vec<NodeId> = Vec::new();
    let owners: Vec<NodeId> = layout.owners(Partition(62), u8::MAX).collect();
    for partition in [63, 0, 1, 2] {
        for owner in layout.owners(Partition(partition), u8::MAX) {
            if !owners.contains(&owner) && !expected.contains(&owner) {
                expected.push(owner);
            }
        }
    }
    let fallbacks: Vec<NodeId> = layout.fallbacks(Partition(62)).take(expected.len()).collect();
    assert_eq!(fallbacks, expected);
}

/// A bucket with fewer replicas uses a prefix of the row; that prefix too changes as little as it can.
#[test]
fn prefixes_get_no_more_new_owners_than_they_lost() {
    let parent = layout(1_024, 30, 3);
    let mut intent = parent.snapshot().clone();
    let gone = parent.members()[4].id;
    let mut node = intent.node(gone).unwrap().clone();
    node.state = NodeState::Removed;
    intent.set_node(gone, node).unwrap();
    let next = plan(&parent, &intent).unwrap();
    for replicas in 1..=3 {
        let moved = moves_between(&parent, next.layout(), replicas);
        let lost: usize = parent
            .partitioner()
            .partitions()
            .map(|partition| {
                let kept: BTreeSet<_> = next.layout().owners(partition, u8::MAX).collect();
                parent.owners(partition, replicas).filter(|owner| !kept.contains(owner)).count()
            })
            .sum();
        assert_eq!(moved.len(), lost);
    }
}

#[test]
fn a_fresh_layout_deals_first_places_evenly_and_shares_partitions_with_many() {
    let layout = layout(1_024, 100, 5);
    let mut firsts = vec![0_usize; 100];
    let mut counts = vec![0_usize; 100];
    let mut companions = vec![BTreeSet::<u16>::new(); 100];
    for partition in layout.partitioner().partitions() {
        let row = layout.row(partition);
        firsts[usize::from(row[0])] += 1;
        for &owner in row {
            counts[usize::from(owner)] += 1;
            companions[usize::from(owner)].extend(row.iter().filter(|&&other| other != owner));
        }
    }
    for node in 0..100 {
        assert!(
            (firsts[node] * 3).abs_diff(counts[node]) <= 9,
            "{} of {}",
            firsts[node],
            counts[node]
        );
        // Of two others per partition, at most the nodes of the other zones.
        let most = (counts[node] * 2).min(80);
        assert!(companions[node].len() * 2 >= most, "{} of {most}", companions[node].len());
    }
}
