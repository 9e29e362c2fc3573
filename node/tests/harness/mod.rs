//! Clusters of real processes on loopback: started, killed, stopped, let go on, waited for, and ended with the test.
#![allow(dead_code, reason = "each test uses its own part")]

mod doors;
mod http;
mod process;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) use process::Node;
pub(crate) use waiting::{tell, until};

/// How long a cluster may take to be ready.
const READY: Duration = Duration::from_secs(90);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) lanes: u16,
    pub(crate) partitions: usize,
    /// `always` or `periodic`.
    pub(crate) sync: &'static str,
    /// Further arguments of each node.
    pub(crate) further: Vec<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { nodes: 3, lanes: 1, partitions: 64, sync: "always", further: Vec::new() }
    }
}

/// Nodes of one cluster, each a process.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// Certificates, data and logs; gone with the cluster.
    directory: TempDir,
}

/// The daemon's program.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_coterie-node"));
    // Whoever runs the test may have settings of their own.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COTERIE_")) {
        program.env_remove(name);
    }
    program
}

impl Cluster {
    /// Makes certificates and starts all nodes; returns once every one serves and knows all others.
    pub(crate) fn start(shape: &Shape) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let authority = directory.path().join("authority");
        let cert = |arguments: &[&std::ffi::OsStr]| {
            let made = program().arg("cert").args(arguments).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        cert(&["init".as_ref(), "--dir".as_ref(), authority.as_ref()]);
        let mut nodes: Vec<Node> = Vec::new();
        for number in 0..shape.nodes {
            let home = directory.path().join(format!("node-{number}"));
            let certificates = home.join("certificates");
            cert(&[
                "node".as_ref(),
                "--dir".as_ref(),
                authority.as_ref(),
                "--out".as_ref(),
                certificates.as_ref(),
            ]);
            let begin = match nodes.first() {
                None => format!("--bootstrap --partitions {}", shape.partitions),
                Some(first) => format!("--join {}", first.doors.gossip),
            };
            let mut arguments: Vec<String> = begin.split(' ').map(str::to_owned).collect();
            let zone = format!("local/zone-{number}");
            let (lanes, sync) = (shape.lanes.to_string(), shape.sync.to_owned());
            let own = ["--zone", &zone, "--lanes", &lanes, "--sync", &sync];
            arguments.extend(own.map(str::to_owned));
            arguments.extend(shape.further.iter().cloned());
            nodes.push(Node::new(number, home, shape.lanes, arguments));
        }
        let mut cluster = Cluster { nodes, directory };
        for node in &mut cluster.nodes {
            node.start();
        }
        cluster.wait_ready();
        cluster
    }

    /// Waits until all nodes that run serve, know each other as up, and nothing moves.
    pub(crate) fn wait_ready(&mut self) {
        let running = self.nodes.iter().filter(|node| node.runs()).count();
        for node in &mut self.nodes {
            if !node.runs() {
                continue;
            }
            let what = format!("node {} to serve", node.number);
            until(&what, READY, || {
                node.assert_runs();
                let status = node.get("/readyz").filter(|(status, _)| *status == 200);
                status.and_then(|_| node.json("/v1/status")).is_some_and(|status| {
                    status["members"]["up"] == running && status["moves"]["moving"] == 0
                })
            });
        }
        let all = self.nodes.len();
        until("all nodes to own something", READY, || {
            let ring =
                self.nodes.iter().filter(|node| node.runs()).map(|node| node.json("/v1/ring"));
            ring.into_iter().all(|ring| ring.is_some_and(|ring| settled(&ring, all)))
        });
    }

    /// Waits until all nodes that run have the same digest of every slice, and keep no hints; how long that took.
    pub(crate) fn wait_equal(&self, within: Duration) -> Duration {
        let began = Instant::now();
        until("the owners' digests to be equal", within, || {
            let running = || self.nodes.iter().filter(|node| node.runs());
            let mut digests: BTreeMap<(u64, u64), BTreeSet<String>> = BTreeMap::new();
            for node in running() {
                let Some(repair) = node.json("/v1/repair") else { return false };
                let Some(slices) = repair["slices"].as_array() else { return false };
                for slice in slices {
                    let name = (slice["partition"].as_u64(), slice["replicas"].as_u64());
                    let (Some(partition), Some(replicas)) = name else { return false };
                    let digest = slice["digest"].to_string();
                    digests.entry((partition, replicas)).or_default().insert(digest);
                }
            }
            let hints = |node: &Node| Some(node.json("/v1/status")?["hint_bytes"] == 0);
            !digests.is_empty()
                && digests.values().all(|digests| digests.len() == 1)
                && running().all(|node| hints(node) == Some(true))
        });
        began.elapsed()
    }
}

/// Whether a layout has so many nodes and nothing moves.
fn settled(ring: &Value, nodes: usize) -> bool {
    let members = ring["nodes"].as_array().map_or(0, Vec::len);
    members == nodes && ring["moving"] == 0
}
