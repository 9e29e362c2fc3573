//! The decisions a node knows, and how it learns of more.

use super::message::{DECISIONS_PER_MESSAGE_MAX, Tip};
use super::moving::Decision;
use crate::intent::REPLICAS_MAX;
use crate::moves::OwnerSet;
use crate::partition::Partition;
use crate::register::{VALUE_BYTES_MAX, Wire};
use std::collections::VecDeque;
use thiserror::Error;

/// How many decisions a node keeps for those that are behind. One that is further behind gets the last
/// one only, which says all that is in force.
pub const DECISIONS_KEPT: usize = 32;

/// How many versions a node may miss.
const VERSION_JUMP: u64 = 1 << 32;

/// How many forced epochs a node may miss.
const EPOCH_JUMP: u32 = 1 << 16;

/// The last decisions, oldest first, without a gap; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    decisions: VecDeque<Decision>,
}

/// What learning of a decision did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It follows the last one.
    Next,
    /// Nothing: it is known, or older than what is.
    Known,
    /// It is later than the next: what was decided in between is not known. A replica of a set that
    /// the new decision does not list is received afresh.
    Skipped,
    /// It is of a higher epoch and took the place of decisions that it does not follow. Owner sets of
    /// those that are not live in it, and so may hold what was acknowledged there, are these.
    Replaced(Vec<LostSet>),
}

/// An owner set of the side that a forced epoch overruled: an older set to move from, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSet {
    /// Whose.
    pub partition: Partition,
    /// Of buckets with so many replicas.
    pub replicas: u8,
    /// The owners.
    pub set: OwnerSet,
}

/// Why a decision is not taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    /// It claims the place after the last one, or the same place, and names another parent. Two such
    /// decisions cannot both have been chosen: somebody has another cluster's, or lost its disk.
    #[error("the decision of version {number} belongs to another chain")]
    Forked {
        /// Its version.
        number: u64,
    },
    /// Its version or epoch is further ahead than a chain can have come: versions and epochs would be
    /// used up.
    #[error("the decision is impossibly far ahead")]
    TooFar,
    /// It has another number of partitions, which is fixed when a cluster is created.
    #[error("the decision has another number of partitions")]
    OtherPartitions,
}

impl Chain {
    /// The chain that begins with `first`: a bootstrap, or what a joining node was given.
    #[must_use]
    pub fn new(first: Decision) -> Self {
        Self { decisions: VecDeque::from([first]) }
    }

    /// The decision in force.
    #[must_use]
    pub fn last(&self) -> &Decision {
        self.decisions.back().expect("a chain is never empty")
    }

    /// How far it reaches. O(size of the layout).
    #[must_use]
    pub fn tip(&self) -> Tip {
        tip(self.last())
    }

    /// Takes in a decision that was chosen.
    ///
    /// # Errors
    /// If it contradicts what is known to be chosen; nothing changes.
    pub fn learn(&mut self, decision: Decision) -> Result<Learned, ChainError> {
        let (new, known) = (&decision.layout, &self.last().layout);
        if new.partitioner() != known.partitioner() {
            return Err(ChainError::OtherPartitions);
        }
        let ahead = new.version().saturating_sub(known.version());
        if ahead > VERSION_JUMP || new.epoch().saturating_sub(known.epoch()) > EPOCH_JUMP {
            return Err(ChainError::TooFar);
        }
        let forked = ChainError::Forked { number: new.version() };
        if new.epoch() > known.epoch() {
            let follows = ahead == 1 && new.parent() == known.hash();
            return Ok(if follows { self.push(decision) } else { self.replace(decision) });
        }
        if new.epoch() < known.epoch() {
            return Ok(Learned::Known);
        }
        if new.version() <= known.version() {
            let same = self.decisions.iter().find(|it| it.layout.version() == new.version());
            return match same {
                Some(same) if *same != decision => Err(forked),
                Some(_) | None => Ok(Learned::Known),
            };
        }
        if ahead > 1 {
            self.decisions = VecDeque::from([decision]);
            return Ok(Learned::Skipped);
        }
        if new.parent() != known.hash() {
            return Err(forked);
        }
        Ok(self.push(decision))
    }

    fn push(&mut self, decision: Decision) -> Learned {
        self.decisions.push_back(decision);
        if self.decisions.len() > DECISIONS_KEPT {
            self.decisions.pop_front();
        }
        Learned::Next
    }

    fn replace(&mut self, winner: Decision) -> Learned {
        let loser = self.last();
        let mut lost = Vec::new();
        for partition in loser.layout.partitioner().partitions() {
            for replicas in 1..=loser.layout.snapshot().replicas().min(REPLICAS_MAX) {
                let set = loser.newest(partition, replicas);
                let live = winner.live_sets(partition, replicas);
                if !live.all().iter().any(|other| other.consists_of(&set.members)) {
                    lost.push(LostSet { partition, replicas, set });
                }
            }
        }
        self.decisions = VecDeque::from([winner]);
        Learned::Replaced(lost)
    }

    /// What a node whose last decision is `known` lacks: the next ones, as many as fit one message, or
    /// the last one if those are not kept; nothing if it is as far.
    #[must_use]
    pub fn after(&self, known: Tip) -> Vec<Decision> {
        if known.version >= self.last().version() {
            return Vec::new();
        }
        let at = self.decisions.iter().position(|decision| tip(decision) == known);
        match at {
            Some(at) => {
                let mut bytes = 0;
                let next = self.decisions.iter().skip(at + 1).take(DECISIONS_PER_MESSAGE_MAX);
                // Each is within the limit by itself: it was the value of a register.
                let fits = |decision: &&Decision| {
                    let first = bytes == 0;
                    bytes += decision.encode().len();
                    first || bytes <= VALUE_BYTES_MAX
                };
                next.take_while(fits).cloned().collect()
            }
            None => vec![self.last().clone()],
        }
    }

    /// All that is kept, oldest first.
    pub fn decisions(&self) -> impl ExactSizeIterator<Item = &Decision> {
        self.decisions.iter()
    }
}

pub(super) fn tip(decision: &Decision) -> Tip {
    Tip { version: decision.version(), hash: decision.layout.hash() }
}
