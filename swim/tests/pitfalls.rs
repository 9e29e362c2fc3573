//! How other implementations failed, each as a scenario: the rows of the table of known pitfalls.

#[path = "support/speaking.rs"]
mod speaking;
mod support;

use std::time::Duration;

use coterie_swim::simulation::{Cluster, ProcessState, Scenario, Seen};
use coterie_swim::{Change, Event, Instance, Parameters, Rank, Record, Status};
use support::{proof, seeds};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

fn cluster(nodes: usize, seed: u64) -> Cluster {
    Cluster::converged(nodes, seed, Parameters::default())
}

fn settle(cluster: &mut Cluster, seed: u64) {
    let settled = cluster.run_until(30 * SECOND, STEP, Cluster::digests_equal);
    assert!(settled.is_some(), "seed {seed} ends with different digests");
}

fn snapshot_of(cluster: &Cluster, index: usize) -> Vec<Record> {
    let swim = cluster.swim(index).expect("it runs");
    let now = coterie_swim::Now { monotonic: cluster.now(), wall_millis: 0 };
    let bytes = coterie_swim::snapshot::encode(swim.memory(now));
    coterie_swim::snapshot::decode(&bytes).expect("own bytes")
}

/// Pitfall 1: an accusation above what is held was not kept, so that a stale claim of life undid the next one.
#[test]
fn stale_claim_of_life_does_not_undo_a_higher_accusation() {
    let mut cluster = cluster(3, 1);
    let (observer, subject) = (0, 1);
    let id = cluster.id(subject);
    cluster.crash(subject);
    let evidence = cluster.swim(observer).and_then(|swim| swim.evidence(id)).expect("it is known");
    let tell = |cluster: &mut Cluster, incarnation: u32, rank: Rank| {
        let incarnation = coterie_swim::Incarnation(incarnation);
        let record = Record {
            id,
            evidence: coterie_swim::Evidence { incarnation, rank, ..evidence },
            accusers: coterie_swim::Accusers::default(),
            age_seconds: 0,
            attributes: None,
        };
        speaking::tell(cluster, 2, observer, &[record]);
    };
    tell(&mut cluster, 0, Rank::Down);
    // It changes nothing anybody sees, and must be kept all the same.
    tell(&mut cluster, 5, Rank::Down);
    tell(&mut cluster, 4, Rank::Alive);
    cluster.run_for(5 * SECOND);
    assert_eq!(cluster.status(observer, subject), Some(Status::Down));
    let held = cluster.swim(observer).and_then(|swim| swim.evidence(id)).expect("it is known");
    assert_eq!(held.incarnation.0, 5);
}

