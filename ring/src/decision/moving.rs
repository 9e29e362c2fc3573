//! One link of the chain: a layout, since when each owner set is in force, and what still moves.

use crate::intent::NodeState;
use crate::layout::Layout;
use crate::moves::{LIVE_SETS_MAX, LiveSets, OwnerSet, SetVersion};
use crate::node::NodeId;
use crate::partition::Partition;
use std::collections::BTreeMap;
use thiserror::Error;

/// A layout with all that the owners of each partition need to know of those before.
///
/// Owner sets are per partition and replica count: a bucket with fewer replicas than a row is long is
/// owned by a prefix of the row, and a prefix may stay when the row changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub(super) planner: u64,
    pub(super) layout: Layout,
    /// By partition, then replica count from 1 to what the snapshot asks for.
    pub(super) since: Vec<SetVersion>,
    /// The older sets of what moves, oldest first; never empty.
    pub(super) moving: BTreeMap<(Partition, u8), Vec<OwnerSet>>,
}

/// Why parts make no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecisionError {
    /// Not one version for each partition and replica count.
    #[error("{versions} owner set versions instead of {expected}")]
    VersionCount {
        /// How many there are.
        versions: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A set is said to be newer than the layout.
    #[error("an owner set of partition {partition} is newer than the layout")]
    FromTheFuture {
        /// The partition.
        partition: Partition,
    },
    /// What is said to move has no live sets.
    #[error("the owner sets of partition {partition} cannot be live together")]
    Sets {
        /// The partition.
        partition: Partition,
    },
}

impl Decision {
    pub(super) fn new(
        planner: u64,
        layout: Layout,
        since: Vec<SetVersion>,
        moving: BTreeMap<(Partition, u8), Vec<OwnerSet>>,
    ) -> Result<Self, DecisionError> {
        let counts = usize::from(layout.snapshot().replicas());
        let expected = layout.partitioner().count() * counts;
        if since.len() != expected {
            return Err(DecisionError::VersionCount { versions: since.len(), expected });
        }
        let decision = Self { planner, layout, since, moving };
        let version = decision.version();
        for (partition, since) in
            decision.layout.partitioner().partitions().zip(decision.since.chunks_exact(counts))
        {
            if since.iter().any(|since| *since > version) {
                return Err(DecisionError::FromTheFuture { partition });
            }
        }
        for (&(partition, replicas), older) in &decision.moving {
            let known = partition.index() < decision.layout.partitioner().count()
                && (1..=counts).contains(&usize::from(replicas));
            let sets = || {
                let newest = decision.newest(partition, replicas);
                LiveSets::new(older.iter().cloned().chain([newest]), [])
            };
            if !known || older.is_empty() || sets().is_err() {
                return Err(DecisionError::Sets { partition });
            }
        }
        Ok(decision)
    }

    /// The layout in force.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Which planner made the table.
    #[must_use]
    pub fn planner(&self) -> u64 {
        self.planner
    }

    /// Its place in the order of all decisions.
    #[must_use]
    pub fn version(&self) -> SetVersion {
        SetVersion { epoch: self.layout.epoch(), number: self.layout.version() }
    }

    /// The owner sets of `partition` for buckets of `replicas` replicas, ready for
    /// [`moves`](crate::moves).
    ///
    /// # Panics
    /// If the partition is past the layout's last, or `replicas` is 0.
    #[must_use]
    pub fn live_sets(&self, partition: Partition, replicas: u8) -> LiveSets {
        let replicas = self.known_count(replicas);
        let older = self.older(partition, replicas).iter().cloned();
        let newest = self.newest(partition, replicas);
        let removed = self.layout.snapshot().nodes().filter_map(|(id, node)| match node.state {
            NodeState::Removed => Some(id),
            NodeState::Joining | NodeState::Active | NodeState::Draining => None,
        });
        LiveSets::new(older.chain([newest]), removed).expect("checked when the decision was made")
    }

    /// Whether `node` is an owner in any live set.
    ///
    /// A draining node that is not, and has delivered the hints it keeps, has nothing left to hand over:
    /// it asks to be [`NodeState::Removed`].
    #[must_use]
    pub fn is_owner(&self, node: NodeId) -> bool {
        let index = self.layout.member_index(node);
        index.is_some_and(|index| self.layout.parts().table.contains(&index))
            || self.moving.values().flatten().any(|set| set.contains(node))
    }

    /// What moves: partitions and replica counts.
    pub fn moving(&self) -> impl ExactSizeIterator<Item = (Partition, u8)> + '_ {
        self.moving.keys().copied()
    }

    pub(super) fn newest(&self, partition: Partition, replicas: u8) -> OwnerSet {
        let replicas = self.known_count(replicas);
        let counts = usize::from(self.layout.snapshot().replicas());
        let since = self.since[partition.index() * counts + usize::from(replicas) - 1];
        let members = self.layout.owners(partition, replicas).collect();
        OwnerSet { version: since, members }
    }

    pub(super) fn older(&self, partition: Partition, replicas: u8) -> &[OwnerSet] {
        self.moving.get(&(partition, self.known_count(replicas))).map_or(&[], Vec::as_slice)
    }

    /// A bucket that asks for more replicas than the snapshot knows of is not yet in force.
    fn known_count(&self, replicas: u8) -> u8 {
        assert!(replicas > 0, "buckets have replicas");
        replicas.min(self.layout.snapshot().replicas())
    }
}

/// The live sets after `known` (with the older ones it still has) is followed by `members`.
pub(super) fn follow(
    known: OwnerSet,
    older: &[OwnerSet],
    done: bool,
    members: &[NodeId],
    version: SetVersion,
) -> Option<(SetVersion, Vec<OwnerSet>)> {
    let mut older = if done { Vec::new() } else { older.to_vec() };
    if known.consists_of(members) {
        // What the overruled side may have decided since is below the new epoch, too.
        let renamed = version.epoch > known.version.epoch;
        return Some((if renamed { version } else { known.version }, older));
    }
    older.push(known);
    (older.len() < LIVE_SETS_MAX).then_some((version, older))
}
