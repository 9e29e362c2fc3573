//! When a write is acknowledged.

use super::rules::Rule;
use super::{LiveSets, OwnerSet, Quorum};
use crate::node::NodeId;

/// What an owner answered to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteAnswer {
    /// It has it, as durably as the level asks.
    Stored,
    /// It is an owner no more.
    Retired,
    /// It will not answer.
    Failed,
}

/// What the answers to a write amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteOutcome {
    /// Acknowledged.
    Done,
    /// More answers are needed, and may come.
    Open,
    /// Too many failed.
    Unavailable,
}

impl LiveSets {
    /// What `answers` to a write tagged [`LiveSets::tag`] and sent to all [`LiveSets::owners`] amount
    /// to, where `quorum` of each set is asked for.
    ///
    /// Answers to the same write under another tag do not count. Each owner counts once.
    #[must_use]
    pub fn write_outcome(&self, quorum: Quorum, answers: &[(NodeId, WriteAnswer)]) -> WriteOutcome {
        let given = |node| answers.iter().find(|(by, _)| *by == node).map(|(_, answer)| *answer);
        let newest = self.newest();
        let in_newest = |counts: fn(Option<WriteAnswer>) -> bool| {
            let count = newest.members.iter().filter(|node| counts(given(**node))).count();
            count >= quorum.of(newest.members.len()) || self.rules.lack(Rule::NewQuorum)
        };
        let in_older = |set: &OwnerSet, counts: fn(Option<WriteAnswer>) -> bool| {
            let held = |node: &&NodeId| {
                self.is_removed(**node)
                    || given(**node) == Some(WriteAnswer::Retired)
                    || counts(given(**node))
            };
            set.members.iter().filter(held).count() >= quorum.of(set.members.len())
                || self.rules.lack(Rule::OldQuorum)
        };
        let everywhere = |counts: fn(Option<WriteAnswer>) -> bool| {
            in_newest(counts) && self.older().iter().all(|set| in_older(set, counts))
        };
        if everywhere(|answer| answer == Some(WriteAnswer::Stored)) {
            WriteOutcome::Done
        } else if everywhere(|answer| matches!(answer, None | Some(WriteAnswer::Stored))) {
            WriteOutcome::Open
        } else {
            WriteOutcome::Unavailable
        }
    }
}
