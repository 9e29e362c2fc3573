//! How a cluster begins: one node is bootstrapped, the others join, and buckets are made.

use std::time::Duration;

use coterie_protocol::control::Command;
use coterie_ring::decision::Decision;
use coterie_ring::{BucketKind, BucketPolicy, PlacementPolicy, Spread};

use super::Cluster;
use crate::workload::Bucket;

/// Longer than this no cluster takes to begin.
const BIRTH_MAX: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

impl Cluster {
    /// Begins the cluster, without faults.
    pub fn begin_cluster(&mut self) {
        let placement = PlacementPolicy { replicas: 3, spread: Spread::Zones };
        let partitions = self.options.partitions;
        self.command(0, Command::Bootstrap { partitions, placement });
        let nodes = self.options.nodes;
        self.await_decision("take all nodes in", |decision| {
            decision.layout().members().len() == nodes
        });
        for bucket in Bucket::ALL {
            let (replicas, kind) = match bucket {
                Bucket::Strict => (self.options.replicas, BucketKind::Strict),
                Bucket::Sloppy => (self.options.sloppy_replicas, BucketKind::Sloppy),
                Bucket::Strong => (3, BucketKind::Strong),
            };
            let policy = BucketPolicy { replicas, kind, ..BucketPolicy::default() };
            self.command(0, Command::Bucket { name: bucket.name().to_owned(), policy });
        }
        self.await_decision("make buckets", |decision| {
            let snapshot = decision.layout().snapshot();
            Bucket::ALL.iter().all(|bucket| snapshot.bucket(bucket.name()).is_some())
        });
    }

    /// Waits until every node has a decision of which `holds`.
    fn await_decision(&mut self, what: &str, holds: impl Fn(&Decision) -> bool) {
        let end = self.now() + BIRTH_MAX;
        while self.now() < end {
            let next = self.now() + LOOK;
            self.run_until(next);
            self.idle_until(next);
            let newest = self.decision().filter(|decision| holds(decision)).map(Decision::version);
            let everywhere = self.nodes.iter().all(|node| {
                let process = node.process.as_ref();
                let lane = process.and_then(|process| process.lanes.first());
                let known = lane.map(|lane| lane.driver.lane().shared().view.decision.version());
                known.is_some() && known == newest
            });
            if everywhere {
                return;
            }
        }
        self.watch.violated(format!("the cluster did not {what} within {BIRTH_MAX:?}"));
    }
}
