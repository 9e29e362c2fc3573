//! A node whose disk fills up: it refuses writes and says why, reads go on, and it recovers by itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Cluster, until};
use crate::redis::{Redis, Reply};
use crate::small_disk::on_small_disk;
use crate::testbed::{Plan, Testbed};
use crate::{alone, judge};

/// The node on the small disk.
const SMALL: usize = 2;

/// How long a node may take to see that its disk has filled up, or is free again.
const SEEN_WITHIN: Duration = Duration::from_secs(20);

/// How long a node waits for an answer, at most, and some time for a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_refuses_writes_reads_go_on_and_the_node_recovers_by_itself() {
    let _alone = alone();
    let name = "disk::a_full_disk_refuses_writes_reads_go_on_and_the_node_recovers_by_itself";
    on_small_disk(name, 96, fill_and_free);
}

fn fill_and_free(disk: &Path) {
    let data = [(SMALL, disk.join("data"))];
    let mut testbed = Testbed::form(&Plan { nodes: 3, partitions: 16, seed: 1, data: &data });
    let cluster = &testbed.cluster;
    let mut written = Written::default();
    for _ in 0..50 {
        let reply = written.write(cluster, SMALL);
        assert_eq!(reply, Ok(Reply::Status("OK".to_owned())), "the disk has room");
    }
    let ballast = disk.join("ballast");
    fill(disk, &ballast, 50);
    println!("5 % of the disk are free");
    let (refusal, took) =
        until("writes are refused", SEEN_WITHIN, || match written.write(cluster, SMALL) {
            Ok(Reply::Error(error)) if error.starts_with("FULL ") => Ok(error),
            other => Err(format!("{other:?}")),
        });
    println!("after {:.1} s a write is told: {refusal}", took.as_secs_f32());
    assert!(refusal.contains("disk"), "{refusal}");
    written.read_all(cluster, SMALL);
    for node in [0, 1] {
        let reply = written.write(cluster, node);
        assert_eq!(reply, Ok(Reply::Status("OK".to_owned())), "node {node} has a disk of its own");
    }

    fill(disk, &ballast, 0);
    println!("the disk was full");
    // What it is sent while it has no room is more than it has room for.
    for turn in 0..200 {
        let reply = written.write(cluster, turn % 2);
        assert_eq!(reply, Ok(Reply::Status("OK".to_owned())), "two owners have room");
    }
    let (_, took) =
        until("the node reads on", SEEN_WITHIN, || written.try_read_all(cluster, SMALL));
    println!("after {:.1} s all is read from the node whose disk is full", took.as_secs_f32());
    // A node that opens its store again deletes what that no longer needs, which makes room.
    let (refused, _) = until("there is no room for writes", SEEN_WITHIN, || {
        fill(disk, &ballast, 0);
        match written.write(cluster, SMALL) {
            Ok(Reply::Status(_)) => Err("a write was taken".to_owned()),
            refused => Ok(refused),
        }
    });
    println!("without room a write is told: {refused:?}");

    fs::remove_file(&ballast).unwrap();
    let healed = Instant::now();
    let (_, took) =
        until("writes are taken again", SEEN_WITHIN, || match written.write(cluster, SMALL) {
            Ok(Reply::Status(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    println!("a write is taken {:.1} s after there was room again", took.as_secs_f32());
    // Nobody started it anew.
    testbed.cluster.nodes[SMALL].assert_not_ended();
    let took = judge::settle(&testbed, healed);
    println!("owners are equal after {:.1} s", took.as_secs_f32());
    for node in 0..3 {
        written.read_all(&testbed.cluster, node);
    }
    testbed.check_logs();
}

/// Writes a file until no more than so many parts of 1,000 of the disk are free; with 0, until it takes no more.
fn fill(disk: &Path, ballast: &Path, free_permille: u64) {
    let mut file = File::options().create(true).append(true).open(ballast).unwrap();
    let part = vec![0; 64 << 10];
    loop {
        let seen = rustix::fs::statvfs(disk).unwrap();
        if free_permille > 0 && seen.f_bavail * 1_000 <= seen.f_blocks * free_permille {
            return;
        }
        if let Err(error) = file.write_all(&part) {
            assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
            return;
        }
    }
}

/// Keys that were written, of which each has a value of its own.
#[derive(Default)]
struct Written {
    acknowledged: Vec<usize>,
    asked: usize,
}

impl Written {
    fn key(number: usize) -> String {
        format!("key-{number}")
    }

    /// Bytes that do not compress to nothing.
    fn value(number: usize) -> String {
        (0..1_000)
            .map(|at| format!("{:x}", number.wrapping_mul(0x9e37_79b9).rotate_left(at)))
            .collect()
    }

    /// Writes one more key by a node.
    fn write(&mut self, cluster: &Cluster, node: usize) -> Result<Reply, String> {
        let number = self.asked;
        self.asked += 1;
        let connected = Redis::connect(cluster.nodes[node].resp(), PATIENCE);
        let (key, value) = (Written::key(number), Written::value(number));
        let asked = connected.and_then(|mut redis| redis.ask(&["SET", &key, &value]));
        if let Ok(Reply::Status(_)) = asked {
            self.acknowledged.push(number);
        }
        asked.map_err(|error| error.to_string())
    }

    fn try_read_all(&self, cluster: &Cluster, node: usize) -> Result<(), String> {
        let mut redis = Redis::connect(cluster.nodes[node].resp(), PATIENCE)
            .map_err(|error| error.to_string())?;
        for number in &self.acknowledged {
            let reply = redis.ask(&["GET", &Written::key(*number)]);
            if reply.as_ref().ok() != Some(&Reply::Bulk(Some(Written::value(*number).into()))) {
                let mut shown = format!("{reply:?}");
                shown.truncate(200);
                return Err(format!("key {number} at node {node}: {shown}"));
            }
        }
        Ok(())
    }

    fn read_all(&self, cluster: &Cluster, node: usize) {
        self.try_read_all(cluster, node).unwrap();
    }
}
