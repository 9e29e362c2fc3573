//! What a cluster as a whole has to be able to do, each with its number: clusters without faults by chance, to which
//! a test does one thing.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod bad_input;
mod growth;
mod large;
mod linearizable;
mod ownership;
mod splits;

use std::time::Duration;

use coterie_crdt::operation::Operation;
use coterie_ring::Level;
use coterie_sim::cluster::Cluster;
use coterie_sim::workload::Bucket;
use coterie_sim::{Options, settle};
use coterie_wire::{Key, Levels, Request, RequestId, SessionDots, Slice};

/// Whether the full size is asked for.
fn is_full() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some()
}

/// A cluster that has begun, and in which nothing moves any more.
fn begun(options: Options) -> Cluster {
    let mut cluster = Cluster::new(options, 0);
    cluster.begin_cluster();
    let (limit, every) = (settle::SETTLE_MAX, Duration::from_millis(250));
    cluster
        .wait_for(limit, every, |cluster| settle::unsettled(cluster).is_empty())
        .expect("moves end");
    // Before that they do not stand in for owners.
    cluster.wait_for(limit, every, all_know_all_epochs).expect("members learn purge epochs");
    assert_eq!(cluster.watch.violations, Vec::<String>::new());
    cluster
}

/// Whether every member knows the purge epoch of every slice.
fn all_know_all_epochs(cluster: &Cluster) -> bool {
    let layout = cluster.decision().unwrap().layout();
    let processes = cluster.nodes.iter().filter_map(|node| node.process.as_ref());
    let mut lanes =
        processes.flat_map(|process| &process.lanes).map(|lane| lane.driver.lane().shared());
    lanes.all(|lane| {
        let mut mine = layout.partitioner().partitions().filter(|it| lane.is_mine(*it));
        mine.all(|partition| {
            (1..=layout.snapshot().replicas()).all(|replicas| {
                let slice = Slice { partition, replicas };
                lane.slices.contains_key(&slice) || lane.epochs.contains_key(&slice)
            })
        })
    })
}

fn key(bucket: Bucket, name: &str) -> Key {
    Key::new(bucket.name(), name.as_bytes().to_vec())
}

/// A request whose levels are both `level`, and that waits for two seconds.
fn request(key: &Key, operation: Operation, level: Level) -> Request {
    let reads = level != Level::Any;
    Request {
        id: RequestId(0),
        key: key.clone(),
        operations: vec![operation],
        levels: Levels { write: Some(level), read: reads.then_some(level) },
        time_left: Duration::from_secs(2),
        session: SessionDots::default(),
        explain: false,
    }
}
