//! Which copies a change of layout makes.

use std::collections::BTreeMap;

use crate::layout::Layout;
use crate::node::NodeId;
use crate::partition::Partition;

/// A partition that gets an owner it did not have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Move {
    /// What is copied.
    pub partition: Partition,
    /// The owner that makes room; where none does, the first old owner.
    pub from: NodeId,
    /// The new owner.
    pub to: NodeId,
}

/// Everything that one node takes over from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The owner that makes room.
    pub from: NodeId,
    /// The new owner.
    pub to: NodeId,
    /// How many partitions.
    pub partitions: usize,
    /// Their size, by the estimate given.
    pub bytes: u64,
}

/// The copies that buckets with `replicas` replicas need when `layout` follows `parent`, by
/// partition.
///
/// # Panics
///
/// If the layouts differ in their number of partitions.
#[must_use]
pub fn moves(parent: &Layout, layout: &Layout, replicas: u8) -> Vec<Move> {
    assert_eq!(parent.partitioner(), layout.partitioner(), "P is fixed when a cluster is created");
    let mut moves = Vec::new();
    for partition in layout.partitioner().partitions() {
        let old: Vec<NodeId> = parent.owners(partition, replicas).collect();
        let new: Vec<NodeId> = layout.owners(partition, replicas).collect();
        let mut leaving = old.iter().filter(|owner| !new.contains(owner));
        for &to in new.iter().filter(|owner| !old.contains(owner)) {
            let from = *leaving.next().unwrap_or(&old[0]);
            moves.push(Move { partition, from, to });
        }
    }
    moves
}

/// Sums `moves` up by source and destination.
pub(super) fn transfers(moves: &[Move], bytes_of: impl Fn(Partition) -> u64) -> Vec<Transfer> {
    let mut sums: BTreeMap<(NodeId, NodeId), (usize, u64)> = BTreeMap::new();
    for step in moves {
        let (partitions, bytes) = sums.entry((step.from, step.to)).or_default();
        *partitions += 1;
        *bytes = bytes.saturating_add(bytes_of(step.partition));
    }
    let transfer = |((from, to), (partitions, bytes))| Transfer { from, to, partitions, bytes };
    sums.into_iter().map(transfer).collect()
}
