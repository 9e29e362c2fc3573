//! The owner sets of a partition that are live at one time.

use super::Status;
use super::rules::Rules;
use crate::intent::REPLICAS_MAX;
use crate::node::NodeId;
use smallvec::SmallVec;
use thiserror::Error;

/// The most sets that can be live: a move, and two that took its place before it was done.
pub const LIVE_SETS_MAX: usize = 4;

/// The layout that introduced an owner set of one partition and replica count.
///
/// Requests on the partition are tagged with the newest they know. A forced epoch is above every
/// version of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetVersion {
    /// The layout's epoch.
    pub epoch: u32,
    /// The layout's version.
    pub number: u64,
}

/// The owners of a partition from one layout on, for one replica count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnerSet {
    /// Where it began.
    pub version: SetVersion,
    /// The owners, first owner first.
    pub members: SmallVec<[NodeId; 3]>,
}

impl OwnerSet {
    /// Whether `node` is one of the owners.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.members.contains(&node)
    }

    /// Whether `members` are the owners, in any order.
    pub(crate) fn consists_of(&self, members: &[NodeId]) -> bool {
        self.members.len() == members.len() && members.iter().all(|node| self.contains(*node))
    }
}

/// The owner sets of a partition that have not ended, oldest first.
///
/// One while nothing moves. A move has two; if the newest loses an owner for good before the move is
/// done, or the move is reverted, a third takes its place and moves from both.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveSets {
    sets: SmallVec<[OwnerSet; 2]>,
    /// Owners of older sets that are no part of the cluster any more, ascending. They never answer.
    removed: SmallVec<[NodeId; 1]>,
    pub(super) rules: Rules,
}

/// Why sets cannot be live together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SetsError {
    /// No set, or more than [`LIVE_SETS_MAX`].
    #[error("{sets} owner sets, where 1 to {LIVE_SETS_MAX} can be live")]
    SetCount {
        /// How many were given.
        sets: usize,
    },
    /// An empty set, or one with more owners than a partition can have.
    #[error("a set of {owners} owners, where 1 to {REPLICAS_MAX} are allowed")]
    OwnerCount {
        /// How many it has.
        owners: usize,
    },
    /// A set lists an owner twice.
    #[error("an owner is listed twice in one set")]
    Repeated,
    /// Versions do not ascend.
    #[error("the sets' versions do not ascend")]
    Unordered,
}

impl LiveSets {
    /// The sets of a partition, oldest first, and which nodes of them are removed from the cluster.
    ///
    /// # Errors
    /// If there are none or too many, one has none or too many owners or one twice, or their versions
    /// do not ascend.
    pub fn new(
        sets: impl IntoIterator<Item = OwnerSet>,
        removed: impl IntoIterator<Item = NodeId>,
    ) -> Result<Self, SetsError> {
        let sets: SmallVec<[OwnerSet; 2]> = sets.into_iter().collect();
        if sets.is_empty() || sets.len() > LIVE_SETS_MAX {
            return Err(SetsError::SetCount { sets: sets.len() });
        }
        for set in &sets {
            let owners = set.members.len();
            if owners == 0 || owners > usize::from(REPLICAS_MAX) {
                return Err(SetsError::OwnerCount { owners });
            }
            if (1..owners).any(|index| set.members[..index].contains(&set.members[index])) {
                return Err(SetsError::Repeated);
            }
        }
        if !sets.is_sorted_by(|a, b| a.version < b.version) {
            return Err(SetsError::Unordered);
        }
        let in_older = |node: &NodeId| sets[..sets.len() - 1].iter().any(|set| set.contains(*node));
        let mut removed: SmallVec<[NodeId; 1]> = removed.into_iter().filter(in_older).collect();
        removed.sort_unstable();
        removed.dedup();
        Ok(Self { sets, removed, rules: Rules::default() })
    }

    /// The set that is to remain.
    #[must_use]
    pub fn newest(&self) -> &OwnerSet {
        &self.sets[self.sets.len() - 1]
    }

    /// The sets that are to end, oldest first; none while nothing moves.
    #[must_use]
    pub fn older(&self) -> &[OwnerSet] {
        &self.sets[..self.sets.len() - 1]
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn all(&self) -> &[OwnerSet] {
        &self.sets
    }

    /// What requests are tagged with: the newest set's version.
    #[must_use]
    pub fn tag(&self) -> SetVersion {
        self.newest().version
    }

    /// Whether a move is under way.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.sets.len() > 1
    }

    /// Whether `node` was an owner in an older set and is no part of the cluster any more.
    #[must_use]
    pub fn is_removed(&self, node: NodeId) -> bool {
        self.removed.binary_search(&node).is_ok()
    }

    /// The nodes of older sets that are removed from the cluster, ascending.
    #[must_use]
    pub fn removed(&self) -> &[NodeId] {
        &self.removed
    }

    /// Every node that is an owner in a live set and in the cluster, once.
    #[must_use]
    pub fn owners(&self) -> SmallVec<[NodeId; 6]> {
        let mut owners: SmallVec<[NodeId; 6]> = SmallVec::new();
        for node in self.sets.iter().flat_map(|set| &set.members) {
            if !owners.contains(node) && !self.is_removed(*node) {
                owners.push(*node);
            }
        }
        owners
    }

    /// Whether the move is done: all of the newest set are complete, and all owners of older sets that
    /// are still in the cluster have retired. Only then may a layout drop the older sets.
    ///
    /// A status once given stays true, so `statuses` may be as old as they like.
    #[must_use]
    pub fn is_done(&self, statuses: &[(NodeId, Status)]) -> bool {
        let said = |node: NodeId, what: fn(&Status) -> bool| {
            let current = |status: &Status| status.version == self.tag() && what(status);
            statuses.iter().any(|(by, status)| *by == node && current(status))
        };
        let complete = |node: &NodeId| said(*node, |status| status.complete);
        let retired = |node: &NodeId| self.is_removed(*node) || said(*node, |it| it.retired);
        self.newest().members.iter().all(complete)
            && self.older().iter().flat_map(|set| &set.members).all(retired)
    }

    /// Where a hint kept for `owner` is to be delivered, as a write tagged [`LiveSets::tag`]: to that owner; to all of the
    /// newest set where it is an owner no more; and to both where it is about to be none. What a fenced owner takes in under this tag
    /// after its push has passed the key is with the newest set only if whoever wrote it brought it there.
    #[must_use]
    pub fn hint_targets(&self, owner: NodeId) -> SmallVec<[NodeId; 3]> {
        if self.newest().contains(owner) {
            return SmallVec::from_elem(owner, 1);
        }
        let mut targets = self.newest().members.clone();
        if self.older().iter().any(|set| set.contains(owner)) {
            targets.push(owner);
        }
        targets
    }

    /// Whether `self` says more than `known`: a newer set, a set ended or a node removed.
    #[must_use]
    pub fn supersedes(&self, known: &Self) -> bool {
        let progress = |sets: &Self| (sets.tag(), LIVE_SETS_MAX - sets.sets.len());
        progress(self) > progress(known)
            || progress(self) == progress(known) && self.removed.len() > known.removed.len()
    }

    /// Switches one rule off, for tests that show what it is for.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(mut self, rule: super::Rule) -> Self {
        self.rules.switch_off(rule);
        self
    }
}
