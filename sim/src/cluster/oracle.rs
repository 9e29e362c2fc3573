//! Pictures of the cluster for lanes whose node has no control: who is up is known at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coterie_protocol::{Event, Liveness, View};
use coterie_ring::decision::{self, Decision};
use coterie_ring::{
    BucketKind, BucketName, BucketPolicy, Intent, NodeId, NodeIntent, NodeState, Partitioner, Place,
};
use coterie_wire::Incarnation;

use super::{Cluster, Happening};
use crate::network::NodeIndex;
use crate::options::Options;

/// How often nodes look who is up.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The name of a node.
pub(super) fn node_id(index: NodeIndex) -> NodeId {
    NodeId(0x1000 + index as u128)
}

/// The first layout of a cluster.
pub(super) fn decision(options: &Options) -> Arc<Decision> {
    let mut intent = Intent::new();
    for index in 0..options.nodes {
        let zone = format!("z{}", index % options.zones);
        let place = Place::new("r", &zone).expect("the names are short");
        let wanted = NodeIntent { state: NodeState::Active, weight: 100, place };
        intent.set_node(node_id(index), wanted).expect("there are few nodes");
    }
    for (name, replicas, kind) in [
        ("strict", options.replicas, BucketKind::Strict),
        ("sloppy", 3, BucketKind::Sloppy),
        ("strong", 3, BucketKind::Strong),
    ] {
        let policy = BucketPolicy { replicas, kind, ..BucketPolicy::default() };
        let name = BucketName::new(name).expect("it is a name");
        intent.set_bucket(name, policy).expect("there are few buckets");
    }
    let partitioner = Partitioner::new(options.partitions).expect("a power of two");
    Arc::new(decision::bootstrap(7, partitioner, &intent).expect("there are active nodes"))
}

impl Cluster {
    pub(super) fn view_of(
        &self,
        index: NodeIndex,
        version: u64,
        incarnation: Incarnation,
    ) -> Arc<View> {
        let mut members = BTreeMap::new();
        for (other, node) in self.nodes.iter().enumerate().filter(|(other, _)| *other != index) {
            let hears = self.network.passes(index, other) && self.network.passes(other, index);
            let up = node.process.is_some() && hears;
            members.insert(node.id, if up { Liveness::Up } else { Liveness::Down });
        }
        let id = self.nodes[index].id;
        let mut view = View::new(id, incarnation, Arc::clone(&self.decision));
        view.version = version;
        view.members = members;
        Arc::new(view)
    }

    pub(super) fn look(&mut self, index: NodeIndex, life: u64) {
        if self.nodes[index].life != life {
            return;
        }
        let Some(process) = &mut self.nodes[index].process else { return };
        process.views += 1;
        let (version, incarnation) = (process.views, process.incarnation);
        let view = self.view_of(index, version, incarnation);
        self.push_to_all(index, &Event::View(view));
        self.queue.after(LOOK_INTERVAL, Happening::Look(index, life));
    }
}
