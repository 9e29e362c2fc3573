//! Whatever machines and networks do, no version is decided twice, and all end up with one layout.

use std::time::Duration;

use coterie_protocol::control::{AmnesiaCause, Command, Report};
use rand::RngExt;

use crate::cluster::{Cluster, id};

const NODES: usize = 5;
const STEPS: usize = 60;
const RUNS: u64 = 25;
const RUNS_PROOF: u64 = 1_000;

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    crashes: u64,
    kills: u64,
    splits: u64,
    commands: u64,
    decisions: usize,
    seconds_to_settle_max: u64,
}

fn run(seed: u64, counts: &mut Counts) {
    let mut cluster = Cluster::grown(seed, NODES);
    for node in 0..NODES {
        // Nobody ends for good, so that all can be compared at the end.
        cluster.keep_hints(node);
    }
    for _ in 0..STEPS {
        cluster.loss_percent = cluster.random.random_range(0..20);
        let node = cluster.random.random_range(0..NODES);
        let runs = cluster.machines[node].control.is_some();
        match cluster.random.random_range(0..10) {
            0 if runs => {
                counts.crashes += 1;
                cluster.crash(node);
            }
            1 if runs => {
                counts.kills += 1;
                cluster.kill(node);
            }
            2 => {
                counts.splits += 1;
                for side in 0..NODES {
                    cluster.sides[side] = cluster.random.random_range(0..2);
                }
            }
            3 => cluster.sides.fill(0),
            4 | 5 if runs => {
                let (of, weight) =
                    (cluster.random.random_range(0..NODES), cluster.random.random_range(1..5));
                let command = Command::Weight { node: id(of), weight };
                counts.commands += u64::from(cluster.command(node, command).is_ok());
            }
            6 if runs => {
                let other = cluster.random.random_range(1..NODES);
                let command = match cluster.random.random_range(0..2) {
                    0 => Command::Leave { node: id(other) },
                    _ => Command::Stay { node: id(other) },
                };
                counts.commands += u64::from(cluster.command(node, command).is_ok());
            }
            7..10 if !runs => cluster.start(node).unwrap(),
            _ => {}
        }
        let pause = cluster.random.random_range(10..3_000);
        cluster.run(Duration::from_millis(pause));
    }
    cluster.sides.fill(0);
    cluster.loss_percent = 0;
    for node in 0..NODES {
        if cluster.machines[node].control.is_none() {
            cluster.start(node).unwrap();
        }
    }
    let healed = cluster.now;
    cluster.until("all agree", Duration::from_secs(300), |cluster| cluster.is_settled(0..NODES));
    counts.seconds_to_settle_max =
        counts.seconds_to_settle_max.max((cluster.now - healed).as_secs());
    for machine in &cluster.machines {
        for report in &machine.reports {
            assert!(!matches!(report, Report::ForkedChain(_) | Report::VoteLost), "{report}");
            let told = matches!(
                report,
                Report::Amnesia(AmnesiaCause::Told { .. } | AmnesiaCause::Superseded { .. })
            );
            assert!(!told, "honest disks: {report}");
        }
    }
    counts.runs += 1;
    counts.decisions += cluster.decided.len();
}

#[test]
fn no_version_is_decided_twice_and_all_end_up_with_one_layout() {
    let proof = std::env::var_os("COTERIE_PROOF").is_some();
    let mut counts = Counts::default();
    for seed in 0..if proof { RUNS_PROOF } else { RUNS } {
        println!("seed {seed}");
        run(seed, &mut counts);
    }
    println!("0 violations: {counts:?}");
}
