//! What may follow a decision: made from the intent, and checked by running the planner again.

use super::moving::{Decision, DecisionError, follow};
use crate::intent::{Intent, NodeState};
use crate::layout::{Layout, LayoutError, LayoutParts};
use crate::moves::{OwnerSet, SetVersion};
use crate::node::NodeId;
use crate::partition::{Partition, Partitioner};
use crate::planner::{self, PlanError};
use std::collections::BTreeMap;
use thiserror::Error;

/// The planner of this version. Voters refuse what another made: they could not run it again.
pub const PLANNER: u64 = 1;

/// Why a decision cannot follow, or does not follow, from its parent.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum ProposalError {
    /// Another planner made it.
    #[error("made by planner {planner}, and this node has planner {PLANNER}")]
    OtherPlanner {
        /// Which.
        planner: u64,
    },
    /// The bytes are no decision.
    #[error("not a decision")]
    Malformed(#[from] crate::encoding::Malformed),
    /// It forgets, in its snapshot, what its parent decided.
    #[error("the snapshot forgets what the parent decided")]
    Forgets,
    /// The planner finds no layout.
    #[error("there is no such layout")]
    Plan(#[from] PlanError),
    /// The planner's table does not fit once unfinished moves are kept.
    #[error("the table does not fit with unfinished moves")]
    Layout(#[from] LayoutError),
    /// The parts contradict each other.
    #[error("the owner sets do not fit the layout")]
    Decision(#[from] DecisionError),
    /// A partition would have too many live sets: its moves have to come to an end first.
    #[error("partition {partition} moves too much already")]
    TooManySets {
        /// The partition.
        partition: Partition,
    },
    /// The owners in force, or those of an unfinished move's older set, would all be removed, and what they
    /// have not pushed yet with them. Only a forced epoch gives that up.
    #[error("the owners that partition {partition} has, or moves from, would all be removed")]
    LastCopies {
        /// The partition.
        partition: Partition,
    },
    /// Only an operator raises the epoch, and voters are not asked then.
    #[error("epoch {epoch} is not the parent's")]
    Epoch {
        /// The proposed epoch.
        epoch: u32,
    },
    /// No epoch follows.
    #[error("no epoch is left")]
    EpochsExhausted,
    /// It is not what the planner makes of its parent and snapshot.
    #[error("not what the planner makes of the parent and the snapshot")]
    Different,
}

/// The first decision of the cluster with the random id `cluster`, made by an operator on one node.
///
/// # Errors
/// If the intent has no active node with weight.
pub fn bootstrap(
    cluster: u128,
    partitioner: Partitioner,
    intent: &Intent,
) -> Result<Decision, ProposalError> {
    let layout = planner::bootstrap(cluster, partitioner, intent)?.layout().clone();
    let version = SetVersion { epoch: layout.epoch(), number: layout.version() };
    let counts = usize::from(layout.snapshot().replicas());
    let since = vec![version; partitioner.count() * counts];
    Ok(Decision::new(PLANNER, layout, since, BTreeMap::new())?)
}

/// The decision that follows `parent` when `intent` is planned, in `epoch`.
///
/// A partition whose moves are not `done` (for each replica count) keeps its row, unless an owner in it
/// is no member any more: then its new row takes the place of the old one, and both move to it.
///
/// A set whose owners are all removed has nobody left who could push: a forced epoch forgets it, and any decision
/// does where no bucket has keys in it.
///
/// # Errors
/// If the planner finds no layout, a partition would have too many live sets, or the last copies of an
/// unfinished move would go.
pub fn successor(
    parent: &Decision,
    intent: &Intent,
    epoch: u32,
    done: impl Fn(Partition, u8) -> bool,
) -> Result<Decision, ProposalError> {
    let planned = planner::plan(&parent.layout, intent)?.layout().clone();
    let gone = |set: &OwnerSet| set.members.iter().all(|owner| is_removed(&planned, *owner));
    // What no bucket asks for has no keys: nothing is lost with the last owner.
    let buckets = || parent.layout.snapshot().buckets();
    let has_keys = |replicas| buckets().any(|(_, policy)| policy.replicas == replicas);
    let has_keys: Vec<bool> = (0..=parent.layout.snapshot().replicas()).map(has_keys).collect();
    let may_lose = |replicas: u8| has_keys.get(usize::from(replicas)) == Some(&true);
    let done = |partition, replicas| {
        let lost = || parent.older(partition, replicas).iter().any(gone);
        done(partition, replicas) || !may_lose(replicas) && lost()
    };
    let layout = with_unfinished(parent, &planned, epoch, &done)?;
    let version = SetVersion { epoch, number: layout.version() };
    let counts = layout.snapshot().replicas();
    let mut since = Vec::with_capacity(layout.partitioner().count() * usize::from(counts));
    let mut moving = BTreeMap::new();
    for partition in layout.partitioner().partitions() {
        for replicas in 1..=counts {
            let members: Vec<NodeId> = layout.owners(partition, replicas).collect();
            let known = parent.newest(partition, replicas);
            let done = done(partition, replicas);
            let mut older = parent.older(partition, replicas).to_vec();
            let refuses = epoch == parent.layout.epoch() && may_lose(replicas);
            if refuses && (gone(&known) || !done && older.iter().any(gone)) {
                return Err(ProposalError::LastCopies { partition });
            }
            older.retain(|set| !gone(set));
            let (version, mut older) = follow(known, &older, done, &members, version)
                .ok_or(ProposalError::TooManySets { partition })?;
            older.retain(|set| !gone(set));
            since.push(version);
            if !older.is_empty() {
                moving.insert((partition, replicas), older);
            }
        }
    }
    Ok(Decision::new(PLANNER, layout, since, moving)?)
}

fn is_removed(layout: &Layout, node: NodeId) -> bool {
    layout.snapshot().node(node).is_some_and(|node| node.state == NodeState::Removed)
}

/// The planned layout, with the rows of unfinished partitions put back as they are.
fn with_unfinished(
    parent: &Decision,
    planned: &Layout,
    epoch: u32,
    done: &impl Fn(Partition, u8) -> bool,
) -> Result<Layout, LayoutError> {
    let mut parts = LayoutParts { epoch, ..planned.parts().clone() };
    let width = planned.replicas();
    if parent.layout.replicas() == width {
        let unfinished =
            parent.moving().filter(|&(partition, replicas)| !done(partition, replicas));
        for (partition, _) in unfinished {
            let row: Option<Vec<u16>> = parent
                .layout
                .owners(partition, u8::MAX)
                .map(|owner| planned.member_index(owner))
                .collect();
            if let Some(row) = row {
                let start = partition.index() * width;
                parts.table[start..start + width].copy_from_slice(&row);
            }
        }
    }
    Layout::new(parts)
}

/// Checks that `decision` is what the planner makes of `parent` and the decision's own snapshot.
///
/// Which moves are done cannot be checked by who did not see it; that is the proposer's word. Being done
/// never ends, so it cannot have become untrue.
///
/// # Errors
/// If it is not.
pub fn verify(parent: &Decision, decision: &Decision) -> Result<(), ProposalError> {
    if decision.planner != PLANNER {
        return Err(ProposalError::OtherPlanner { planner: decision.planner });
    }
    let epoch = decision.layout.epoch();
    if epoch != parent.layout.epoch() {
        return Err(ProposalError::Epoch { epoch });
    }
    if !decision.layout.snapshot().includes(parent.layout.snapshot()) {
        return Err(ProposalError::Forgets);
    }
    let done = |partition, replicas| {
        let before = parent.older(partition, replicas);
        let after = decision.older(partition, replicas);
        !before.is_empty() && !after.starts_with(before)
    };
    let snapshot = decision.layout.snapshot();
    let again = successor(parent, snapshot, epoch, done)?;
    if again == *decision { Ok(()) } else { Err(ProposalError::Different) }
}
