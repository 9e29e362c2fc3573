//! The planner's promises, over random fleets and random edits.

use std::collections::BTreeMap;

use coterie_ring::{Intent, Layout, NodeId, NodeState, PlanError, Spread, bootstrap, plan, verify};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::fleet::{
    active, counts, edit, fleet, judge, node, partitioner, placement, proof, scrambled, seeded,
};

/// Fleets from one node to 1,000, over zones, regions, weights and replica counts.
#[test]
fn single_changes_keep_every_promise() {
    let sizes: &[(usize, usize)] = if proof() {
        &[
            (256, 1),
            (256, 2),
            (256, 3),
            (256, 4),
            (256, 7),
            (256, 16),
            (256, 30),
            (256, 100),
            (1_024, 5),
            (1_024, 10),
            (1_024, 30),
            (1_024, 100),
            (1_024, 300),
            (4_096, 10),
            (4_096, 30),
            (4_096, 100),
            (4_096, 300),
            (4_096, 1_000),
        ]
    } else {
        &[
            (256, 1),
            (256, 2),
            (256, 3),
            (256, 4),
            (256, 7),
            (256, 16),
            (256, 30),
            (1_024, 100),
            (4_096, 300),
        ]
    };
    let (mut plans, mut moves, mut forced) = (0, 0, 0);
    for &(partitions, nodes) in sizes {
        for (zones, regions) in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 3), (4, 2), (5, 1), (5, 3)] {
            for weight_max in [1, 4] {
                let mut rng =
                    seeded(partitions as u64 ^ (nodes * 100 + zones * 10 + regions) as u64);
                let intent = fleet(&mut rng, nodes, zones, regions, weight_max);
                let first = bootstrap(7, partitioner(partitions), &intent).unwrap();
                judge(None, &first);
                for (name, intent) in single_changes(&mut rng, &intent, zones, regions) {
                    let next = match plan(first.layout(), &intent) {
                        Ok(next) => next,
                        Err(PlanError::LastCopies { .. } | PlanError::NoNodes) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    let verdict = judge(Some(first.layout()), &next);
                    assert_eq!(verify(first.layout(), next.layout()), Ok(()));
                    plans += 1;
                    moves += verdict.moves;
                    forced += verdict.moves_forced;
                    if verdict.moves_forced > 0 && nodes >= 100 {
                        println!(
                            "P {partitions} n {nodes} z {zones} r {regions} w {weight_max} {name}: \
                             {} moves, {} beyond the counts",
                            verdict.moves, verdict.moves_forced
                        );
                    }
                }
            }
        }
    }
    println!("{plans} plans, {moves} moves, {forced} of them beyond what the counts need");
}

/// Join, leave, drain, weight change, loss of a zone, another zone.
fn single_changes(
    rng: &mut Xoshiro256PlusPlus,
    intent: &Intent,
    zones: usize,
    regions: usize,
) -> Vec<(&'static str, Intent)> {
    let ids = active(intent);
    let any = ids[rng.random_range(0..ids.len())];
    let mut changes = Vec::new();
    let mut change = |name, apply: &mut dyn FnMut(&mut Intent)| {
        let mut changed = intent.clone();
        apply(&mut changed);
        changes.push((name, changed));
    };
    let (joined, zone) = (NodeId(rng.random()), rng.random_range(0..zones));
    change("nothing", &mut |_| {});
    change("join", &mut |intent| intent.set_node(joined, node(2, zone, regions)).unwrap());
    change("leave", &mut |intent| edit(intent, any, |node| node.state = NodeState::Removed));
    change("drain", &mut |intent| edit(intent, any, |node| node.state = NodeState::Draining));
    change("weight x2", &mut |intent| edit(intent, any, |node| node.weight *= 2));
    change("weight 0", &mut |intent| {
        if ids.len() > 1 {
            edit(intent, any, |node| node.weight = 0);
        }
    });
    change("zone loss", &mut |intent| {
        let place = intent.node(any).unwrap().place.clone();
        for &id in &ids {
            if intent.node(id).unwrap().place == place {
                edit(intent, id, |node| node.state = NodeState::Removed);
            }
        }
    });
    change("new zone", &mut |intent| intent.set_node(joined, node(1, zones, regions)).unwrap());
    changes
}

#[test]
fn nothing_changed_moves_nothing() {
    let mut rng = seeded(1);
    for (nodes, zones, regions) in [(1, 1, 1), (5, 2, 1), (12, 4, 2), (40, 5, 3)] {
        let intent = fleet(&mut rng, nodes, zones, regions, 4);
        let first = bootstrap(7, partitioner(256), &intent).unwrap();
        let next = plan(first.layout(), &intent).unwrap();
        assert!(next.moves().is_empty());
        assert_eq!(first.layout().parts().table, next.layout().parts().table);
        assert_eq!(first.layout().voters(), next.layout().voters());
    }
}

#[test]
fn order_of_edits_does_not_matter() {
    let mut rng = seeded(2);
    let intent = fleet(&mut rng, 30, 4, 2, 4);
    let mut shuffled: Vec<_> =
        intent.nodes().map(|(id, node)| (rng.random::<u64>(), id, node.clone())).collect();
    shuffled.sort();
    let mut other = Intent::new();
    for (_, id, node) in shuffled {
        other.set_node(id, node).unwrap();
    }
    let plan = |intent| bootstrap(7, partitioner(256), intent).unwrap();
    assert_eq!(plan(&intent), plan(&other));
}

