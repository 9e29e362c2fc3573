//! Clusters of processes on a network that can be cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use coterie_local::{Asked, Network};

use crate::harness::{Cluster, Shape};

/// A cluster, and the network between its nodes.
pub(crate) struct Testbed {
    // Before the network: processes end first.
    pub(crate) cluster: Cluster,
    pub(crate) network: Network,
    /// The nodes, as they are asked over HTTP.
    pub(crate) asked: Vec<Asked>,
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
        let mut network = Network::seeded(plan.seed);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut first = None;
        for (number, node) in cluster.nodes.iter_mut().enumerate() {
            let own = vec![node.doors.gossip, node.doors.peers];
            let fronts = network.add(own, &[any, any]).unwrap();
            node.give("advertise-gossip", fronts[0]);
            node.give("advertise-peers", fronts[1]);
            match first {
                None => first = Some(fronts[0]),
                Some(first) => node.give("join", first),
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
        let asked = cluster.nodes.iter().map(|node| {
            let status = node.get("/v1/status").unwrap();
            Asked { id: status["node"].as_str().unwrap().to_owned(), http: node.doors.http }
        });
        let asked = asked.collect();
        Testbed { cluster, network, asked }
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
