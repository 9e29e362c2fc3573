//! Linearizable operations while a partition moves: joint across its live sets.

use super::rules::Rule;
use super::{LiveSets, OwnerSet, Quorum};
use crate::node::NodeId;

/// What an owner answered to a linearizable read, next to the digest that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAnswer {
    /// Its digest of the key is that one, and it holds the pushes of a majority of each older set.
    EqualAndReady,
    /// Its digest of the key is that one, and it has not received so much.
    Equal,
    /// Its digest is another.
    Different,
    /// It is an owner no more.
    Retired,
}

/// What the answers to a linearizable read amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinearizableOutcome {
    /// The state with that digest is the answer.
    Done,
    /// Ask again: join what differs, or wait for more answers.
    Open,
}

impl LiveSets {
    /// Whether `answers` about one digest finish a linearizable read.
    ///
    /// A majority of the newest set must be equal, and a majority of each older set equal or retired. An
    /// answer of a new owner may be older than the *retired* of an old one: it may have been given
    /// before the pushes arrived that let the old one retire. So where *retired* is needed, new owners
    /// count only if they were ready when they answered.
    ///
    /// A linearizable write is a write with [`Quorum::Majority`], [`LiveSets::write_outcome`].
    #[must_use]
    pub fn linearizable_outcome(&self, answers: &[(NodeId, DigestAnswer)]) -> LinearizableOutcome {
        let given = |node| answers.iter().find(|(by, _)| *by == node).map(|(_, answer)| *answer);
        let majority = |set: &OwnerSet, counts: &dyn Fn(NodeId) -> bool| {
            let count = set.members.iter().filter(|node| counts(**node)).count();
            count >= Quorum::Majority.of(set.members.len())
        };
        let ready = |node| given(node) == Some(DigestAnswer::EqualAndReady);
        let equal = |node| ready(node) || given(node) == Some(DigestAnswer::Equal);
        let gone = |node| {
            equal(node) || self.is_removed(node) || given(node) == Some(DigestAnswer::Retired)
        };
        let none_retired =
            majority(self.newest(), &equal) && self.older().iter().all(|set| majority(set, &equal));
        let after_retired = majority(
            self.newest(),
            if self.rules.lack(Rule::ReadyAfterRetired) { &equal } else { &ready },
        ) && self.older().iter().all(|set| majority(set, &gone));
        if none_retired || after_retired {
            LinearizableOutcome::Done
        } else {
            LinearizableOutcome::Open
        }
    }
}
