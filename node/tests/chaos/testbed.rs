//! Clusters of processes on a network that can be cut.

use std::path::PathBuf;

use crate::harness::{Cluster, Shape};
use crate::proxy::Network;

/// A cluster, and the network between its nodes.
pub(crate) struct Testbed {
    // Before the network: processes end first.
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    /// What each node is called in the cluster.
    pub(crate) names: Vec<String>,
}

/// What a cluster is made of.
pub(crate) struct Plan<'a> {
    pub(crate) nodes: usize,
    pub(crate) partitions: usize,
    pub(crate) seed: u64,
    /// Where some nodes have their data, if not beside the others'.
    pub(crate) data: &'a [(usize, PathBuf)],
}

impl Testbed {
    /// Starts nodes and waits until all are members, and own and have received what they are to.
    pub(crate) fn form(plan: &Plan<'_>) -> Testbed {
        let shape = Shape { nodes: plan.nodes, lanes: 1, partitions: plan.partitions };
        let mut cluster = Cluster::new(shape);
        let listen = cluster.nodes.iter().map(|node| [node.doors.gossip, node.doors.peers]);
        let network = Network::between(listen.collect(), plan.seed);
        for (number, node) in cluster.nodes.iter_mut().enumerate() {
            let [gossip, peers] = network.fronts(number);
            node.give("advertise-gossip", gossip);
            node.give("advertise-peers", peers);
            if number > 0 {
                node.give("join", network.fronts(0)[0]);
            }
            node.give("cache-bytes", "16MiB");
            node.give("request-timeout", "2s");
            // Both kinds of durability outlive a killed process.
            node.give("sync", if number % 2 == 0 { "periodic" } else { "always" });
        }
        for (node, data) in plan.data {
            cluster.nodes[*node].give("data-dir", data.display());
        }
        let took = cluster.start();
        println!("{} nodes serve after {:.1} s", plan.nodes, took.as_secs_f32());
        let told = cluster.nodes.iter().map(|node| node.get("/v1/status").unwrap());
        let names = told.map(|status| status["node"].as_str().unwrap().to_owned()).collect();
        Testbed { cluster, network, names }
    }

    /// Has every process run again, and the network whole.
    pub(crate) fn heal(&mut self) {
        self.network.heal();
        for node in &mut self.cluster.nodes {
            node.assert_not_ended();
            if !node.runs() {
                node.start();
            }
            node.resume();
        }
    }

    /// No node has panicked.
    pub(crate) fn check_logs(&self) {
        for node in &self.cluster.nodes {
            let log = node.log();
            let panicked = log.lines().find(|line| line.contains("panicked at"));
            assert_eq!(panicked, None, "node {}", node.number);
        }
    }
}
