//! Clusters of real processes on loopback: started, killed, stopped, let go on, waited for, and ended with the test.

pub(crate) mod doors;
mod process;
mod waiting;

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub(crate) use process::Node;
pub(crate) use waiting::until;

/// How long a cluster may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// What a cluster is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) lanes: u16,
    pub(crate) partitions: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { nodes: 3, lanes: 1, partitions: 64 }
    }
}

/// Nodes of one cluster, each a process.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// Certificates, data and logs; gone with the cluster, but kept where a test fails.
    directory: Option<TempDir>,
}

/// The daemon's program.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_coterie-node"));
    // What the tests are told by the environment is none of the node's business.
    program.env_clear().stdin(Stdio::null());
    program
}

fn certify(arguments: &[&OsStr]) {
    let made = program().arg("cert").args(arguments).output().unwrap();
    assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
}

impl Cluster {
    /// Nodes with certificates and doors, none of which runs yet: each can still be given other settings.
    pub(crate) fn new(shape: Shape) -> Cluster {
        let directory = tempfile::Builder::new().prefix("coterie-test-").tempdir().unwrap();
        let authority = directory.path().join("authority");
        certify(&["init".as_ref(), "--dir".as_ref(), authority.as_ref()]);
        let mut nodes: Vec<Node> = Vec::new();
        for number in 0..shape.nodes {
            let home = directory.path().join(format!("node-{number}"));
            let certificates = home.join("certificates");
            certify(&[
                "node".as_ref(),
                "--dir".as_ref(),
                authority.as_ref(),
                "--out".as_ref(),
                certificates.as_ref(),
            ]);
            let mut node = Node::new(number, home, shape.lanes);
            node.give("certificates", certificates.display());
            match nodes.first() {
                None => {
                    node.give("bootstrap", true);
                    node.give("partitions", shape.partitions);
                }
                Some(first) => node.give("join", first.doors.gossip),
            }
            nodes.push(node);
        }
        Cluster { nodes, directory: Some(directory) }
    }

    /// Starts all nodes, and waits until they are ready; how long that took.
    pub(crate) fn start(&mut self) -> Duration {
        self.nodes.iter_mut().for_each(Node::start);
        self.wait_ready()
    }

    /// Waits until all nodes that run serve and know each other as up, all nodes own something, and nothing moves; how
    /// long that took.
    pub(crate) fn wait_ready(&mut self) -> Duration {
        until("the cluster is ready", READY_WITHIN, || self.ready()).1
    }

    fn ready(&mut self) -> Result<(), String> {
        let all = self.nodes.len();
        let running = self.nodes.iter().filter(|node| node.runs()).count();
        for node in self.nodes.iter_mut().filter(|node| node.runs()) {
            node.ready()?;
            let (status, ring) = (node.get("/v1/status")?, node.get("/v1/ring")?);
            let (up, members) = (&status["members"]["up"], ring["nodes"].as_array());
            let members = members.map_or(0, Vec::len);
            let moving = [&status["moves"]["moving"], &ring["moving"]];
            if *up != running || members != all || moving.into_iter().any(|count| *count != 0) {
                let number = node.number;
                return Err(format!("node {number}: {up} up, {members} members, moves {moving:?}"));
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            eprintln!("data and logs are kept in {}", directory.keep().display());
        }
    }
}
