//! A planned layout, explained for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::shares::Fraction;
use super::transfer::{Move, Transfer, moves, transfers};
use super::warning::Warning;
use crate::layout::Layout;
use crate::node::NodeId;
use crate::partition::Partition;

/// A plan for people, with sizes.
#[derive(Clone, Debug)]
pub struct Explanation<'p> {
    plan: &'p Plan,
    transfers: Vec<Transfer>,
}

/// What a plan means for one node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodePlan {
    /// The node.
    pub node: NodeId,
    /// Partitions that its weight earns it, within what nodes, zones and regions can hold.
    pub share: f64,
    /// Partitions it owned.
    pub before: usize,
    /// Partitions it is to own: the share rounded down or up.
    pub after: usize,
}

/// A layout to propose, with what it changes.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    layout: Layout,
    nodes: Vec<NodePlan>,
    moves: Vec<Move>,
    moves_min: usize,
    warnings: Vec<Warning>,
}

impl Plan {
    pub(super) fn new(
        parent: Option<&Layout>,
        layout: Layout,
        shares: &BTreeMap<NodeId, Fraction>,
        warnings: Vec<Warning>,
    ) -> Self {
        let before = parent.map(|parent| counts(parent, u8::MAX)).unwrap_or_default();
        let after = counts(&layout, u8::MAX);
        let all: BTreeSet<NodeId> = before.keys().chain(after.keys()).copied().collect();
        let node_plan = |node| NodePlan {
            node,
            share: shares.get(&node).map_or(0.0, |share| share.approximate()),
            before: before.get(&node).copied().unwrap_or(0),
            after: after.get(&node).copied().unwrap_or(0),
        };
        let nodes: Vec<NodePlan> = all.into_iter().map(node_plan).collect();
        let moves = parent
            .map(|parent| moves(parent, &layout, layout.snapshot().replicas()))
            .unwrap_or_default();
        let moves_min = parent.map_or(0, |parent| moves_min(parent, &layout));
        Self { layout, nodes, moves, moves_min, warnings }
    }

    /// The layout to propose.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Every node that owned or is to own anything or could, by ascending id.
    #[must_use]
    pub fn nodes(&self) -> &[NodePlan] {
        &self.nodes
    }

    /// The copies that full rows need; [`super::moves`] has those of buckets with fewer replicas.
    ///
    /// None for a cluster's first layout, when there is nothing to copy yet.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The copies that the new counts alone make necessary: what each node owns more than before.
    /// Owners of a partition that must be in other zones can make more necessary.
    #[must_use]
    pub fn moves_min(&self) -> usize {
        self.moves_min
    }

    /// The copies by source and destination, with their size by `bytes_of` each partition.
    pub fn transfers(&self, bytes_of: impl Fn(Partition) -> u64) -> Vec<Transfer> {
        transfers(&self.moves, bytes_of)
    }

    /// The plan for people: shares before and after, warnings, and the copies with their size by `bytes_of`
    /// each partition.
    #[must_use]
    pub fn explain(&self, bytes_of: impl Fn(Partition) -> u64) -> Explanation<'_> {
        Explanation { plan: self, transfers: self.transfers(bytes_of) }
    }

    /// What operators should know before they agree.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

/// What each node owns more than before, of the replicas that both layouts have.
fn moves_min(parent: &Layout, layout: &Layout) -> usize {
    let before = counts(parent, layout.snapshot().replicas());
    let gained = |(node, after): (NodeId, usize)| {
        after.saturating_sub(before.get(&node).copied().unwrap_or(0))
    };
    counts(layout, u8::MAX).into_iter().map(gained).sum()
}

/// How many partitions each member owns with one of its first `replicas` owners.
fn counts(layout: &Layout, replicas: u8) -> BTreeMap<NodeId, usize> {
    let mut counts: BTreeMap<NodeId, usize> =
        layout.members().iter().map(|member| (member.id, 0)).collect();
    for partition in layout.partitioner().partitions() {
        for owner in layout.owners(partition, replicas) {
            *counts.entry(owner).or_default() += 1;
        }
    }
    counts
}

impl fmt::Display for Plan {
    /// What the plan does, without sizes; see [`Plan::explain`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, copies) = (self.layout.version(), self.moves.len());
        writeln!(f, "layout {version}: {copies} copies, at least {} are needed", self.moves_min)?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        for NodePlan { node, share, before, after } in &self.nodes {
            writeln!(f, "node {node}: {before} -> {after} partitions (share {share:.2})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.plan)?;
        for Transfer { from, to, partitions, bytes } in &self.transfers {
            let size = Size(*bytes);
            writeln!(f, "copy {partitions} partitions ({size}) from {from} to {to}")?;
        }
        let total = self.transfers.iter().fold(0u64, |sum, step| sum.saturating_add(step.bytes));
        writeln!(f, "{} to copy in all", Size(total))
    }
}

/// Bytes, as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.into_iter().find(|&(unit, _)| self.0 >= unit) {
            Some((unit, name)) => {
                write!(f, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit)
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}
