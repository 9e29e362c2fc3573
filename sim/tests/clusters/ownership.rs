//! Five nodes become six and five again while clients work, and one of them may crash meanwhile.

use std::time::Duration;

use coterie_protocol::control::Command;
use coterie_ring::decision::Decision;
use coterie_ring::{NodeId, Partition};
use coterie_sim::cluster::Cluster;
use coterie_sim::{Options, finals, settle};

use crate::{begun, is_full};

/// Nodes before and after; one more has joined in between.
const NODES: usize = 5;
/// The node that joins.
const JOINER: usize = NODES;
/// The node that leaves.
const LEAVER: usize = 2;
/// Owners of each key.
const REPLICAS: u8 = 3;
/// How long a change may take, crashes included.
const CHANGE_MAX: Duration = Duration::from_secs(60);
/// How long a process that crashed is gone.
const GONE: Duration = Duration::from_secs(2);

/// A crash of a node, so long after the joiner was started or the leaver was told to leave.
#[derive(Clone, Copy, Debug)]
struct Crash {
    node: usize,
    while_leaving: bool,
    after: Duration,
}

fn owners(decision: &Decision, partition: Partition) -> Vec<NodeId> {
    decision.live_sets(partition, REPLICAS).newest().members.to_vec()
}

/// Partitions that a node owns.
fn owned(cluster: &Cluster, node: usize) -> usize {
    let (decision, id) = (cluster.decision().unwrap(), cluster.nodes[node].id);
    let partitions = decision.layout().partitioner().partitions();
    partitions.filter(|partition| owners(decision, *partition).contains(&id)).count()
}

/// Partitions that owners were given from one decision to the next, after a version and in all.
fn moves(cluster: &Cluster, after: u64) -> usize {
    let decisions: Vec<_> =
        cluster.decisions().filter(|decision| decision.version().number >= after).collect();
    let gained = |pair: &[&Decision]| {
        let partitions = pair[0].layout().partitioner().partitions();
        let new = |partition: Partition| {
            let before = owners(pair[0], partition);
            owners(pair[1], partition).iter().filter(|owner| !before.contains(owner)).count()
        };
        partitions.map(new).sum::<usize>()
    };
    decisions.windows(2).map(gained).sum()
}

/// Waits until the newest layout has so many members and nothing moves.
fn changed(cluster: &mut Cluster, members: usize, crash: Option<Crash>) -> Duration {
    let quick = Duration::from_millis(50);
    let done = |cluster: &Cluster| {
        let decision = cluster.decision().unwrap();
        decision.layout().members().len() == members && decision.moving().len() == 0
    };
    let took = cluster.wait_for(CHANGE_MAX, quick, done);
    took.unwrap_or_else(|| {
        let (seed, open) = (cluster.options.seed, settle::unsettled(cluster));
        panic!("seed {seed} with {crash:?}: {members} members are to own all, but {open:?}")
    })
}

fn crash(cluster: &mut Cluster, crash: Option<Crash>, leaving: bool) {
    if let Some(crash) = crash.filter(|crash| crash.while_leaving == leaving) {
        cluster.pass(crash.after);
        cluster.crash_for(crash.node, GONE);
    }
}

/// Lets a node join and another leave under load; how long each took.
fn grow_and_shrink(seed: u64, planned: Option<Crash>) -> (Duration, Duration) {
    let mut options = Options::calm(NODES, seed);
    (options.operations, options.clients, options.zones) = (10_000, 8, NODES + 1);
    let mut cluster = begun(options);
    cluster.begin();
    cluster.pass(Duration::from_secs(1));
    let version = cluster.decision().unwrap().version().number;

    cluster.join().unwrap();
    crash(&mut cluster, planned, false);
    let joined = changed(&mut cluster, NODES + 1, planned);
    let gained = owned(&cluster, JOINER);
    assert_eq!(moves(&cluster, version), gained, "only the joiner is given anything");
    let partitions = cluster.options.partitions * usize::from(REPLICAS);
    assert_eq!(gained, partitions / (NODES + 1), "it is given its share");

    let version = cluster.decision().unwrap().version().number;
    let (lost, node) = (owned(&cluster, LEAVER), cluster.nodes[LEAVER].id);
    let crashes = planned.map(|crash| crash.node);
    let at = (0..NODES).find(|at| *at != LEAVER && Some(*at) != crashes).unwrap();
    cluster.command(at, Command::Leave { node });
    crash(&mut cluster, planned, true);
    let left = changed(&mut cluster, NODES, planned);
    assert!(!cluster.is_member(LEAVER));
    assert_eq!(moves(&cluster, version), lost, "only what the leaver owned is given to others");

    assert!(cluster.workload.left > 0, "clients work until the end");
    cluster.workload.left = 0;
    while !cluster.workload.pending.is_empty() {
        cluster.step();
    }
    settle::settle(&mut cluster);
    finals::judge(&mut cluster);
    assert_eq!(cluster.watch.violations, Vec::<String>::new(), "seed {seed}, {planned:?}");
    let counts = &cluster.workload.recorder.counts;
    assert!(counts.acknowledged * 10 > counts.operations * 9, "{counts:?}");
    (joined, left)
}

#[test]
fn growing_and_shrinking_under_load_loses_nothing_and_moves_no_more_than_it_has_to() {
    for seed in 1..=if is_full() { 100 } else { 10 } {
        let (joined, left) = grow_and_shrink(seed, None);
        eprintln!("seed {seed}: joined in {joined:?}, left in {left:?}");
    }
}

#[test]
fn growing_and_shrinking_survives_a_crash_of_any_node_at_any_time() {
    let step = if is_full() { 50 } else { 400 };
    let (mut joined_max, mut left_max, mut runs) = (Duration::ZERO, Duration::ZERO, 0);
    for node in 0..=JOINER {
        for while_leaving in [false, true] {
            for after in (step / 2..2_000).step_by(step) {
                let after = Duration::from_millis(after as u64);
                let seed = 1_000 + runs;
                let crash = Crash { node, while_leaving, after };
                let (joined, left) = grow_and_shrink(seed, Some(crash));
                (joined_max, left_max) = (joined_max.max(joined), left_max.max(left));
                runs += 1;
            }
        }
    }
    eprintln!("{runs} crashes: joined in {joined_max:?} at most, left in {left_max:?}");
}

/// An owner went on trying to synchronise with one that owns the slice no longer, which remembered each try until it
/// had no room for those that moves need.
#[test]
fn tries_to_synchronise_with_former_owners_do_not_hold_up_moves() {
    let crash = |node, while_leaving, millis| {
        Some(Crash { node, while_leaving, after: Duration::from_millis(millis) })
    };
    grow_and_shrink(1_138, crash(1, true, 925));
    grow_and_shrink(1_175, crash(2, false, 775));
    grow_and_shrink(1_242, crash(3, false, 125));
}
