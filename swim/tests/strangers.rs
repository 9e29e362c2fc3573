//! Members of which nothing is known but that they speak.

use std::time::Duration;

use coterie_swim::simulation::{Cluster, ProcessState};
use coterie_swim::{Address, Now, Parameters, Status, Swim, snapshot};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

fn address(cluster: &Cluster, index: usize) -> Address {
    let record = cluster.swim(index).map(Swim::own_record).expect("it runs");
    record.attributes.expect("a node has attributes").peer
}

/// Both seeds forget the others, who do not forget them: nobody else can tell them where those are.
#[test]
fn seeds_that_restart_without_a_memory_learn_of_all_who_speak_to_them() {
    for nodes in 3..8 {
        for seed in 1..6 {
            let mut cluster = Cluster::converged(nodes, seed, Parameters::default());
            let seeds = [address(&cluster, 0), address(&cluster, 1)];
            for index in 0..2 {
                cluster.crash(index);
                cluster.start_with(index, seeds.to_vec(), Vec::new());
            }
            let full = cluster.run_until(20 * SECOND, STEP, Cluster::full_view);
            assert!(full.is_some(), "{nodes} nodes, seed {seed}");
        }
    }
}

/// Two who slept through others' restart, and agree with each other, know those by what their earlier lives announced.
#[test]
fn sleepers_learn_what_later_lives_announce() {
    for seed in 1..6 {
        let mut cluster = Cluster::converged(6, seed, Parameters::default());
        for index in 4..6 {
            cluster.suspend(index, ProcessState::Stopped, 30 * SECOND);
        }
        for index in 0..4 {
            let seeds = (0..4).map(|other| address(&cluster, other)).collect();
            cluster.crash(index);
            cluster.start_with(index, seeds, Vec::new());
        }
        cluster.run_for(30 * SECOND);
        let known = |cluster: &Cluster| {
            (0..6).all(|observer| {
                let swim = cluster.swim(observer).expect("it runs");
                (0..6).filter(|index| *index != observer).all(|index| {
                    let own = cluster.swim(index).expect("it runs").own_record().attributes;
                    let mut shown = swim.view().filter(|(id, ..)| *id == cluster.id(index));
                    shown.any(|(_, _, attributes)| Some(*attributes) == own)
                })
            })
        };
        let all = cluster.run_until(30 * SECOND, STEP, known);
        assert!(all.is_some(), "seed {seed}");
    }
}

/// A node that starts again remembers one that died, which is back without a memory, and one that is gone for good.
#[test]
fn who_is_remembered_and_gone_keeps_nobody_from_finding_the_dead_who_are_back() {
    for seed in 1..6 {
        let mut cluster = Cluster::converged(3, seed, Parameters::default());
        let (back, gone) = (1, 2);
        cluster.crash(back);
        let dead = |cluster: &Cluster| cluster.status(0, back) == Some(Status::Down);
        assert!(cluster.run_until(60 * SECOND, STEP, dead).is_some(), "seed {seed}");
        let now = Now { monotonic: cluster.now(), wall_millis: 0 };
        let remembered: Vec<_> = cluster.swim(0).expect("it runs").memory(now).collect();
        cluster.crash(gone);
        cluster.crash(0);
        cluster.start_with(0, Vec::new(), remembered);
        cluster.start_with(back, Vec::new(), Vec::new());
        let found = |cluster: &Cluster| {
            cluster.status(0, back) == Some(Status::Up)
                && cluster.status(back, 0) == Some(Status::Up)
        };
        let found = cluster.run_until(60 * SECOND, STEP, found);
        assert!(found.is_some(), "seed {seed}");
    }
}

/// It restarts twice before it hears of anybody, and alone knows where the others are.
#[test]
fn who_restarts_alone_again_and_again_does_not_forget_the_others() {
    for seed in 1..6 {
        let mut cluster = Cluster::converged(5, seed, Parameters::default());
        let memory = |cluster: &Cluster| {
            let swim = cluster.swim(0).expect("it runs");
            let now = Now { monotonic: cluster.now(), wall_millis: 0 };
            snapshot::decode(&snapshot::encode(swim.memory(now))).expect("own bytes")
        };
        let mut remembered = memory(&cluster);
        for index in 0..5 {
            cluster.crash(index);
        }
        for _ in 0..2 {
            cluster.start_with(0, Vec::new(), remembered);
            cluster.run_for(30 * SECOND);
            remembered = memory(&cluster);
            cluster.crash(0);
        }
        cluster.start_with(0, Vec::new(), remembered);
        for index in 1..5 {
            cluster.start_with(index, Vec::new(), Vec::new());
        }
        let full = cluster.run_until(30 * SECOND, STEP, Cluster::full_view);
        assert!(full.is_some(), "seed {seed}");
    }
}
