//! A node that lost what it acknowledged is told so, and does not serve before it could be (invariant 2).

use std::time::Duration;

use coterie_protocol::control::{AmnesiaCause, Command, Event, Past, Report, SyncPolicy};
use coterie_protocol::rows::{Batch, MemoryStore, Space, Store, address};
use coterie_protocol::{ControlEvent, View};
use coterie_wire::{Committed, Run};

use crate::cluster::{Cluster, id};

const MINUTE: Duration = Duration::from_secs(60);

/// Node 1 acknowledges a commit to the others.
fn acknowledge(cluster: &mut Cluster, number: u64) {
    let run = cluster.view(1).run;
    acknowledged(cluster, run, number);
}

/// The others hear of a commit of node 1.
fn acknowledged(cluster: &mut Cluster, run: Run, number: u64) {
    for node in [0, 2] {
        let committed = Committed { run, lane: 0, number };
        let event = ControlEvent::Acknowledged { peer: id(1), committed };
        cluster.handle(node, Event::Lane(event));
    }
}

/// The storage of node 1 has this commit.
fn commit(cluster: &mut Cluster, number: u64) {
    let mut batch = Batch::new();
    batch.put(Space::Control, address::commits(0), number.to_be_bytes().to_vec());
    cluster.machines[1].store.commit(&batch).unwrap();
}

fn restart(cluster: &mut Cluster) -> View {
    cluster.kill(1);
    cluster.machines[1].reports.clear();
    cluster.start(1).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    cluster.view(1).clone()
}

fn amnesia(cluster: &Cluster) -> Vec<AmnesiaCause> {
    let cause = |report: &Report| match report {
        Report::Amnesia(cause) => Some(*cause),
        _ => None,
    };
    cluster.machines[1].reports.iter().filter_map(cause).collect()
}

#[test]
fn who_lost_what_it_acknowledged_is_told_before_it_serves() {
    let mut cluster = Cluster::grown(1, 3);
    let before = cluster.view(1).incarnation;
    commit(&mut cluster, 6);
    acknowledge(&mut cluster, 7);
    let view = restart(&mut cluster);
    assert!(view.amnesiac && view.incarnation != before);
    assert!(cluster.control(1).actors_spent());
    let told = amnesia(&cluster);
    assert!(matches!(told[..], [AmnesiaCause::Told { lane: 0, remembered: 7, recovered: 6, .. }]));
    cluster.until("its lanes have received all again", MINUTE, |cluster| !cluster.view(1).amnesiac);
    assert!(cluster.has_reported(1, |report| *report == Report::Recovered));
}

#[test]
fn who_kept_all_that_it_acknowledged_goes_on_as_before() {
    let mut cluster = Cluster::grown(2, 3);
    let before = cluster.view(1).incarnation;
    commit(&mut cluster, 7);
    acknowledge(&mut cluster, 7);
    for _ in 0..3 {
        let view = restart(&mut cluster);
        assert_eq!((view.amnesiac, view.incarnation), (false, before));
        assert!(!cluster.control(1).actors_spent());
    }
}

#[test]
fn what_is_remembered_outlives_those_who_remember() {
    let mut cluster = Cluster::grown(3, 3);
    acknowledge(&mut cluster, 7);
    cluster.run(Duration::from_secs(2));
    for node in [0, 1, 2] {
        cluster.crash(node);
    }
    for node in [0, 1, 2] {
        cluster.start(node).unwrap();
    }
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    assert!(matches!(amnesia(&cluster)[..], [AmnesiaCause::Told { .. }]));
}

/// Seed 3550 at 938eaf8: a storage was put back to before a commit, and the only peer that had heard of that lost its power less than
/// a second later. A dot was minted twice.
#[test]
fn who_is_not_vouched_for_mints_under_other_actors() {
    let mut cluster = Cluster::grown(13, 3);
    let vouched_for = |cluster: &mut Cluster| {
        assert!(!restart(cluster).amnesiac);
        !cluster.control(1).actors_spent()
    };
    cluster.run(Duration::from_secs(15));
    assert!(vouched_for(&mut cluster));
    cluster.crash(0);
    cluster.start(0).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[0].view.is_some());
    assert!(!vouched_for(&mut cluster));
    // To end in order does not bring back what was forgotten.
    cluster.reboot(0);
    cluster.start(0).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[0].view.is_some());
    assert!(!vouched_for(&mut cluster));

    // It is, once every lane was heard from.
    for lane in 0..2 {
        let run = cluster.view(1).run;
        let committed = Committed { run, lane, number: 3 };
        let event = ControlEvent::Acknowledged { peer: id(1), committed };
        cluster.handle(0, Event::Lane(event));
        let mut batch = Batch::new();
        batch.put(Space::Control, address::commits(lane), 3_u64.to_be_bytes().to_vec());
        cluster.machines[1].store.commit(&batch).unwrap();
    }
    assert!(vouched_for(&mut cluster));

    // Nor is it while somebody does not answer.
    cluster.kill(2);
    cluster.run(Duration::from_secs(20));
    assert!(!vouched_for(&mut cluster));
}

