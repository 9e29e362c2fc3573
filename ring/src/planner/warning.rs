//! What operators should know before they agree to a plan.

use std::fmt;

use super::shares::Fraction;
use super::topology::Topology;
use crate::intent::{Intent, NodeState, Spread};
use crate::layout::{Layout, Member};
use crate::node::{NodeId, Place};

/// Partitions per node below which one partition more or less is felt.
const PARTITIONS_PER_NODE_MIN: usize = 25;

/// Something about a plan that is as asked for, or as near as possible, but may surprise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// Partitions get fewer owners than asked for.
    FewerNodesThanReplicas {
        /// Active nodes with a weight.
        nodes: usize,
        /// Owners asked for.
        replicas: usize,
    },
    /// Several owners of a partition share a zone; losing the zone loses them together.
    FewerZonesThanReplicas {
        /// Zones with active nodes.
        zones: usize,
        /// Owners per partition.
        replicas: usize,
    },
    /// The node owns every partition and its weight asks for more.
    NodeFull {
        /// The node.
        node: NodeId,
        /// Owner slots that its weight asks for.
        wanted: u64,
    },
    /// Spread does not let the zone have what its weights ask for.
    ZoneBound {
        /// The zone.
        place: Place,
        /// Owner slots that its weights ask for.
        wanted: u64,
        /// Owner slots that it gets.
        share: u64,
    },
    /// So few partitions per node that one more or less is much; more partitions would be smoother.
    CoarsePartitions {
        /// Owner slots per node, rounded down.
        per_node: usize,
    },
    /// Partitions get fewer owners than they had.
    FewerOwners {
        /// Owners per partition before.
        before: usize,
        /// Owners per partition after.
        after: usize,
    },
    /// All that is left of some partitions is on one node until it is copied.
    SingleCopies {
        /// How many partitions.
        partitions: usize,
    },
    /// All owners of some partitions are draining; they must not stop before they are copied.
    OnlyDrainingCopies {
        /// How many partitions.
        partitions: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerNodesThanReplicas { nodes, replicas } => {
                write!(f, "{replicas} replicas are asked for, but only {nodes} nodes take a share")
            }
            Self::FewerZonesThanReplicas { zones, replicas } => write!(
                f,
                "{replicas} replicas in {zones} zones: some share a zone and would be lost with it"
            ),
            Self::NodeFull { node, wanted } => {
                write!(f, "node {node} already owns every partition; its weight asks for {wanted}")
            }
            Self::ZoneBound { place, wanted, share } => write!(
                f,
                "zone {place} gets {share} partitions where its weights ask for {wanted}, so that \
                 replicas are spread"
            ),
            Self::CoarsePartitions { per_node } => {
                write!(f, "only {per_node} partitions per node: nodes differ by up to one of these")
            }
            Self::FewerOwners { before, after } => {
                write!(f, "partitions have {after} owners instead of {before}")
            }
            Self::SingleCopies { partitions } => write!(
                f,
                "{partitions} partitions are left with a single copy until they are copied again"
            ),
            Self::OnlyDrainingCopies { partitions } => write!(
                f,
                "all owners of {partitions} partitions are draining: keep them up until done"
            ),
        }
    }
}

pub(super) fn warnings(
    parent: Option<&Layout>,
    members: &[Member],
    snapshot: &Intent,
    topology: &Topology,
    nodes: &[&Member],
    shares: &[Fraction],
    partitions: usize,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let replicas = usize::from(snapshot.replicas());
    if topology.width < replicas {
        warnings.push(Warning::FewerNodesThanReplicas { nodes: nodes.len(), replicas });
    }
    if snapshot.placement().spread != Spread::Nodes && topology.zones() < topology.width {
        let zones = topology.zones();
        warnings.push(Warning::FewerZonesThanReplicas { zones, replicas: topology.width });
    }
    let per_node = partitions * topology.width / nodes.len();
    if per_node < PARTITIONS_PER_NODE_MIN {
        warnings.push(Warning::CoarsePartitions { per_node });
    }
    warn_of_weights(topology, nodes, shares, partitions, &mut warnings);
    if let Some(parent) = parent {
        warn_of_copies(parent, members, topology, &mut warnings);
    }
    warnings
}

fn warn_of_weights(
    topology: &Topology,
    nodes: &[&Member],
    shares: &[Fraction],
    partitions: usize,
    warnings: &mut Vec<Warning>,
) {
    let count = |count: usize| u64::try_from(count).expect("counts fit 64 bits");
    let weight_all: u64 = topology.weights.iter().copied().map(u64::from).sum();
    // Below 2^19 slots times 2^46 of weight.
    let slots = u128::from(count(partitions * topology.width));
    let wanted = |weight: u64| {
        let rounded =
            (slots * u128::from(weight) + u128::from(weight_all) / 2) / u128::from(weight_all);
        u64::try_from(rounded).expect("at most the slots")
    };
    for (node, share) in nodes.iter().zip(shares) {
        let wanted = wanted(node.weight.into());
        if share.floor() == count(partitions) && wanted > share.floor() {
            warnings.push(Warning::NodeFull { node: node.id, wanted });
        }
    }
    let mut zones: Vec<(Option<&Place>, u64, f64)> = vec![(None, 0, 0.0); topology.zones()];
    for ((node, share), &zone) in nodes.iter().zip(shares).zip(&topology.zone_of) {
        let (place, weight, sum) = &mut zones[usize::from(zone)];
        *place = Some(&node.place);
        *weight += u64::from(node.weight);
        *sum += share.approximate();
    }
    if topology.zones() == 1 {
        return;
    }
    for (place, weight, share) in zones {
        let (wanted, share) = (wanted(weight), rounded(share));
        if let Some(place) = place
            && wanted.abs_diff(share) > 1
        {
            warnings.push(Warning::ZoneBound { place: place.clone(), wanted, share });
        }
    }
}

fn warn_of_copies(
    parent: &Layout,
    members: &[Member],
    topology: &Topology,
    warnings: &mut Vec<Warning>,
) {
    if topology.width < parent.replicas() {
        let (before, after) = (parent.replicas(), topology.width);
        warnings.push(Warning::FewerOwners { before, after });
    }
    let (mut single, mut draining) = (0, 0);
    for partition in parent.partitioner().partitions() {
        let held = parent.owners(partition, u8::MAX);
        let left: Vec<NodeState> = held.filter_map(|owner| state(members, owner)).collect();
        single += usize::from(left.len() == 1 && parent.replicas() > 1);
        draining += usize::from(left.iter().all(|&state| state == NodeState::Draining));
    }
    if single > 0 {
        warnings.push(Warning::SingleCopies { partitions: single });
    }
    if draining > 0 {
        warnings.push(Warning::OnlyDrainingCopies { partitions: draining });
    }
}

fn state(members: &[Member], node: NodeId) -> Option<NodeState> {
    let index = members.binary_search_by_key(&node, |member| member.id).ok()?;
    Some(members[index].state)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sum of shares")]
fn rounded(share: f64) -> u64 {
    share.round() as u64
}
