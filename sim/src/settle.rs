//! After all faults: within bounded time everything is in order again.
//!
//! A safety phase alone would hide what never ends: a permanent split hides behind uniform faults (TigerBeetle's
//! VOPR).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::rows::{Space, address};
use coterie_ring::decision::Decision;
use coterie_wire::{Key, Slice};

use crate::cluster::Cluster;
use crate::workload::{Asked, Bucket};

/// How long a healed cluster may take until nothing is left to repair.
pub const SETTLE_MAX: Duration = Duration::from_secs(120);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long the reads at the end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends all faults and waits until the cluster is in order; that it is not in time is a violation.
pub fn settle(cluster: &mut Cluster) {
    cluster.heal();
    // Who stands still goes on by itself, and what is on its way over a link that was slow stays slow: only then have all
    // faults ended.
    let stand_still = cluster.nodes.iter().map(|node| node.paused_until).max();
    cluster.run_until(stand_still.unwrap_or_default().max(cluster.network.quiet_at()));
    let in_order = wait(cluster);
    serve(cluster);
    if in_order {
        // Meanwhile a node that joins may have been given slices, or a key may have expired.
        wait(cluster);
    }
}

/// Waits until the cluster is in order at that very moment; whether that was in time.
fn wait(cluster: &mut Cluster) -> bool {
    let end = cluster.now() + SETTLE_MAX;
    let mut open = unsettled(cluster);
    while !open.is_empty() && cluster.now() < end {
        let next = cluster.now() + LOOK;
        cluster.run_until(next.max(cluster.now()));
        cluster.idle_until(next);
        open = unsettled(cluster);
    }
    if let Some(first) = open.first() {
        let (after, more) = (SETTLE_MAX.as_secs(), open.len() - 1);
        let what = format!("{after} s after the last fault {first}, and {more} more");
        cluster.watch.violated(what);
    }
    open.is_empty()
}

/// Every key is read at some node, one after the other, and has to be shown.
fn serve(cluster: &mut Cluster) {
    let keys: Vec<_> = cluster.workload.recorder.history.keys().collect();
    let keys: Vec<(Bucket, Key)> = keys
        .into_iter()
        .map(|(bucket, name)| {
            let bucket = Bucket::ALL[usize::from(bucket.0)];
            (bucket, Key::new(bucket.name(), name.as_bytes().to_vec()))
        })
        .collect();
    // One that has left may still be about, and end at any time.
    let serves = |node: &usize| cluster.serves(*node) && cluster.is_member(*node);
    let nodes: Vec<_> = (0..cluster.nodes.len()).filter(serves).collect();
    if nodes.is_empty() {
        return;
    }
    // What was sent over links that were slow may still be on its way, and all else behind it.
    cluster.workload.wait_at_least(PATIENCE);
    for (turn, (bucket, key)) in keys.into_iter().enumerate() {
        cluster.demand(nodes[turn % nodes.len()], Asked::last_read(bucket, key));
    }
    while !cluster.workload.pending.is_empty() {
        cluster.step();
    }
}

/// Whether all owners of each slice have the same, by its digest, and have received it.
#[must_use]
pub fn is_equal(cluster: &Cluster) -> bool {
    let Some(decision) = cluster.decision() else { return false };
    let layout = decision.layout();
    layout.partitioner().partitions().all(|partition| {
        (1..=layout.snapshot().replicas()).all(|replicas| {
            let slice = Slice { partition, replicas };
            let owners = decision.live_sets(partition, replicas).newest().members.to_vec();
            let states = owners.iter().map(|owner| {
                let state = cluster.slice(*owner, slice).filter(|state| state.is_received())?;
                Some((state.tree.root(), state.epoch))
            });
            let states: BTreeSet<_> = states.collect();
            states.len() == 1 && !states.contains(&None)
        })
    })
}

/// What is not in order.
#[must_use]
pub fn unsettled(cluster: &Cluster) -> Vec<String> {
    let mut open = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate().filter(|(_, node)| !node.gone) {
        if !cluster.is_member(index) {
            continue;
        }
        if !cluster.serves(index) {
            open.push(format!("node {index} does not serve"));
        }
        if !cluster.is_informed(index) {
            open.push(format!("node {index} has not heard of the newest layout"));
        }
        if let Some(member) = cluster.missed_by(index) {
            open.push(format!("node {index} takes {member} for down"));
        }
        let hints = node.disk.image().count(Space::Hints);
        if hints > 0 {
            open.push(format!("node {index} keeps {hints} hints"));
        }
    }
    let Some(decision) = cluster.decision() else { return vec!["there is no layout".to_owned()] };
    let layout = decision.layout();
    for partition in layout.partitioner().partitions() {
        for replicas in 1..=layout.snapshot().replicas() {
            differing(cluster, decision, Slice { partition, replicas }, &mut open);
        }
    }
    open
}

/// Adds what is not in order with a slice.
fn differing(cluster: &Cluster, decision: &Decision, slice: Slice, open: &mut Vec<String>) {
    let sets = decision.live_sets(slice.partition, slice.replicas);
    if sets.is_moving() {
        open.push(format!("{slice:?} is moving"));
        return;
    }
    let replicas_of = |row: &Bytes| {
        let (key, _) = address::parse_key(row, 2)?;
        let name = std::str::from_utf8(key.bucket()).ok()?;
        Some(decision.layout().snapshot().bucket(name)?.replicas)
    };
    let strong = decision.layout().snapshot().bucket(Bucket::Strong.name());
    let strong_replicas = strong.map_or(0, |policy| policy.replicas);
    let mut first = None;
    for owner in &sets.newest().members {
        let state = cluster.slice(*owner, slice);
        let Some(state) = state else {
            open.push(format!("{owner} does not have {slice:?}"));
            continue;
        };
        if !state.is_received() {
            open.push(format!("{owner} has not received {slice:?}: {:?}", state.reception));
        } else if !state.votes() && slice.replicas == strong_replicas {
            open.push(format!("{owner} does not vote on {slice:?}: {:?}", state.votes));
        }
        let index = cluster.index_of(*owner).expect("owners are nodes");
        let rows = address::partition_range(slice.partition);
        let rows = cluster.nodes[index].disk.image().range(Space::Rows, &rows);
        let mut damaged = rows.filter(|(_, value)| value.is_empty()).map(|(row, _)| row);
        if damaged.any(|row| replicas_of(row) == Some(slice.replicas)) {
            open.push(format!("{owner} has damaged rows of {slice:?}"));
        }
        let standing = (state.tree.root(), state.epoch);
        if *first.get_or_insert(standing) != standing {
            open.push(format!("the owners of {slice:?} differ"));
        }
    }
}
