//! What operators command is done by the cluster, or refused with nothing changed.

use std::time::Duration;

use coterie_protocol::control::{Answer, Command, CommandError, Report, StopCause};
use coterie_ring::decision::TakeIn;
use coterie_ring::{BucketKind, BucketPolicy, EditError, Level, NodeState, PlanError};

use crate::cluster::{Cluster, id, place};

const MINUTE: Duration = Duration::from_secs(60);

fn bucket(replicas: u8, kind: BucketKind) -> BucketPolicy {
    BucketPolicy { replicas, kind, write: Level::One, read: Level::One, expiry_millis: None }
}

#[test]
fn a_replacement_takes_over_in_one_decision() {
    let mut cluster = Cluster::grown(1, 3);
    cluster.kill(2);
    cluster.start(3).unwrap();
    cluster.until("it has asked to join", MINUTE, |cluster| {
        let members = cluster.control(0).status().members;
        members.iter().any(|member| member.node == id(3) && member.asked.is_some())
    });
    cluster.command(0, Command::Replace { old: id(2), new: id(3) }).unwrap();
    cluster.until("it has taken over", MINUTE, |cluster| {
        cluster.is_settled([0, 1, 3].into_iter()) && cluster.members(0) == [0, 1, 3]
    });
    for decision in cluster.decided.values() {
        let members = decision.layout();
        let both = members.member_index(id(2)).is_some() && members.member_index(id(3)).is_some();
        assert!(!both && members.members().len() <= 3);
    }
    let snapshot = cluster.view(0).decision.layout().snapshot().clone();
    assert_eq!(snapshot.node(id(3)).unwrap().place, place(2));
}

#[test]
fn a_dead_node_is_removed_and_never_waited_for() {
    let mut cluster = Cluster::grown(2, 4);
    cluster.crash(3);
    cluster.command(1, Command::Remove { nodes: vec![id(3)] }).unwrap();
    cluster.until("it is gone", MINUTE, |cluster| {
        cluster.is_settled(0..3) && cluster.members(0) == [0, 1, 2]
    });
}

#[test]
fn a_lost_majority_of_voters_is_given_up_by_force_and_overruled_when_it_returns() {
    for seed in 0..3 {
        let mut cluster = Cluster::grown(seed, 5);
        // Nodes 0, 1 and 3: every partition has a copy on node 2, which is alone in its zone.
        for node in [0, 1, 3] {
            cluster.sides[node] = 1;
        }
        cluster.run(Duration::from_secs(10));
        let removed = vec![id(0), id(1), id(3)];
        cluster.command(2, Command::Remove { nodes: removed.clone() }).unwrap();
        cluster.run(MINUTE);
        assert_eq!(cluster.members(2).len(), 5, "two of five voters decide nothing");
        cluster.command(0, Command::Weight { node: id(0), weight: 5 }).unwrap();
        cluster.run(MINUTE);
        assert!(cluster.view(0).decision.version() > cluster.view(2).decision.version());

        cluster.command(2, Command::Force { removed }).unwrap();
        cluster.until("both that are left follow", MINUTE, |cluster| {
            [2, 4].iter().all(|node| {
                cluster.view(*node).decision.version().epoch == 1
                    && cluster.members(*node) == [2, 4]
            })
        });
        cluster.sides.fill(0);
        cluster.until("the others end", 2 * MINUTE, |cluster| {
            [0, 1, 3].iter().all(|node| cluster.machines[*node].stopped == Some(StopCause::Removed))
        });
        for node in [0, 1, 3] {
            let overruled = |report: &Report| matches!(report, Report::Overruled { .. });
            assert!(cluster.has_reported(node, overruled), "seed {seed}, node {node}");
        }
    }
}

