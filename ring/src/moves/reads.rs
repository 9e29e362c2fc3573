//! When a read has enough answers.

use super::{LiveSets, OwnerSet, Quorum, SetVersion};
use crate::node::NodeId;

/// One live set as a source of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSet<'a> {
    /// Whom to ask, naming the set's version.
    pub set: &'a OwnerSet,
    /// How many of them must answer.
    pub needed: usize,
}

/// What an owner answered to a read of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadAnswer {
    /// With its state.
    Answered,
    /// It has retired from the set, has not received it, or will not answer.
    Refused,
}

/// What the answers to a read of a set amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadOutcome {
    /// The joined answers hold every write acknowledged before the read began.
    Done,
    /// More answers are needed, and may come.
    Open,
    /// Too many refused: another set may do.
    Elsewhere,
}

impl LiveSets {
    /// The sets that a read of `quorum` may ask, oldest first; the answers of one of them are enough,
    /// and those of several cannot be added up.
    pub fn read_sets(&self, quorum: Quorum) -> impl DoubleEndedIterator<Item = ReadSet<'_>> {
        self.all().iter().map(move |set| ReadSet { set, needed: quorum.of(set.members.len()) })
    }

    /// What `answers` to a read of the set of `version` amount to. Each owner counts once.
    #[must_use]
    pub fn read_outcome(
        &self,
        version: SetVersion,
        quorum: Quorum,
        answers: &[(NodeId, ReadAnswer)],
    ) -> ReadOutcome {
        let Some(read) = self.read_sets(quorum).find(|read| read.set.version == version) else {
            return ReadOutcome::Elsewhere;
        };
        let given = |node| answers.iter().find(|(by, _)| *by == node).map(|(_, answer)| *answer);
        let count = |counts: fn(Option<ReadAnswer>) -> bool| {
            let may = |node: &&NodeId| !self.is_removed(**node) && counts(given(**node));
            read.set.members.iter().filter(may).count()
        };
        if count(|answer| answer == Some(ReadAnswer::Answered)) >= read.needed {
            ReadOutcome::Done
        } else if count(|answer| answer != Some(ReadAnswer::Refused)) >= read.needed {
            ReadOutcome::Open
        } else {
            ReadOutcome::Elsewhere
        }
    }
}
