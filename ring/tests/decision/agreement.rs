//! One decision per version, whatever the network does, while voters come and go; and all learn it.

use crate::cluster::{Cluster, SETTINGS, node_id, node_intent};
use coterie_ring::NodeState;
use coterie_ring::decision::Event;

const NODES: usize = 7;
const STEPS: usize = 600;
const RUNS: u64 = 1_500;
const RUNS_PROOF: u64 = 15_000;

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    decisions: usize,
    votes_asked: u64,
    splits: u64,
    crashes: u64,
    voter_sets: usize,
    steps_to_settle: usize,
}

fn run(seed: u64, counts: &mut Counts) -> Result<(), String> {
    let mut cluster = Cluster::new(seed, NODES, 3, SETTINGS);
    for _ in 0..STEPS {
        match cluster.index(100) {
            0..40 => {}
            40..46 => edit(&mut cluster),
            46..76 => {
                let (from, to) = (cluster.index(NODES), cluster.index(NODES));
                cluster.gossip(from, to)?;
            }
            76..78 => {
                counts.splits += 1;
                for side in 0..NODES {
                    let value = cluster.index(2);
                    cluster.sides[side] = u8::try_from(value).unwrap();
                }
            }
            78 => cluster.sides.fill(0),
            79..81 => {
                counts.crashes += 1;
                let index = cluster.index(NODES);
                cluster.crash(index);
            }
            81..84 => finish_moves(&mut cluster)?,
            _ => cluster.pass_time()?,
        }
        for _ in 0..3 {
            cluster.deliver()?;
        }
    }
    counts.steps_to_settle = counts.steps_to_settle.max(cluster.settle(20_000)?);
    counts.runs += 1;
    counts.decisions += cluster.decided.len();
    counts.votes_asked += cluster.proposals;
    let mut voters: Vec<_> =
        cluster.decided.values().map(|decision| decision.layout().voters().to_vec()).collect();
    voters.dedup();
    counts.voter_sets += voters.len();
    Ok(())
}

/// Somebody asks somewhere for a node to join, weigh more or leave.
fn edit(cluster: &mut Cluster) {
    let (at, node) = (cluster.index(NODES), cluster.index(NODES));
    let known = cluster.nodes[at].agreement.intent().node(node_id(node)).cloned();
    let weight = 1 + u32::try_from(cluster.index(3)).unwrap();
    let state = match known.map(|known| known.state) {
        None => NodeState::Joining,
        Some(NodeState::Active) if cluster.chance(40) => NodeState::Draining,
        Some(NodeState::Draining) => NodeState::Active,
        Some(state) => state,
    };
    // Node 0 stays, so that there always is a layout.
    let state = if node == 0 { NodeState::Active } else { state };
    cluster.edit(at, node, node_intent(node, state, weight));
}

/// All that moves in the last decision of some node is done, and everybody hears of it.
fn finish_moves(cluster: &mut Cluster) -> Result<(), String> {
    let at = cluster.index(NODES);
    let last = cluster.nodes[at].agreement.chain().last().clone();
    for (partition, replicas) in last.moving() {
        let version = last.live_sets(partition, replicas).tag();
        for index in 0..NODES {
            cluster.event(index, Event::MoveDone { partition, replicas, version })?;
        }
    }
    Ok(())
}

#[test]
fn each_version_is_decided_once_and_learned_by_all() {
    let proof = std::env::var_os("COTERIE_PROOF").is_some();
    let mut counts = Counts::default();
    for seed in 0..if proof { RUNS_PROOF } else { RUNS } {
        let run = run(seed, &mut counts);
        assert_eq!(run, Ok(()), "seed {seed}");
    }
    println!("0 violations: {counts:?}");
    assert!(counts.decisions > 3 * usize::try_from(counts.runs).unwrap());
}