#[test]
fn what_overruled_sets_held_is_told_to_lanes_until_it_was_brought_over() {
    let mut cluster = Cluster::grown(4, 5);
    // Nodes 0 and 1 are cut off, and stay members of the forced epoch.
    for node in [0, 1] {
        cluster.sides[node] = 1;
    }
    cluster.run(Duration::from_secs(10));
    cluster.command(2, Command::Weight { node: id(4), weight: 5 }).unwrap();
    cluster.run(MINUTE);
    cluster.command(0, Command::Force { removed: vec![id(3)] }).unwrap();
    cluster.sides.fill(0);
    cluster.until("the epoch is everywhere", MINUTE, |cluster| {
        [0, 1, 2, 4].iter().all(|node| cluster.view(*node).decision.version().epoch == 1)
    });
    let overruled = cluster.view(2).overruled.clone();
    assert!(!overruled.is_empty());
    assert_eq!(cluster.view(2).skipped.map(|version| version.epoch), Some(1));
    cluster.kill(2);
    cluster.start(2).unwrap();
    cluster.until("it serves again", MINUTE, |cluster| cluster.machines[2].view.is_some());
    assert_eq!(cluster.view(2).overruled, overruled);
    for lost in overruled.iter() {
        let slice = coterie_wire::Slice { partition: lost.partition, replicas: lost.replicas };
        let version = lost.set.version;
        let event = coterie_protocol::ControlEvent::OverruledDone { slice, version };
        cluster.handle(2, coterie_protocol::control::Event::Lane(event));
    }
    cluster.run(Duration::from_secs(1));
    assert!(cluster.view(2).overruled.is_empty());
}

#[test]
fn staged_changes_wait_for_a_commit_to_what_was_planned() {
    let mut cluster = Cluster::grown(5, 3);
    cluster.take_in = TakeIn::Staged;
    for node in 0..3 {
        cluster.kill(node);
        cluster.start(node).unwrap();
    }
    cluster.start(3).unwrap();
    cluster.run(MINUTE);
    assert_eq!(cluster.members(0), [0, 1, 2]);
    let Answer::Plan(plan) = *cluster.command(1, Command::Plan).unwrap() else { panic!("a plan") };
    assert!(plan.layout().member_index(id(3)).is_some() && !plan.moves().is_empty());
    cluster.command(1, Command::Commit).unwrap();
    cluster.until("it is a member", MINUTE, |cluster| cluster.members(0) == [0, 1, 2, 3]);
    assert_eq!(cluster.view(0).decision.layout().parts().table, plan.layout().parts().table);
}

#[test]
fn what_is_asked_for_and_not_in_force_is_taken_back() {
    let mut cluster = Cluster::grown(7, 4);
    let in_force = |cluster: &Cluster, node: usize| {
        let snapshot = cluster.view(node).decision.layout().snapshot().clone();
        let nodes: Vec<_> = snapshot.nodes().map(|(id, node)| (id, node.clone())).collect();
        let buckets: Vec<_> =
            snapshot.buckets().map(|(name, policy)| (name.clone(), policy.clone())).collect();
        (nodes, buckets, snapshot.placement())
    };
    let before = in_force(&cluster, 0);
    cluster.sides[0] = 1;
    cluster.run(Duration::from_secs(10));
    cluster.command(0, Command::Weight { node: id(1), weight: 7 }).unwrap();
    cluster.command(0, Command::Leave { node: id(2) }).unwrap();
    let policy = BucketPolicy { write: Level::All, ..BucketPolicy::default() };
    cluster.command(0, Command::Bucket { name: "db0".to_owned(), policy }).unwrap();
    let Answer::Plan(plan) = *cluster.command(0, Command::Plan).unwrap() else { panic!("a plan") };
    assert!(!plan.moves().is_empty());
    cluster.command(0, Command::Clear).unwrap();
    let Answer::Plan(plan) = *cluster.command(0, Command::Plan).unwrap() else { panic!("a plan") };
    assert!(plan.moves().is_empty());
    cluster.sides.fill(0);
    cluster.until("nothing is asked for any more", MINUTE, |cluster| {
        cluster.is_settled(0..4) && (0..4).all(|node| !cluster.control(node).status().pending)
    });
    for node in 0..4 {
        assert_eq!(in_force(&cluster, node), before);
    }
}

