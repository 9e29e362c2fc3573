//! What a cluster is to be made of.

use serde::{Deserialize, Serialize};

/// The most lanes of a node: their ports lie within a node's block.
pub(crate) const LANES_MAX: u16 = 28;

/// What acknowledged means to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// On disk.
    #[default]
    Always,
    /// Written to the operating system; on disk 50 ms later. Outlives a killed process all the same.
    Periodic,
}

impl Durability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Durability::Always => "always",
            Durability::Periodic => "periodic",
        }
    }
}

/// How nodes reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    /// Through proxies that can be cut. Each datagram costs two system calls of this process.
    #[default]
    Proxied,
    /// Without anything in between.
    Direct,
}

/// What a cluster is to be made of. A directory that holds a cluster keeps its ports, lanes, partitions and replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// How many nodes. In a directory with more of them, those are started too.
    pub nodes: usize,
    /// The first port of node 0; each node takes a hundred. 0 for ports that are free ([`crate::free_base_port`]).
    pub base_port: u16,
    /// Threads of each node that own partitions, 1 to 28.
    pub lanes: u16,
    /// A power of two, for ever.
    pub partitions: usize,
    /// Owners of each partition.
    pub replicas: u8,
    /// What acknowledged means.
    pub durability: Durability,
    /// How nodes reach each other.
    pub wiring: Wiring,
    /// Further arguments of `coterie-node run`, of each node. Not those that are set by what is above, nor `--zone`:
    /// node N stands in `local/zone-N`.
    pub further: Vec<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            nodes: 3,
            base_port: 0,
            lanes: 1,
            partitions: 64,
            replicas: 3,
            durability: Durability::Always,
            wiring: Wiring::Proxied,
            further: Vec::new(),
        }
    }
}