#[test]
fn a_loss_is_remembered_until_it_is_made_good() {
    let mut cluster = Cluster::grown(4, 3);
    acknowledge(&mut cluster, 7);
    let first = restart(&mut cluster);
    assert!(first.amnesiac);
    // It dies again before its lanes have received everything.
    let second = restart(&mut cluster);
    assert!(second.amnesiac);
    assert_eq!(second.incarnation, first.incarnation);
}

#[test]
fn what_a_node_has_acknowledged_since_it_started_is_no_loss_to_a_late_answer() {
    for spent in [false, true] {
        let mut cluster = Cluster::grown(11, 3);
        commit(&mut cluster, 7);
        acknowledge(&mut cluster, 7);
        cluster.run(Duration::from_secs(15));
        if spent {
            cluster.crash(1)
        } else {
            cluster.kill(1)
        }
        cluster.sides[1] = 1;
        cluster.machines[1].reports.clear();
        cluster.start(1).unwrap();
        cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
        // Writes come through before its question does.
        acknowledge(&mut cluster, 12);
        cluster.sides.fill(0);
        cluster.until("all have answered", MINUTE, |cluster| {
            cluster.control(1).status().unanswered.is_empty()
        });
        let status = cluster.control(1).status();
        assert_eq!((amnesia(&cluster), status.amnesiac, status.abstains), (vec![], false, false));
        // What it has acknowledged in that run is found missing by the next.
        restart(&mut cluster);
        assert!(matches!(amnesia(&cluster)[..], [AmnesiaCause::Told { remembered: 12, .. }]));
    }
}

#[test]
fn a_loss_is_told_to_a_node_that_started_again_before_it_could_be() {
    let mut cluster = Cluster::grown(12, 3);
    acknowledge(&mut cluster, 7);
    cluster.run(Duration::from_secs(15));
    cluster.crash(1);
    cluster.sides[1] = 1;
    cluster.start(1).unwrap();
    cluster.run(Duration::from_secs(1));
    cluster.kill(1);
    cluster.sides.fill(0);
    cluster.start(1).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    assert!(matches!(amnesia(&cluster)[..], [AmnesiaCause::Told { remembered: 7, .. }]));
}

#[test]
fn nobody_serves_before_the_others_have_answered_or_are_down() {
    let mut cluster = Cluster::grown(5, 3);
    cluster.run(Duration::from_secs(15));
    let earlier = cluster.view(1).run;
    cluster.kill(1);
    cluster.sides[1] = 1;
    let started = cluster.now;
    cluster.start(1).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    let waited = cluster.now - started;
    assert!(waited >= cluster.settings().ask_max, "waited {waited:?}");
    // Who is late is heard all the same.
    acknowledged(&mut cluster, earlier, 9);
    assert!(!cluster.view(1).amnesiac);
    cluster.sides.fill(0);
    cluster.until("it is told", MINUTE, |cluster| !amnesia(cluster).is_empty());

    // With one member down, which the others know, it does not wait for that one.
    cluster.kill(2);
    cluster.run(Duration::from_secs(20));
    cluster.kill(1);
    let started = cluster.now;
    cluster.start(1).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    let waited = cluster.now - started;
    assert!(waited < Duration::from_secs(3), "waited {waited:?}");
}

#[test]
fn an_unclean_stop_of_the_machine_spends_actors_and_loses_what_was_synced_periodically() {
    for (sync, loses) in [(SyncPolicy::Always, false), (SyncPolicy::Periodic, true)] {
        let mut cluster = Cluster::grown(6, 3);
        cluster.kill(1);
        cluster.machines[1].sync = Some(sync);
        cluster.start(1).unwrap();
        cluster.run(Duration::from_secs(10));
        let before = cluster.view(1).incarnation;
        cluster.crash(1);
        cluster.start(1).unwrap();
        assert!(cluster.control(1).actors_spent());
        cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
        assert_ne!(cluster.view(1).incarnation, before);
        assert_eq!(cluster.view(1).amnesiac, loses);

        cluster.run(Duration::from_secs(10));
        let before = cluster.view(1).incarnation;
        cluster.reboot(1);
        cluster.start(1).unwrap();
        assert!(!cluster.control(1).actors_spent());
        cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
        assert_eq!(cluster.view(1).incarnation, before);
        assert!(!cluster.view(1).amnesiac);
    }
}