#[test]
fn buckets_are_made_and_keep_their_replicas_and_kind() {
    let mut cluster = Cluster::grown(6, 3);
    let name = || "carts".to_owned();
    let sloppy = Command::Bucket { name: name(), policy: bucket(2, BucketKind::Sloppy) };
    cluster.command(1, sloppy).unwrap();
    cluster.until("it is in force everywhere", MINUTE, |cluster| {
        (0..3).all(|node| cluster.view(node).policy(b"carts").is_some())
    });
    for policy in [bucket(3, BucketKind::Sloppy), bucket(2, BucketKind::Strong)] {
        let refused = cluster.command(2, Command::Bucket { name: name(), policy }).unwrap_err();
        assert!(matches!(refused, CommandError::Edit(EditError::BucketFixed { .. })));
    }
    let policy = BucketPolicy { write: Level::All, ..bucket(2, BucketKind::Sloppy) };
    cluster.command(2, Command::Bucket { name: name(), policy }).unwrap();
    cluster.until("the level is in force", MINUTE, |cluster| {
        (0..3).all(|node| cluster.view(node).policy(b"carts").unwrap().write == Level::All)
    });
    let bad = Command::Bucket { name: String::new(), policy: bucket(2, BucketKind::Sloppy) };
    assert!(matches!(cluster.command(0, bad), Err(CommandError::Name(_))));
}

#[test]
fn what_has_no_layout_is_refused_with_nothing_changed() {
    let mut cluster = Cluster::grown(7, 3);
    let all = (0..3).map(id).collect();
    let refused = cluster.command(0, Command::Remove { nodes: all });
    assert!(matches!(refused, Err(CommandError::Plan(PlanError::NoNodes))));
    let stranger = cluster.command(0, Command::Leave { node: id(9) });
    assert_eq!(stranger, Err(CommandError::UnknownNode { node: id(9) }));
    let stay = cluster.command(0, Command::Stay { node: id(1) });
    assert_eq!(stay, Err(CommandError::WrongState { node: id(1), state: NodeState::Active }));
    cluster.start(3).unwrap();
    let homeless = cluster.command(3, Command::Leave { node: id(3) });
    assert_eq!(homeless, Err(CommandError::NoCluster));
    assert!(!cluster.control(0).status().pending);
}

#[test]
fn what_is_given_up_is_told_to_all_lanes_and_survives_restarts() {
    let mut cluster = Cluster::grown(8, 3);
    cluster.command(1, Command::GiveUp { owners: 3 }).unwrap();
    let all = |cluster: &Cluster| {
        (0..3).all(|node| {
            let view = cluster.machines[node].view.as_ref();
            view.is_some_and(|view| view.given_up.is_some_and(|given_up| given_up.owners == 3))
        })
    };
    cluster.until("all know", MINUTE, all);
    for node in 0..3 {
        cluster.crash(node);
        cluster.start(node).unwrap();
    }
    cluster.until("all know again", MINUTE, all);
}

#[test]
fn a_peer_whose_clock_is_off_is_as_one_that_is_down_until_it_is_set() {
    let mut cluster = Cluster::grown(9, 3);
    let greet = |cluster: &mut Cluster, millis: u64| {
        let now = coterie_swim::Now { monotonic: cluster.now, wall_millis: millis };
        let hello = cluster.control(1).hello(now);
        let round_trip = Duration::from_millis(20);
        let event = coterie_protocol::control::Event::Hello { peer: id(1), hello, round_trip };
        cluster.handle(0, event);
        cluster.run(Duration::from_millis(50));
    };
    let wall =
        |cluster: &Cluster| 1_700_000_000_000 + u64::try_from(cluster.now.as_millis()).unwrap();
    let now = wall(&cluster);
    greet(&mut cluster, now - 515);
    assert!(!cluster.sees_down(0, 1), "up to a round trip of that may be the way");
    for off in [-600_i64, 600] {
        let now = wall(&cluster).saturating_add_signed(off);
        greet(&mut cluster, now);
        assert!(cluster.sees_down(0, 1));
        let now = wall(&cluster);
        greet(&mut cluster, now);
        assert!(!cluster.sees_down(0, 1));
    }
    assert!(cluster.has_reported(0, |report| matches!(report, Report::Unfit { .. })));
}
