//! From what is asked for and what is in force to the next layout.
//!
//! Every node gets its weighted share of the partitions to within one, owners of a partition are
//! spread as far as the places allow, and as few copies are made as the counts allow. The result
//! depends on nothing but the intent and the parent layout, so any node can run it again.

mod flow;
mod groups;
mod order;
mod pick;
mod plan;
mod quotas;
mod rows;
mod shares;
mod standing;
mod swap;
mod topology;
mod transfer;
mod voters;
mod warning;

use std::collections::BTreeMap;

use crate::intent::{EditError, Intent, NodeState};
use crate::layout::{Layout, LayoutHash, LayoutParts, Member, members};
use crate::node::NodeId;
use crate::partition::{Partition, Partitioner};

pub use plan::{Explanation, NodePlan, Plan};
pub use transfer::{Move, Transfer, moves};
pub use warning::Warning;

use rows::Rows;
use shares::Fraction;
use topology::Topology;

/// Why there is no layout to be had; nothing changes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Every node is joining, draining or removed.
    #[error("no node is active")]
    NoNodes,
    /// Every active node has weight 0.
    #[error("every active node has weight 0")]
    NoWeight,
    /// All nodes that hold these partitions would be gone at once.
    #[error(
        "{count} partitions, the first of them {first}, would lose all their owners: \
         drain some of them instead, or remove them one after another"
    )]
    LastCopies {
        /// One of the partitions.
        first: Partition,
        /// How many partitions.
        count: usize,
    },
    /// The parent's snapshot and the intent have no room in one.
    #[error("the intent does not fit what is in force")]
    Intent(#[from] EditError),
}

/// Why a layout is not what the planner makes of its parent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not one version after its parent, names another parent, lowers the epoch or changes
    /// the number of partitions.
    #[error("the layout does not follow its parent")]
    NotASuccessor,
    /// Its snapshot lacks something that its parent's snapshot says.
    #[error("the layout forgets what its parent decided")]
    Forgets,
    /// Its snapshot cannot be planned at all.
    #[error("the layout's snapshot has no plan")]
    NoPlan(#[from] PlanError),
    /// The planner gives other owners or voters.
    #[error("the layout's owners or voters are not the planner's")]
    Different,
}

/// Plans the first layout of the cluster `cluster`.
///
/// # Errors
///
/// [`PlanError::NoNodes`], [`PlanError::NoWeight`].
pub fn bootstrap(
    cluster: u128,
    partitioner: Partitioner,
    intent: &Intent,
) -> Result<Plan, PlanError> {
    let header = Header { version: 1, epoch: 0, parent: LayoutHash(cluster), partitioner };
    build(header, None, intent.clone())
}

/// Plans the layout after `parent`, of what `intent` and the parent's snapshot ask for together.
///
/// # Errors
///
/// [`PlanError`] if that is impossible.
pub fn plan(parent: &Layout, intent: &Intent) -> Result<Plan, PlanError> {
    let mut snapshot = intent.clone();
    snapshot.merge(parent.snapshot())?;
    snapshot.keep_fixed(parent.snapshot());
    build(Header::after(parent, parent.epoch()), Some(parent), snapshot)
}

/// Checks that `layout` is what the planner makes of `parent` and the layout's own snapshot.
///
/// # Errors
///
/// [`VerifyError`] naming what is wrong.
pub fn verify(parent: &Layout, layout: &Layout) -> Result<(), VerifyError> {
    let header = Header::after(parent, layout.epoch());
    let follows = layout.version() == header.version
        && layout.epoch() >= parent.epoch()
        && layout.parent() == header.parent
        && layout.partitioner() == header.partitioner;
    if !follows {
        return Err(VerifyError::NotASuccessor);
    }
    if !layout.snapshot().includes(parent.snapshot()) {
        return Err(VerifyError::Forgets);
    }
    let plan = build(header, Some(parent), layout.snapshot().clone())?;
    if plan.layout() == layout { Ok(()) } else { Err(VerifyError::Different) }
}

struct Header {
    version: u64,
    epoch: u32,
    parent: LayoutHash,
    partitioner: Partitioner,
}

impl Header {
    fn after(parent: &Layout, epoch: u32) -> Self {
        Self {
            version: parent.version().saturating_add(1),
            epoch,
            parent: parent.hash(),
            partitioner: parent.partitioner(),
        }
    }
}