#[test]
fn a_node_that_comes_and_goes_costs_at_most_twice_its_share() {
    for seed in 0..if proof() { 50 } else { 10 } {
        let mut rng = seeded(seed);
        let nodes = rng.random_range(4..60);
        let mut intent = fleet(&mut rng, nodes, 3, 1, 4);
        let first = bootstrap(7, partitioner(256), &intent).unwrap();
        let id = NodeId(rng.random());
        intent.set_node(id, node(2, rng.random_range(0..3), 1)).unwrap();
        let more = plan(first.layout(), &intent).unwrap();
        edit(&mut intent, id, |node| node.state = NodeState::Removed);
        let back = plan(more.layout(), &intent).unwrap();
        let moves = more.moves().len() + back.moves().len();
        let bound = more.moves_min() + back.moves_min();
        assert!(moves <= 2 * bound, "seed {seed}: {moves} moves, bound {bound}");
    }
}

/// Walks of random edits, each plan judged and verified.
#[test]
fn random_edits_keep_every_promise() {
    let (walks, edits) = if proof() { (8, 500) } else { (2, 120) };
    for seed in 0..walks {
        let mut rng = seeded(100 + seed);
        let partitions = [256, 1_024][usize::try_from(seed % 2).unwrap()];
        let mut intent = fleet(&mut rng, 12, 3, 2, 4);
        let mut layout = bootstrap(7, partitioner(partitions), &intent).unwrap().layout().clone();
        let (mut moves, mut forced, mut refused) = (0, 0, 0);
        for _ in 0..edits {
            let before = intent.clone();
            random_edit(&mut rng, &mut intent);
            match plan(&layout, &intent) {
                Ok(next) => {
                    let verdict = judge(Some(&layout), &next);
                    assert_eq!(verify(&layout, next.layout()), Ok(()));
                    moves += verdict.moves;
                    forced += verdict.moves_forced;
                    layout = next.layout().clone();
                }
                Err(_) => {
                    refused += 1;
                    intent = before;
                }
            }
        }
        println!(
            "seed {seed}: P {partitions}, {edits} edits, {} nodes at the end, {moves} moves, \
             {forced} beyond the counts, {refused} refused, first owners {:.2} of their mean",
            layout.members().len(),
            first_owner_skew(&layout),
        );
    }
}

fn random_edit(rng: &mut Xoshiro256PlusPlus, intent: &mut Intent) {
    let ids = active(intent);
    let any = ids[rng.random_range(0..ids.len())];
    let zone = rng.random_range(0..5);
    match rng.random_range(0..12) {
        0..=4 => {
            intent.set_node(NodeId(rng.random()), node(rng.random_range(1..5), zone, 3)).unwrap()
        }
        5..=7 => edit(intent, any, |node| node.state = NodeState::Removed),
        8 => edit(intent, any, |node| node.state = NodeState::Draining),
        9 => edit(intent, any, |node| node.weight = rng.random_range(0..5)),
        10 => {
            let place = intent.node(any).unwrap().place.clone();
            for id in ids {
                if intent.node(id).unwrap().place == place {
                    edit(intent, id, |node| node.state = NodeState::Removed);
                }
            }
        }
        _ => {
            let spread = [Spread::Nodes, Spread::Zones, Spread::Regions];
            placement(intent, rng.random_range(1..6), spread[rng.random_range(0..3)]);
        }
    }
}

/// The largest number of first positions over their number by share.
fn first_owner_skew(layout: &Layout) -> f64 {
    let counts = counts(layout);
    let mut firsts = BTreeMap::new();
    for partition in layout.partitioner().partitions() {
        *firsts.entry(layout.owners(partition, 1).next().unwrap()).or_insert(0) += 1;
    }
    let width = layout.replicas() as f64;
    let skew = |(id, first): (&NodeId, &usize)| *first as f64 * width / counts[id] as f64;
    firsts.iter().map(skew).fold(0.0, f64::max)
}

/// A parent may come from elsewhere: any table of distinct owners, and any weights.
#[test]
fn any_parent_is_put_right() {
    let cases = if proof() { 3_000 } else { 300 };
    let (mut plans, mut moves) = (0, 0);
    for seed in 0..cases {
        let mut rng = seeded(seed);
        let (nodes, zones, regions) =
            (rng.random_range(1..20), rng.random_range(1..6), rng.random_range(1..4));
        let weight_max = [1, 4, 1_000, u32::MAX][rng.random_range(0..4)];
        let mut intent = fleet(&mut rng, nodes, zones, regions, weight_max);
        let spreads = [Spread::Nodes, Spread::Zones, Spread::Regions];
        placement(&mut intent, rng.random_range(1..=8), spreads[rng.random_range(0..3)]);
        let first = bootstrap(7, partitioner(64), &intent).unwrap();
        judge(None, &first);

        let parent = scrambled(&mut rng, first.layout());
        random_edit(&mut rng, &mut intent);
        if let Ok(next) = plan(&parent, &intent) {
            moves += judge(Some(&parent), &next).moves;
            assert_eq!(verify(&parent, next.layout()), Ok(()));
            plans += 1;
        }
    }
    println!("{plans} plans after random tables, {moves} moves");
}
