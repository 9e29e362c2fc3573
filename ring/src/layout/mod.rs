//! The versioned table from partitions to their owners.

mod encoding;
pub(crate) mod fallbacks;
mod hash;

use std::collections::BTreeSet;

use crate::encoding::Malformed;
use crate::intent::{Intent, NodeState};
use crate::node::{NodeId, Place};
use crate::partition::{Partition, Partitioner};

pub use hash::LayoutHash;

use fallbacks::Fallbacks;

/// Most voters that decide on a layout's successor.
pub const VOTERS_MAX: usize = 7;

/// A node that the table may name: active or draining in the layout's snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who it is.
    pub id: NodeId,
    /// Active or draining.
    pub state: NodeState,
    /// Its share relative to the other members'.
    pub weight: u32,
    /// Where it stands.
    pub place: Place,
}

/// What a layout is made of; [`Layout::new`] checks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LayoutParts {
    /// One above its parent's; the bootstrapped layout has version 1.
    pub version: u64,
    /// Raised by one when an operator replaces voters whose majority is lost for good.
    pub epoch: u32,
    /// Hash of the layout before; for the bootstrapped layout, the cluster's id.
    pub parent: LayoutHash,
    /// How keys map to rows.
    pub partitioner: Partitioner,
    /// What is in force with this layout.
    pub snapshot: Intent,
    /// Who decides on the next layout.
    pub voters: Vec<NodeId>,
    /// Owners per partition.
    pub replicas: u8,
    /// The owners of each partition in turn, `replicas` of them, by index among the members.
    pub table: Vec<u16>,
}

/// An agreed (or proposed) table from partitions to owners, with the intent it was made from.
///
/// Always consistent: owners are distinct members, voters an odd number of members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    parts: LayoutParts,
    /// By ascending id, so that a member's index is the same everywhere.
    members: Vec<Member>,
    /// The zone of each member, counted over the distinct places; neighbours look for other zones.
    zones: Vec<u16>,
}

/// Why parts make no layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// The bytes are no encoding of one.
    #[error("malformed layout")]
    Malformed(#[from] Malformed),
    /// Versions begin at 1.
    #[error("a layout's version is 0")]
    Version,
    /// Every row has from one owner to as many as there are replicas and members.
    #[error("{replicas} owners per partition do not fit the intent and its {members} members")]
    Replicas {
        /// Claimed owners per partition.
        replicas: u8,
        /// Members in the snapshot.
        members: usize,
    },
    /// The table has not `replicas` owners for each partition.
    #[error("the table has {owners} entries instead of {expected}")]
    TableSize {
        /// Entries found.
        owners: usize,
        /// Partitions times replicas.
        expected: usize,
    },
    /// A row names a member that does not exist.
    #[error("an owner of partition {partition} is no member")]
    UnknownOwner {
        /// The row.
        partition: Partition,
    },
    /// A row names a member twice.
    #[error("partition {partition} has one owner twice")]
    RepeatedOwner {
        /// The row.
        partition: Partition,
    },
    /// Voters are 1, 3, 5 or 7 distinct members.
    #[error("the voters are not 1, 3, 5 or 7 distinct members in ascending order")]
    Voters,
}

impl Layout {
    /// The layout made of `parts`, checked.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] naming the first part that does not fit.
    pub fn new(parts: LayoutParts) -> Result<Self, LayoutError> {
        if parts.version == 0 {
            return Err(LayoutError::Version);
        }
        let members = members(&parts.snapshot);
        let most = members.len().min(usize::from(parts.snapshot.replicas()));
        let width = usize::from(parts.replicas);
        if width == 0 || width > most {
            return Err(LayoutError::Replicas { replicas: parts.replicas, members: members.len() });
        }
        let expected = parts.partitioner.count() * width;
        if parts.table.len() != expected {
            return Err(LayoutError::TableSize { owners: parts.table.len(), expected });
        }
        for (partition, row) in parts.partitioner.partitions().zip(parts.table.chunks_exact(width))
        {
            for (slot, &owner) in row.iter().enumerate() {
                if usize::from(owner) >= members.len() {
                    return Err(LayoutError::UnknownOwner { partition });
                }
                if row[..slot].contains(&owner) {
                    return Err(LayoutError::RepeatedOwner { partition });
                }
            }
        }
        let odd = parts.voters.len() % 2 == 1 && parts.voters.len() <= VOTERS_MAX;
        let ascending = parts.voters.is_sorted_by(|a, b| a < b);
        let known = |voter| members.binary_search_by_key(voter, |member| member.id).is_ok();
        if !odd || !ascending || !parts.voters.iter().all(known) {
            return Err(LayoutError::Voters);
        }
        let zones = zones(&members);
        Ok(Self { parts, members, zones })
    }

