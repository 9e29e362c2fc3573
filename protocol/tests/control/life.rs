//! A cluster begins, grows and shrinks.

use std::time::Duration;

use coterie_protocol::control::{Command, CommandError, StopCause};
use coterie_ring::{NodeState, PlacementPolicy, Spread};

use crate::cluster::{Cluster, PARTITIONS, id};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_node_alone_begins_a_cluster_only_when_told() {
    let mut cluster = Cluster::new(1, 1);
    cluster.start(0).unwrap();
    cluster.run(MINUTE);
    assert!(cluster.machines[0].view.is_none());
    cluster.bootstrap(0);
    let view = cluster.view(0);
    assert_eq!(view.decision.layout().partitioner().count(), PARTITIONS);
    for number in 0..16 {
        assert!(view.policy(format!("db{number}").as_bytes()).is_some());
    }
    let placement = PlacementPolicy { replicas: 3, spread: Spread::Zones };
    let again = cluster.command(0, Command::Bootstrap { partitions: 16, placement });
    assert!(matches!(again, Err(CommandError::AlreadyBegun)));
}

#[test]
fn a_cluster_grows_from_one_to_five_and_all_moves_end() {
    for seed in 0..5 {
        let cluster = Cluster::grown(seed, 5);
        for node in 0..5 {
            assert_eq!(cluster.members(node), [0, 1, 2, 3, 4], "seed {seed}");
            assert_eq!(cluster.view(node).decision.layout().replicas(), 3);
        }
        assert!(cluster.control(0).status().voters.len() >= 3);
    }
}

#[test]
fn a_node_joins_over_a_network_that_loses_a_fifth() {
    for seed in 0..5 {
        let mut cluster = Cluster::grown(seed, 3);
        cluster.loss_percent = 20;
        cluster.start(3).unwrap();
        cluster.until("it is a member everywhere", 2 * MINUTE, |cluster| {
            (0..4).all(|node| cluster.members(node).len() == 4)
        });
    }
}

/// Seed 32788. The power of all failed as soon as the newcomer was heard of, and its only seed did not come back. Where others are
/// was on disk 200 ms later than that they are members.
#[test]
fn a_newcomer_is_found_though_the_power_of_all_failed_and_its_seed_is_gone() {
    for seed in 0..5 {
        let mut cluster = Cluster::grown(seed, 3);
        cluster.start(3).unwrap();
        let is_asked = |cluster: &Cluster| {
            let status = cluster.control(1).status();
            status.members.iter().any(|member| member.node == id(3) && member.asked.is_some())
        };
        let mut patience = 10_000;
        while !is_asked(&cluster) {
            cluster.run(Duration::from_millis(1));
            patience -= 1;
            assert!(patience > 0, "seed {seed}: it does not ask");
        }
        (0..4).for_each(|node| cluster.kill(node));
        (1..4).for_each(|node| cluster.start(node).unwrap());
        cluster.until("it is a member everywhere", MINUTE, |cluster| {
            (1..4).all(|node| cluster.members(node).len() == 4)
        });
    }
}

#[test]
fn a_second_cluster_is_not_begun_beside_a_first() {
    let mut cluster = Cluster::grown(3, 2);
    cluster.machines[3].seeds = Some(1);
    cluster.take_in = coterie_ring::decision::TakeIn::Staged;
    cluster.start(3).unwrap();
    cluster.run(Duration::from_millis(1_500));
    let placement = PlacementPolicy { replicas: 3, spread: Spread::Zones };
    let refused = cluster.command(3, Command::Bootstrap { partitions: 8, placement });
    let refused = refused.map(|_| ()).unwrap_err();
    assert!(matches!(refused, CommandError::AlreadyBegun | CommandError::NotAlone { .. }));
}

#[test]
fn a_leaving_node_hands_over_and_ends_by_itself() {
    for seed in 0..5 {
        let mut cluster = Cluster::grown(seed, 4);
        cluster.command(1, Command::Leave { node: id(3) }).unwrap();
        cluster.until("it has ended", 2 * MINUTE, |cluster| {
            cluster.machines[3].stopped == Some(StopCause::Removed)
        });
        cluster.until("the others have its share", MINUTE, |cluster| {
            cluster.is_settled(0..3) && cluster.members(0) == [0, 1, 2]
        });
        let snapshot = cluster.view(0).decision.layout().snapshot();
        assert_eq!(snapshot.node(id(3)).unwrap().state, NodeState::Removed);
        // Its id is never used again.
        let refused = cluster.start(3).unwrap_err();
        assert_eq!(refused, coterie_protocol::control::OpenError::Removed);
    }
}

#[test]
fn a_leaving_node_with_hints_stays_until_they_are_delivered() {
    let mut cluster = Cluster::grown(2, 4);
    cluster.keep_hints(3);
    cluster.command(3, Command::Leave { node: id(3) }).unwrap();
    cluster.run(2 * MINUTE);
    assert_eq!(cluster.machines[3].stopped, None);
    assert!(!cluster.view(3).decision.is_owner(id(3)));
    let tell = |cluster: &mut Cluster, closed| {
        for lane in 0..2 {
            let event = coterie_protocol::ControlEvent::HintsKept { lane, any: false, closed };
            cluster.handle(3, coterie_protocol::control::Event::Lane(event));
        }
    };
    // A lane that has not heard that it is to take no more may come to keep others.
    tell(&mut cluster, false);
    cluster.run(MINUTE);
    assert_eq!(cluster.machines[3].stopped, None);
    tell(&mut cluster, true);
    cluster.until("it has ended", MINUTE, |cluster| cluster.machines[3].stopped.is_some());
}

#[test]
fn only_the_side_with_most_voters_decides_and_both_keep_their_views() {
    for seed in 0..5 {
        let mut cluster = Cluster::grown(seed, 5);
        let before = cluster.view(0).decision.version();
        let voters = cluster.control(0).status().voters;
        let (minority, majority): (Vec<usize>, Vec<usize>) =
            (0..5).partition(|node| *node == 3 || *node == 4);
        let with_most: Vec<usize> = [&minority, &majority]
            .into_iter()
            .find(|side| {
                2 * side.iter().filter(|n| voters.contains(&id(**n))).count() > voters.len()
            })
            .unwrap()
            .clone();
        for node in &minority {
            cluster.sides[*node] = 1;
        }
        cluster.run(Duration::from_secs(15));
        for side in [&minority, &majority] {
            let weight = 3;
            cluster.command(side[0], Command::Weight { node: id(side[0]), weight }).unwrap();
        }
        cluster.run(MINUTE);
        for node in 0..5 {
            let decided = cluster.view(node).decision.version() > before;
            assert_eq!(decided, with_most.contains(&node), "seed {seed}, node {node}");
            let others = if minority.contains(&node) { &majority } else { &minority };
            assert!(others.iter().all(|other| cluster.sees_down(node, *other)));
        }
        cluster.sides.fill(0);
        cluster.until("one layout with both wishes", MINUTE, |cluster| {
            let weighs = |node: usize| {
                let snapshot = cluster.view(0).decision.layout().snapshot();
                snapshot.node(id(node)).unwrap().weight == 3
            };
            cluster.is_settled(0..5) && weighs(minority[0]) && weighs(majority[0])
        });
    }
}