#[test]
fn a_storage_that_went_back_in_time_is_found_out() {
    let mut cluster = Cluster::grown(7, 3);
    acknowledge(&mut cluster, 1);
    commit(&mut cluster, 1);
    cluster.reboot(1);
    let backup = cluster.machines[1].store.clone();
    // It starts again later on, and the others hear of that.
    cluster.start(1).unwrap();
    cluster.run(Duration::from_secs(1));
    cluster.crash(1);
    cluster.start(1).unwrap();
    cluster.until("it serves", MINUTE, |cluster| cluster.machines[1].view.is_some());
    acknowledge(&mut cluster, 2);
    cluster.kill(1);
    cluster.machines[1].store = backup;
    cluster.machines[1].reports.clear();
    cluster.start(1).unwrap();
    cluster.until("it is found out", MINUTE, |cluster| !amnesia(cluster).is_empty());
    assert!(matches!(amnesia(&cluster)[..], [AmnesiaCause::Superseded { .. }]));
}

/// An operator changes a weight at node 0, and it is decided.
fn decide(cluster: &mut Cluster, weight: u32) {
    let command = Command::Weight { node: id(0), weight };
    cluster.command(0, command).unwrap();
    cluster.until("it is decided", MINUTE, |cluster| weighs(cluster, 0, weight));
}

fn weighs(cluster: &Cluster, at: usize, weight: u32) -> bool {
    let view = cluster.machines[at].view.as_ref();
    view.is_some_and(|view| {
        let snapshot = view.decision.layout().snapshot();
        snapshot.node(id(0)).unwrap().weight == weight
    })
}

#[test]
fn a_restored_node_receives_all_again_and_does_not_vote_on_what_it_may_have_voted_on() {
    let mut cluster = Cluster::grown(8, 3);
    let backup = cluster.machines[1].store.clone();
    decide(&mut cluster, 2);
    decide(&mut cluster, 3);
    cluster.kill(1);
    cluster.machines[1].store = backup;
    cluster.start_after(1, Past::Restored).unwrap();
    cluster.until("it serves, with what is in force", MINUTE, |cluster| {
        cluster.machines[1].view.is_some() && weighs(cluster, 1, 3)
    });
    assert_eq!(amnesia(&cluster)[..1], [AmnesiaCause::Restored]);
    // Also after another restart its vote is not to be had.
    cluster.kill(1);
    cluster.start(1).unwrap();
    cluster.run(Duration::from_secs(10));
    cluster.kill(2);
    cluster.command(0, Command::Weight { node: id(0), weight: 4 }).unwrap();
    cluster.run(MINUTE);
    assert!(cluster.control(1).status().abstains && weighs(&cluster, 0, 3));
    // The others decide without it, and then it votes again.
    cluster.start(2).unwrap();
    cluster.until("it is decided", MINUTE, |cluster| weighs(cluster, 0, 4));
    cluster.until("it votes again", MINUTE, |cluster| !cluster.control(1).status().abstains);
    cluster.kill(2);
    decide(&mut cluster, 5);
}

#[test]
fn an_owner_whose_storage_was_wiped_counts_for_nothing_until_it_has_received_its_share() {
    let mut cluster = Cluster::grown(9, 3);
    cluster.kill(1);
    cluster.machines[1].store = MemoryStore::new();
    cluster.start(1).unwrap();
    cluster.until("it has a view", MINUTE, |cluster| cluster.machines[1].view.is_some());
    assert!(cluster.view(1).amnesiac);
    assert_eq!(amnesia(&cluster), [AmnesiaCause::Wiped]);
    assert!(cluster.control(1).status().abstains);
}

#[test]
fn a_cluster_that_was_restored_as_a_whole_goes_on_from_the_latest_backup() {
    let mut cluster = Cluster::grown(10, 3);
    let mut backups: Vec<_> = (0..2).map(|node| cluster.machines[node].store.clone()).collect();
    decide(&mut cluster, 2);
    acknowledge(&mut cluster, 50);
    cluster.run(Duration::from_secs(5));
    backups.push(cluster.machines[2].store.clone());
    decide(&mut cluster, 3);
    for (node, backup) in backups.into_iter().enumerate() {
        cluster.kill(node);
        cluster.machines[node].store = backup;
    }
    cluster.decided.clear();
    for node in 0..3 {
        cluster.start_after(node, Past::ClusterRestored).unwrap();
        assert!(cluster.control(node).actors_spent());
        assert!(cluster.control(node).status().abstains);
    }
    cluster.until("all vote on what follows the latest", MINUTE, |cluster| {
        (0..3).all(|node| weighs(cluster, node, 2) && !cluster.control(node).status().abstains)
    });
    assert!((0..3).all(|node| !cluster.view(node).amnesiac));
    decide(&mut cluster, 4);
}