/// Pitfall 2: nodes that restart all at once meet accusations of their former lives.
#[test]
fn mass_restart_with_old_gossip_in_flight_ends_in_a_full_view() {
    for seed in seeds() {
        let mut cluster = cluster(200, seed);
        for index in (0..200).step_by(7) {
            cluster.crash(index);
        }
        cluster.run_for(3 * SECOND);
        let snapshot = snapshot_of(&cluster, 1);
        let start = cluster.now();
        for index in 0..200 {
            cluster.crash(index);
            cluster.start_with(index, Vec::new(), snapshot.clone());
            cluster.run_for(Duration::from_millis(25));
        }
        cluster.run_until(60 * SECOND, STEP, Cluster::full_view);
        let elapsed = cluster.now() - start;
        eprintln!("seed {seed}: full view after {elapsed:?}");
        assert!(elapsed <= 15 * SECOND, "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 3: removed nodes come back to life out of others' old snapshots.
#[test]
fn removed_nodes_stay_removed_when_others_restart_from_old_snapshots() {
    for seed in seeds() {
        let mut cluster = cluster(150, seed);
        let snapshot = snapshot_of(&cluster, 149);
        for index in 0..50 {
            cluster.give(index, Event::Leave);
        }
        cluster.run_for(20 * SECOND);
        let restarted = cluster.now();
        for index in 50..100 {
            cluster.crash(index);
            cluster.start_with(index, Vec::new(), snapshot.clone());
        }
        cluster.run_for(60 * SECOND);
        let revived = cluster.observer.count(Seen::Up, restarted, |subject| subject < 50);
        assert_eq!(revived, 0, "seed {seed}");
        assert!(cluster.full_view(), "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 4: members that left are never forgotten.
#[test]
fn hundred_thousand_joins_and_leaves_take_no_more_than_twice_the_memory() {
    let mut cluster = cluster(100, 1);
    let bytes = |cluster: &Cluster| cluster.swim(0).expect("it runs").member_bytes();
    let live = bytes(&cluster);
    let pattern = snapshot_of(&cluster, 99).remove(0);
    let mut most = 0;
    for newcomer in 0..100_000_u128 {
        let mut record = pattern.clone();
        record.id =
            coterie_swim::NodeId((newcomer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) << 32 | 99);
        speaking::tell(&mut cluster, 1, 0, &[record.clone()]);
        record.evidence.rank = Rank::Left;
        speaking::tell(&mut cluster, 2, 0, &[record]);
        most = most.max(bytes(&cluster));
    }
    eprintln!("{live} bytes for 100 members, at most {most} during 100,000 joins and leaves");
    assert!(most <= 2 * live);
    assert!(cluster.swim(0).expect("it runs").members_held() <= 200);
    cluster.run_for(30 * SECOND);
    settle(&mut cluster, 1);
    assert_eq!(cluster.observer.count(Seen::Down, Duration::ZERO, |_| true), 0);
}

/// Pitfall 5: a node that moved is taken for another one, or for dead.
#[test]
fn moved_and_swapped_addresses_are_followed_without_a_death() {
    for seed in seeds() {
        let mut cluster = cluster(200, seed);
        let moved = cluster.now();
        for index in 0..100 {
            cluster.relocate(index, 1_000 + u32::try_from(index).expect("small"));
        }
        cluster.relocate(100, 101);
        cluster.relocate(101, 100);
        cluster.run_for(30 * SECOND);
        assert_eq!(cluster.observer.count(Seen::Down, moved, |_| true), 0, "seed {seed}");
        let told = cluster.observer.count(Seen::Moved, moved, |subject| subject < 102);
        assert_eq!(told, 102 * 199, "seed {seed}");
        assert!(cluster.full_view(), "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 6: identities made of clocks multiply when clocks jump.
#[test]
fn clock_jumps_of_a_day_change_nothing() {
    let run = |seed: u64, jumps: bool| {
        let day_millis = 24 * 60 * 60 * 1_000;
        let mut cluster = cluster(100, seed);
        for index in 0..100 {
            if jumps {
                cluster.skew_clock(index, if index % 2 == 0 { day_millis } else { -day_millis });
            }
            if index % 10 == 0 {
                cluster.crash(index);
                cluster.start(index, 1);
            }
            cluster.run_for(Duration::from_millis(200));
        }
        cluster.run_for(20 * SECOND);
        for index in 0..100 {
            assert_eq!(cluster.swim(index).expect("it runs").members_held(), 100, "seed {seed}");
        }
        assert!(cluster.full_view());
        (cluster.messages_sent(), cluster.observer.observations.len())
    };
    for seed in seeds() {
        assert_eq!(run(seed, true), run(seed, false), "seed {seed}");
    }
}

/// Pitfall 7: two processes of one identity refute each other for ever.
#[test]
fn of_two_processes_of_one_identity_one_falls_silent() {
    for seed in seeds() {
        let mut cluster = cluster(30, seed);
        let double = cluster.add_process(0);
        cluster.clone_identity(double, 5);
        cluster.start(double, 7);
        cluster.run_for(10 * SECOND);
        let silent = |cluster: &Cluster, index: usize| {
            cluster.swim(index).is_some_and(|swim| swim.next_deadline().is_none())
        };
        assert!(silent(&cluster, 5) != silent(&cluster, double), "seed {seed}");
        let sent = cluster.messages_sent();
        cluster.run_for(10 * SECOND);
        let rate = (cluster.messages_sent() - sent) / 30 / 10;
        assert!(rate <= 3, "seed {seed}: {rate} messages per node and second afterwards");
        let halted =
            cluster.observer.own.iter().filter(|(_, _, change)| {
                matches!(change, Change::DuplicateIdentity { halted: true })
            });
        assert_eq!(halted.count(), 1, "seed {seed}");
    }
}

/// Pitfall 8: a split longer than the dead are gossiped to never heals.
#[test]
fn split_of_an_hour_heals_without_seeds() {
    for seed in seeds() {
        let mut cluster = cluster(60, seed);
        cluster.network.split(60, |index| u8::from(index >= 30));
        cluster.run_for(3_600 * SECOND);
        cluster.network.heal();
        let healed = cluster.run_until(15 * SECOND, STEP, Cluster::full_view);
        eprintln!("seed {seed}: healed after {healed:?}");
        assert!(healed.is_some(), "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 9: a node that is overloaded takes the others for dead. (Blocked messages: see the gates.)
#[test]
fn stopped_processes_convict_nobody_when_they_go_on() {
    for seed in seeds() {
        let mut cluster = cluster(128, seed);
        for round in 0..6 {
            for index in (0..128).step_by(8) {
                let pause = Duration::from_millis(1_500 + 900 * ((index as u64 + round) % 7));
                cluster.suspend(index, ProcessState::Stopped, pause);
            }
            cluster.run_for(10 * SECOND);
        }
        let healthy = |subject: usize| !subject.is_multiple_of(8);
        let false_downs = cluster.observer.count(Seen::Down, Duration::ZERO, healthy);
        assert_eq!(false_downs, 0, "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 10: a node that comes and goes is a storm of deaths and births.
#[test]
fn flapping_node_is_called_down_ever_less_often() {
    let deaths = |seed: u64, damping_max: u32| {
        let parameters = Parameters { damping_max, ..Parameters::default() };
        let mut cluster = Cluster::converged(50, seed, parameters);
        for _ in 0..40 {
            cluster.suspend(7, ProcessState::Stopped, 4 * SECOND);
            cluster.run_for(Duration::from_millis(4_500));
        }
        cluster.observer.count(Seen::Down, Duration::ZERO, |subject| subject == 7)
    };
    for seed in seeds() {
        let (damped, undamped) = (deaths(seed, 3), deaths(seed, 0));
        eprintln!("seed {seed}: told {damped} times, {undamped} times without damping");
        assert!(4 * damped <= undamped, "seed {seed}: {damped}, undamped {undamped}");
    }
}

/// Pitfall 11: a target that cannot be sent to is taken for a local problem and never suspected.
#[test]
fn unroutable_member_is_convicted_and_nobody_thinks_itself_ill() {
    for seed in seeds() {
        let mut cluster = cluster(50, seed);
        for other in (0..50).filter(|other| *other != 9) {
            cluster.network.cuts.insert((other, 9));
        }
        cluster.run_for(15 * SECOND);
        for other in (0..50).filter(|other| *other != 9) {
            assert_eq!(cluster.status(other, 9), Some(Status::Down), "seed {seed}");
            assert_eq!(cluster.swim(other).expect("it runs").health(), 0, "seed {seed}");
        }
    }
}

/// Pitfall 12: paths that work one way only.
#[test]
fn one_way_cuts_between_pairs_kill_nobody_and_are_counted() {
    for seed in seeds() {
        let mut cluster = cluster(100, seed);
        for pair in 0..200 {
            cluster.network.cuts.insert((pair % 100, (pair * 37 + pair / 100 + 1) % 100));
        }
        cluster.run_for(120 * SECOND);
        assert_eq!(cluster.observer.count(Seen::Down, Duration::ZERO, |_| true), 0, "seed {seed}");
        let indirect: u64 =
            (0..100).filter_map(|i| cluster.swim(i)).map(|s| s.counters().indirect_only).sum();
        assert!(indirect > 0, "seed {seed}");
    }
}

/// Pitfall 13: two clusters become one when an address is used again.
#[test]
fn clusters_on_recycled_addresses_do_not_mix() {
    for seed in seeds() {
        let mut cluster = cluster(20, seed);
        for _ in 0..20 {
            cluster.add_process(1);
        }
        for index in 20..40 {
            cluster.start(index, 20);
        }
        cluster.run_for(10 * SECOND);
        for index in 0..10 {
            cluster.crash(index);
            cluster.relocate(index + 20, u32::try_from(index).expect("small"));
        }
        cluster.run_for(60 * SECOND);
        for observer in 10..40 {
            let swim = cluster.swim(observer).expect("it runs");
            let own = |index: usize| (index < 20) == (observer < 20);
            assert!(swim.view().all(|(id, ..)| own(cluster.index(id))), "seed {seed}");
        }
        let foreign: u64 =
            (20..40).filter_map(|i| cluster.swim(i)).map(|s| s.counters().foreign).sum();
        assert!(foreign > 0, "seed {seed}");
        let reported = cluster.observer.own.iter();
        assert!(reported.filter(|o| matches!(o.2, Change::ForeignCluster { .. })).count() > 0);
    }
}

/// Pitfall 14: a datagram larger than the path allows is lost.
#[test]
fn datagram_limit_may_change_at_any_time() {
    for seed in seeds() {
        let mut cluster = cluster(100, seed);
        let start = cluster.now();
        for step in 0..20 {
            cluster.network.bytes_max = if step % 2 == 0 { 600 } else { 1_150 };
            cluster.crash(step);
            cluster.run_for(2 * SECOND);
        }
        cluster.run_for(15 * SECOND);
        for observer in 20..100 {
            for subject in 0..20 {
                assert_eq!(cluster.status(observer, subject), Some(Status::Down), "seed {seed}");
            }
        }
        let healthy = |subject: usize| subject >= 20;
        assert_eq!(cluster.observer.count(Seen::Down, start, healthy), 0, "seed {seed}");
        settle(&mut cluster, seed);
    }
}

/// Pitfall 15: a farewell is overtaken by older claims of life, or not sent at all.
#[test]
fn leaving_under_loss_is_never_called_a_death() {
    for seed in seeds() {
        let mut cluster = cluster(100, seed);
        cluster.network.loss = 0.2;
        let start = cluster.now();
        for index in 0..20 {
            cluster.give(index, Event::Leave);
            cluster.run_for(Duration::from_millis(500));
        }
        cluster.run_for(20 * SECOND);
        let left = |subject: usize| subject < 20;
        assert_eq!(cluster.observer.count(Seen::Down, start, left), 0, "seed {seed}");
        for observer in 20..100 {
            for subject in 0..20 {
                assert_eq!(cluster.status(observer, subject), Some(Status::Left), "seed {seed}");
            }
        }
        cluster.network.loss = 0.0;
        settle(&mut cluster, seed);
    }
}

/// Pitfall 16: gossip reaches nearly everybody.
#[test]
fn node_that_missed_all_gossip_learns_of_every_death() {
    for seed in seeds() {
        let mut cluster = cluster(200, seed);
        // Half of all datagrams are lost while ten nodes die and the news is spread.
        cluster.network.loss = 0.5;
        for index in 0..10 {
            cluster.crash(index);
        }
        cluster.run_for(30 * SECOND);
        cluster.network.loss = 0.0;
        cluster.run_for(20 * SECOND);
        for observer in 10..200 {
            for subject in 0..10 {
                assert_eq!(cluster.status(observer, subject), Some(Status::Down), "seed {seed}");
            }
        }
        settle(&mut cluster, seed);
    }
}

/// Pitfall 17: helpers answer after the prober has stopped listening, who takes that for its own fault.
#[test]
fn healthy_nodes_stay_healthy_when_others_crash() {
    for seed in seeds() {
        let mut cluster = cluster(300, seed);
        for index in 0..10 {
            cluster.crash(index);
            for _ in 0..20 {
                cluster.run_for(STEP);
                let worst = cluster.alive().filter_map(|i| cluster.swim(i)).map(|s| s.health());
                assert_eq!(worst.max(), Some(0), "seed {seed}");
            }
        }
    }
}

/// Pitfall 18: what peers send makes a node panic. (Bytes: see `wire.rs`.)
#[test]
fn records_at_the_ends_of_their_ranges_are_taken_calmly() {
    let mut cluster = cluster(3, 1);
    let generation = coterie_swim::Generation::MAX;
    for rank in [Rank::Alive, Rank::Suspect, Rank::Down, Rank::Left] {
        for subject in 0..3 {
            let id = cluster.id(subject);
            let incarnation = coterie_swim::Incarnation(u32::MAX);
            let evidence = coterie_swim::Evidence { generation, incarnation, rank };
            let mut attributes = snapshot_of(&cluster, 2).remove(0).attributes;
            if let Some(attributes) = &mut attributes {
                attributes.instance = Instance(u64::MAX);
                attributes.version = u32::MAX;
            }
            let accusers = (0..4).map(coterie_swim::NodeId).collect();
            let record = Record { id, evidence, accusers, age_seconds: u32::MAX, attributes };
            speaking::tell(&mut cluster, 1, 0, &[record]);
            cluster.run_for(SECOND);
        }
    }
    cluster.run_for(60 * SECOND);
}

#[test]
fn scenarios_give_the_same_run_for_the_same_seed() {
    let nodes = if proof() { 300 } else { 60 };
    let run = |seed| {
        let (report, cluster) = Scenario::Churn.run(nodes, seed, Parameters::default());
        let observations = cluster.observer.observations.iter();
        let told: Vec<_> = observations.map(|o| (o.at, o.observer, o.subject, o.seen)).collect();
        (report.packets_handled, told)
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).1, run(4).1);
}