    /// One above its parent's, from 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.parts.version
    }

    /// How often an operator replaced lost voters.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.parts.epoch
    }

    /// Hash of the layout before.
    #[must_use]
    pub fn parent(&self) -> LayoutHash {
        self.parts.parent
    }

    /// How keys map to rows.
    #[must_use]
    pub fn partitioner(&self) -> Partitioner {
        self.parts.partitioner
    }

    /// What is in force with this layout, bucket policies too.
    #[must_use]
    pub fn snapshot(&self) -> &Intent {
        &self.parts.snapshot
    }

    /// Who decides on the next layout, by ascending id.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.parts.voters
    }

    /// Owners per partition: the replicas asked for, or fewer where there are too few nodes.
    #[must_use]
    pub fn replicas(&self) -> usize {
        usize::from(self.parts.replicas)
    }

    /// The nodes that the table may name, by ascending id.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The index under which the table names `node`.
    #[must_use]
    pub fn member_index(&self, node: NodeId) -> Option<u16> {
        let index = self.members.binary_search_by_key(&node, |member| member.id).ok()?;
        u16::try_from(index).ok()
    }

    /// The owners of `partition` by member index, first owner first.
    ///
    /// A bucket with fewer replicas than that is owned by as many from the front.
    ///
    /// # Panics
    ///
    /// If the partition is past the layout's last; a [`Partitioner`] of the layout's makes none.
    #[must_use]
    pub fn row(&self, partition: Partition) -> &[u16] {
        let width = self.replicas();
        let start = partition.index() * width;
        &self.parts.table[start..start + width]
    }

    /// The owners that a bucket with `replicas` replicas has in `partition`, first owner first.
    ///
    /// # Panics
    ///
    /// As [`Layout::row`].
    pub fn owners(
        &self,
        partition: Partition,
        replicas: u8,
    ) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        let row = self.row(partition);
        let count = row.len().min(usize::from(replicas));
        row[..count].iter().map(|&index| self.members[usize::from(index)].id)
    }

    /// Nodes that stand in for owners of `partition` that are down, best first.
    ///
    /// # Panics
    ///
    /// As [`Layout::row`].
    #[must_use]
    pub fn fallbacks(&self, partition: Partition) -> Fallbacks<'_> {
        Fallbacks::new(self, partition)
    }

    /// The parts, to make a successor of.
    #[must_use]
    pub fn parts(&self) -> &LayoutParts {
        &self.parts
    }
}

/// The nodes of a snapshot that a table may name.
pub(crate) fn members(snapshot: &Intent) -> Vec<Member> {
    let mut members = Vec::new();
    for (id, node) in snapshot.nodes() {
        match node.state {
            NodeState::Active | NodeState::Draining => members.push(Member {
                id,
                state: node.state,
                weight: node.weight,
                place: node.place.clone(),
            }),
            NodeState::Joining | NodeState::Removed => {}
        }
    }
    members
}

fn zones(members: &[Member]) -> Vec<u16> {
    let places: BTreeSet<&Place> = members.iter().map(|member| &member.place).collect();
    let places: Vec<&Place> = places.into_iter().collect();
    let index = |member: &Member| {
        let index = places.binary_search(&&member.place).expect("collected from the members");
        u16::try_from(index).expect("no more zones than nodes")
    };
    members.iter().map(index).collect()
}
