//! What a checker says of a key: kept, broken with the evidence, or undecided.

use std::fmt::{Display, Formatter, Result as FmtResult};
use std::ops::AddAssign;

use crate::{BucketId, Cell, Dot, FinalState, KeyHistory, Name, Operation, Owner};

/// What a checker found out about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The property holds for all that was judged.
    Kept(Judged),
    /// It does not.
    Broken(Box<Violation>),
    /// It cannot be said; this is not a pass.
    Undecided(Undecided),
}

/// How much a verdict rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judged {
    /// Acknowledged operations that the property bound.
    pub operations: u64,
    /// Claims that were tested: one for each read or final state and what it had to show or hide.
    pub claims: u64,
    /// Claims that could not be made because an operation of unknown outcome, or one whose client
    /// was not told what it observed, may explain what is there.
    pub excused: u64,
    /// States that a search visited.
    pub states: u64,
}

impl AddAssign for Judged {
    fn add_assign(&mut self, other: Judged) {
        self.operations += other.operations;
        self.claims += other.claims;
        self.excused += other.excused;
        self.states += other.states;
    }
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecided {
    /// Final states of some of the owners are missing.
    MissingFinals {
        /// How many owners' states there are.
        have: usize,
        /// How many owners there are.
        need: u32,
    },
    /// The search ran out of its budget.
    Budget {
        /// States visited.
        states: u64,
    },
    /// The key saw an operation whose effect has no place in the sequential specification.
    NotSpecified(Box<Operation>),
}

/// A promise broken, with the least that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key's bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Name,
    /// What is wrong.
    pub fault: Fault,
    /// The operations that show it, by time of invocation.
    pub operations: Vec<Operation>,
    /// Owners whose final states show it.
    pub owners: Vec<Owner>,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An acknowledged write is gone, and nothing can have removed it.
    Lost(Cell),
    /// What an acknowledged operation removed or replaced is there.
    Resurrected(Cell),
    /// Something is there that nobody wrote.
    Phantom(Cell),
    /// Two operations minted the same dot.
    DotReused(Dot),
    /// Owners hold different states after healing.
    OwnersDiffer,
    /// A counter is outside what its increments allow.
    CounterOutOfBounds {
        /// What it shows.
        shown: i128,
        /// The least that the increments allow.
        least: i128,
        /// The most.
        most: i128,
    },
    /// A read at intersecting quorums missed a write that was acknowledged before it began.
    StaleRead(Cell),
    /// A read at intersecting quorums showed what had been removed or replaced before it began.
    ShownAfterRemoval(Cell),
    /// A read missed a write of its own session.
    OwnWriteMissed(Cell),
    /// A read showed what its own session had removed or replaced.
    OwnRemovalMissed(Cell),
    /// A read took back what an earlier one of its session showed.
    NotMonotonic(Cell),
    /// A counter that only grows shrank between two reads of a session.
    CounterNotMonotonic,
    /// No order of the operations explains what they answered.
    NotLinearizable,
    /// A linearizable read missed an add that was over before it began, or before something began
    /// that it showed.
    AddMissed(Cell),
    /// A linearizable read showed an element before it was added.
    ReadBeforeWritten(Cell),
    /// Two linearizable reads, each showing something that the other does not.
    ReadsDoNotNest,
}

impl Violation {
    /// Evidence from a key's history; each operation is named once.
    pub(crate) fn new(
        key: &KeyHistory,
        fault: Fault,
        operations: impl IntoIterator<Item = usize>,
        owners: impl IntoIterator<Item = Owner>,
    ) -> Box<Self> {
        let mut indices: Vec<usize> = operations.into_iter().collect();
        indices.sort_unstable();
        indices.dedup();
        let operations = indices.into_iter().map(|index| key.operations[index].clone()).collect();
        let owners = owners.into_iter().collect();
        let (bucket, name) = (key.bucket.bucket, key.key.clone());
        Box::new(Violation { bucket, key: name, fault, operations, owners })
    }

    /// As [`Violation::new`], of final states.
    pub(crate) fn at_the_end<'a>(
        key: &KeyHistory,
        fault: Fault,
        operations: impl IntoIterator<Item = usize>,
        finals: impl IntoIterator<Item = &'a FinalState>,
    ) -> Box<Self> {
        Violation::new(key, fault, operations, finals.into_iter().map(|state| state.owner))
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Fault::Lost(cell) => {
                write!(f, "{cell} was acknowledged, nothing removed it, and it is gone")
            }
            Fault::Resurrected(cell) => {
                write!(f, "{cell} holds what an acknowledged operation had removed or replaced")
            }
            Fault::Phantom(cell) => write!(f, "{cell} holds what nobody can have written"),
            Fault::DotReused(dot) => write!(f, "dot {dot} was minted twice"),
            Fault::OwnersDiffer => f.write_str("the owners hold different states after healing"),
            Fault::CounterOutOfBounds { shown, least, most } => write!(
                f,
                "the counter shows {shown}, but what was acknowledged and what is unknown allow \
                 only {least} to {most}"
            ),
            Fault::StaleRead(cell) => write!(
                f,
                "{cell} was acknowledged by a quorum before the read began, nothing removed it, \
                 and the read misses it"
            ),
            Fault::ShownAfterRemoval(cell) => write!(
                f,
                "{cell} was removed or replaced at a quorum before the read began, and the read \
                 shows it as it was"
            ),
            Fault::OwnWriteMissed(cell) => {
                write!(f, "a session wrote {cell} and then read the key without it")
            }
            Fault::OwnRemovalMissed(cell) => {
                write!(f, "a session removed or replaced {cell} and then read it as it was")
            }
            Fault::NotMonotonic(cell) => {
                write!(f, "a session read {cell} and later an earlier state of it")
            }
            Fault::CounterNotMonotonic => {
                f.write_str("a session read a counter that only grows, and later read less")
            }
            Fault::NotLinearizable => {
                f.write_str("no order of these operations explains what they answered")
            }
            Fault::AddMissed(cell) => write!(
                f,
                "a read misses {cell}, whose add was over before the read began, or before \
                 something began that the read shows"
            ),
            Fault::ReadBeforeWritten(cell) => {
                write!(f, "a read shows {cell}, which was only added after it")
            }
            Fault::ReadsDoNotNest => f.write_str(
                "two reads each show something that the other does not, or the later less",
            ),
        }
    }
}

impl Display for Violation {
    /// A sentence that says what is wrong, and a line for each operation that shows it.
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "key {} of bucket {}: {}", self.key, self.bucket.0, self.fault)?;
        for operation in &self.operations {
            write!(f, "\n  {operation}")?;
        }
        for owner in &self.owners {
            write!(f, "\n  seen in the final state of owner {}", owner.0)?;
        }
        Ok(())
    }
}

impl Display for Undecided {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Undecided::MissingFinals { have, need } => {
                write!(f, "undecided: final states of {have} owners, not {need}")
            }
            Undecided::Budget { states } => {
                write!(f, "undecided: the search gave up after {states} states")
            }
            Undecided::NotSpecified(operation) => {
                write!(f, "undecided: the specification has no place for {operation}")
            }
        }
    }
}
