//! How a local cluster is, as it is told to other processes and kept in its directory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::LocalError;
use crate::shape::Shape;

/// The file of a directory that holds the last status.
const FILE: &str = "cluster.json";

/// How a node's process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// It runs.
    Running,
    /// It stands still: connections to it are taken by the kernel, and nobody answers.
    Paused,
    /// It was stopped in order.
    Stopped,
    /// It was killed.
    Killed,
    /// It has ended by itself, in order: it has left the cluster.
    Left,
    /// It has ended by itself, and something is wrong: its log says what.
    Ended,
}

impl Condition {
    /// Whether there is a process.
    #[must_use]
    pub fn has_process(self) -> bool {
        matches!(self, Condition::Running | Condition::Paused)
    }
}

/// A node, whether it runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its place in this cluster, from 0. What is killed, paused and cut is named by it.
    pub number: usize,
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// How its process is.
    pub condition: Condition,
    /// Its process.
    pub process: Option<u32>,
    /// Where Redis clients connect.
    pub resp: SocketAddr,
    /// Where its HTTP listens.
    pub http: SocketAddr,
    /// Where its gossip listens.
    pub gossip: SocketAddr,
    /// Where QUIC of its lane 0 listens.
    pub peers: SocketAddr,
    /// Where others send gossip: a proxy's, where there are proxies.
    pub advertised_gossip: SocketAddr,
    /// Where others send QUIC.
    pub advertised_peers: SocketAddr,
    /// Certificates, data and log.
    pub home: PathBuf,
}

impl NodeStatus {
    /// Where it writes what happens.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.join("log")
    }
}

/// A local cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Where it is kept.
    pub directory: PathBuf,
    /// The process that keeps it; nothing once it was stopped in order.
    pub supervisor: Option<u32>,
    /// What it was made of.
    pub shape: Shape,
    /// Its nodes, by number.
    pub nodes: Vec<NodeStatus>,
    /// Directions that are cut: from, to.
    pub cut: Vec<(usize, usize)>,
}

impl Status {
    /// The last status of the cluster in a directory; nothing where there never was one.
    pub(crate) fn read(directory: &Path) -> Result<Option<Status>, LocalError> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LocalError::io(path.display().to_string())(error)),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| LocalError::File { path, problem: error.to_string() })
    }

    /// Keeps it in the cluster's directory: whole or not at all.
    pub(crate) fn write(&self) -> Result<(), LocalError> {
        let text = serde_json::to_string_pretty(self).expect("a status is text and numbers");
        let (new, path) = (self.directory.join("cluster.json.new"), self.directory.join(FILE));
        fs::write(&new, text + "\n")
            .and_then(|()| fs::rename(&new, &path))
            .map_err(LocalError::io(path.display().to_string()))
    }

    /// A node by its number.
    ///
    /// # Errors
    /// [`LocalError::NoSuchNode`].
    pub fn node(&self, number: usize) -> Result<&NodeStatus, LocalError> {
        let last = self.nodes.len().saturating_sub(1);
        self.nodes.get(number).ok_or(LocalError::NoSuchNode { number, last })
    }
}