fn build(header: Header, parent: Option<&Layout>, snapshot: Intent) -> Result<Plan, PlanError> {
    let members = members(&snapshot);
    let shareholders = shareholders(&members)?;
    if let Some(parent) = parent {
        check_copies_remain(parent, &members)?;
    }
    let nodes: Vec<&Member> = shareholders.iter().map(|&at| &members[usize::from(at)]).collect();
    let topology = Topology::new(&nodes, snapshot.placement().spread, snapshot.replicas().into());
    let partitions = header.partitioner.count();
    let shares = shares::shares(&topology, partitions);
    let old = old_table(parent, &topology, &nodes, partitions);
    let rows = place(&topology, &shares, old, header.version);

    let warnings =
        warning::warnings(parent, &members, &snapshot, &topology, &nodes, &shares, partitions);
    let shares: BTreeMap<NodeId, Fraction> =
        nodes.iter().map(|node| node.id).zip(shares.iter().copied()).collect();
    let layout = Layout::new(LayoutParts {
        version: header.version,
        epoch: header.epoch,
        parent: header.parent,
        partitioner: header.partitioner,
        voters: voters::voters(&members, parent.map_or(&[], Layout::voters)),
        replicas: u8::try_from(topology.width).expect("at most the replicas asked for"),
        snapshot,
        table: rows.slots.iter().map(|&node| shareholders[usize::from(node)]).collect(),
    })
    .expect("the planner makes valid layouts");
    Ok(Plan::new(parent, layout, &shares, warnings))
}

/// The members that take a share, by index.
fn shareholders(members: &[Member]) -> Result<Vec<u16>, PlanError> {
    let active: Vec<(u16, &Member)> =
        (0..).zip(members).filter(|(_, member)| member.state == NodeState::Active).collect();
    if active.is_empty() {
        return Err(PlanError::NoNodes);
    }
    let weighty = active.iter().filter(|(_, member)| member.weight > 0);
    let shareholders: Vec<u16> = weighty.map(|&(index, _)| index).collect();
    if shareholders.is_empty() { Err(PlanError::NoWeight) } else { Ok(shareholders) }
}

/// Refuses to lose every owner of a partition at once. Draining owners still hand over.
fn check_copies_remain(parent: &Layout, members: &[Member]) -> Result<(), PlanError> {
    let mut gone = parent.partitioner().partitions().filter(|&partition| {
        !parent.owners(partition, u8::MAX).any(|owner| is_member(members, owner))
    });
    match gone.next() {
        Some(first) => Err(PlanError::LastCopies { first, count: 1 + gone.count() }),
        None => Ok(()),
    }
}

fn is_member(members: &[Member], node: NodeId) -> bool {
    members.binary_search_by_key(&node, |member| member.id).is_ok()
}

/// The parent's table by number among `nodes`, cut or filled up with vacancies to the new width.
///
/// Cutting keeps the prefix, which is what the buckets that are left use.
fn old_table(
    parent: Option<&Layout>,
    topology: &Topology,
    nodes: &[&Member],
    partitions: usize,
) -> Vec<u16> {
    let vacant = rows::vacant(topology);
    let mut table = vec![vacant; partitions * topology.width];
    let Some(parent) = parent else { return table };
    let number = |member: &Member| {
        let number = nodes.binary_search_by_key(&member.id, |node| node.id);
        number.map_or(vacant, |number| u16::try_from(number).expect("fewer than 65,536 nodes"))
    };
    let numbers: Vec<u16> = parent.members().iter().map(number).collect();
    for (partition, row) in
        parent.partitioner().partitions().zip(table.chunks_exact_mut(topology.width))
    {
        for (slot, &owner) in row.iter_mut().zip(parent.row(partition)) {
            *slot = numbers[usize::from(owner)];
        }
    }
    table
}

fn place(topology: &Topology, shares: &[Fraction], old: Vec<u16>, version: u64) -> Rows {
    let partitions = old.len() / topology.width;
    let mut owned = vec![0; topology.nodes() + 1];
    for &node in &old {
        owned[usize::from(node)] += 1;
    }
    let quotas = quotas::quotas(topology, partitions, shares, &owned);
    let seed = groups::mix(version);
    let mut rows = rows::start(topology, old, &quotas, seed);
    flow::balance(topology, &mut rows, &quotas, seed);
    order::order(topology, &mut rows, &quotas);
    rows
}
