//! Operations as clients know them: what was asked, when, and what came of it.

use std::fmt::{Display, Formatter, Result as FmtResult};

use serde::{Deserialize, Serialize};

use crate::{Dot, Name, Nanos};

/// Names one operation of a history; the recorder numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

/// A client's session: one connection, or one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// Names a bucket declared in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketId(pub u16);

/// How many owners a write waited for or a read asked (DESIGN, §7).
///
/// In a strong bucket there is but one level; operations there say [`Level::Linearizable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the levels' names are their meaning")]
pub enum Level {
    Any,
    One,
    Two,
    Three,
    Quorum,
    All,
    LocalOne,
    LocalQuorum,
    EachQuorum,
    Linearizable,
}

impl Level {
    /// How many of `replicas` owners take part at the least, fallbacks not counted, in a bucket where
    /// fallbacks never count.
    ///
    /// Regional levels know no regions here: a local quorum is at least one owner, and a quorum in
    /// each region is at least a quorum of all.
    #[must_use]
    pub fn owners_min(self, replicas: u32) -> u32 {
        match self {
            Level::Any => 0,
            Level::One | Level::LocalOne | Level::LocalQuorum => 1,
            // All of a smaller set: with more counted than there are, quorums would seem to intersect.
            Level::Two => replicas.min(2),
            Level::Three => replicas.min(3),
            Level::Quorum | Level::EachQuorum | Level::Linearizable => replicas / 2 + 1,
            Level::All => replicas,
        }
    }
}

/// What a client asked of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Add an element to the set.
    Add {
        /// The element.
        element: Name,
    },
    /// Remove an element from the set; of concurrent adds it removes nothing.
    Remove {
        /// The element.
        element: Name,
    },
    /// Add to the counter; negative amounts subtract.
    Increment {
        /// How much.
        by: i64,
    },
    /// Assign the register a value that no other assignment of the key carries.
    Assign {
        /// The value.
        value: Name,
    },
    /// Raise the flag, which wins over a concurrent [`Action::Disable`].
    Enable,
    /// Lower the flag.
    Disable,
    /// Delete the whole key: elements, counter, register and flag.
    Delete,
    /// Read what a part of the key holds.
    Read(Part),
    /// Act on the compare-and-set register of a strong bucket.
    Strong(Strong),
}

/// What of a key a read asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The elements of the set.
    Set,
    /// The sum of the counter.
    Counter,
    /// The register's values: none, one, or siblings.
    Register,
    /// Whether the flag is up.
    Flag,
    /// All of them.
    Whole,
}

/// An operation on a compare-and-set register.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strong {
    /// Read it.
    Get,
    /// Set it if `condition` holds; the answer says whether it did and what was there.
    Set {
        /// The new value.
        value: Name,
        /// When to set it.
        condition: Condition,
    },
    /// Read and remove it.
    GetDelete,
    /// Add to the decimal number it holds; absent is 0.
    Increment {
        /// How much.
        by: i64,
    },
    /// Remove it; the answer says whether there was something.
    Delete,
}

/// When a strong write takes place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Always.
    Always,
    /// If nothing is there (`NX`).
    IfAbsent,
    /// If something is there (`XX`).
    IfPresent,
    /// If this is there.
    IfEqual(Name),
}

/// What an operation that took place answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// That it was done, and no more.
    Stored,
    /// What the key holds, or the part of it that was asked for; what was not asked for is empty.
    Shown(View),
    /// What a strong register held before: the answer to a get, and to a get that deletes.
    Held(Option<Name>),
    /// Whether a strong set took place, and what was held before if the client asked.
    Set {
        /// Whether the condition held.
        applied: bool,
        /// What was held before.
        before: Before,
    },
    /// The number after a strong increment.
    Number(i64),
    /// A strong increment of what is no number, or past the bounds of one.
    NotANumber,
    /// Whether a strong delete found something.
    Deleted(bool),
}

/// What a strong register held before it was set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// The client did not ask (`GET`).
    NotAsked,
    /// Nothing.
    Nothing,
    /// A value.
    Value(Name),
}

/// What a key shows to a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct View {
    /// The set's elements, in any order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elements: Vec<Name>,
    /// The counter's sum; 0 where there is none.
    pub counter: i64,
    /// The register's values: none, the winner, or all siblings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub register: Vec<Name>,
    /// Whether the flag is up.
    pub flag: bool,
}

/// What a client knows after an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It took place, at the level asked for.
    Done {
        /// When the answer came.
        returned: Nanos,
        /// The answer.
        answer: Answer,
        /// The dot it minted, where the client was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dot: Option<Dot>,
        /// The dots it observed and so dropped, where the client was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observed: Option<Vec<Dot>>,
    },
    /// Nothing was stored, because of what was asked.
    Refused {
        /// When the answer came.
        returned: Nanos,
    },
    /// Nothing was stored, because too few owners could be reached.
    Unavailable {
        /// When the answer came.
        returned: Nanos,
    },
    /// It may have taken place, may yet, or may never.
    Unknown {
        /// The dot it minted, where the client was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dot: Option<Dot>,
        /// The dots it observed, where the client was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        observed: Option<Vec<Dot>>,
    },
}

/// One operation of one client on one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Its number in the history.
    pub id: OperationId,
    /// Who asked.
    pub session: SessionId,
    /// The key's bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Name,
    /// The level asked for.
    pub level: Level,
    /// The level at which a write that replaces something was to see what there is, where the recorder knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observes: Option<Level>,
    /// When it was sent.
    pub invoked: Nanos,
    /// What was asked.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// When its effect, if it has one, can begin at the latest: the return of what is done, never for
    /// what is unknown, and `None` for what was not stored.
    #[must_use]
    pub fn effective_until(&self) -> Option<Nanos> {
        match self.outcome {
            Outcome::Done { returned, .. } => Some(returned),
            Outcome::Unknown { .. } => Some(Nanos::MAX),
            Outcome::Refused { .. } | Outcome::Unavailable { .. } => None,
        }
    }

    /// Whether it was acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done { .. })
    }

    /// Whether it may have had an effect: it is done, or unknown.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.effective_until().is_some()
    }

    /// The answer, of what is done.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Done { answer, .. } => Some(answer),
            Outcome::Refused { .. } | Outcome::Unavailable { .. } | Outcome::Unknown { .. } => None,
        }
    }

    /// The dot minted, where the client was told.
    #[must_use]
    pub fn dot(&self) -> Option<Dot> {
        match self.outcome {
            Outcome::Done { dot, .. } | Outcome::Unknown { dot, .. } => dot,
            Outcome::Refused { .. } | Outcome::Unavailable { .. } => None,
        }
    }

    /// The dots observed, where the client was told.
    #[must_use]
    pub fn observed(&self) -> Option<&[Dot]> {
        match &self.outcome {
            Outcome::Done { observed, .. } | Outcome::Unknown { observed, .. } => {
                observed.as_deref()
            }
            Outcome::Refused { .. } | Outcome::Unavailable { .. } => None,
        }
    }

    /// What a read that was answered showed, and which part of the key that is.
    #[must_use]
    pub fn shown(&self) -> Option<(Part, &View)> {
        match (&self.action, self.answer()) {
            (Action::Read(part), Some(Answer::Shown(view))) => Some((*part, view)),
            _ => None,
        }
    }

    /// Whether it returned before the other was sent. What returns in the nanosecond in which the
    /// other is sent counts as concurrent.
    #[must_use]
    pub fn precedes(&self, other: &Operation) -> bool {
        self.effective_until().is_some_and(|until| until < other.invoked)
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Action::Add { element } => write!(f, "add {element}"),
            Action::Remove { element } => write!(f, "remove {element}"),
            Action::Increment { by } => write!(f, "increment by {by}"),
            Action::Assign { value } => write!(f, "assign {value}"),
            Action::Enable => f.write_str("enable"),
            Action::Disable => f.write_str("disable"),
            Action::Delete | Action::Strong(Strong::Delete) => f.write_str("delete"),
            Action::Read(Part::Set) => f.write_str("read the set"),
            Action::Read(Part::Counter) => f.write_str("read the counter"),
            Action::Read(Part::Register) => f.write_str("read the register"),
            Action::Read(Part::Flag) => f.write_str("read the flag"),
            Action::Read(Part::Whole) => f.write_str("read the key"),
            Action::Strong(Strong::Get) => f.write_str("get"),
            Action::Strong(Strong::Set { value, condition }) => match condition {
                Condition::Always => write!(f, "set {value}"),
                Condition::IfAbsent => write!(f, "set {value} if absent"),
                Condition::IfPresent => write!(f, "set {value} if present"),
                Condition::IfEqual(held) => write!(f, "set {value} if it is {held}"),
            },
            Action::Strong(Strong::GetDelete) => f.write_str("get and delete"),
            Action::Strong(Strong::Increment { by }) => write!(f, "increment by {by}"),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Answer::Stored => f.write_str("stored"),
            Answer::Shown(view) => write!(
                f,
                "set {:?}, counter {}, register {:?}, flag {}",
                view.elements, view.counter, view.register, view.flag
            ),
            Answer::Held(Some(value)) => write!(f, "{value}"),
            Answer::Held(None) => f.write_str("nothing there"),
            Answer::Set { applied, before } => {
                f.write_str(if *applied { "set" } else { "not set" })?;
                match before {
                    Before::NotAsked => Ok(()),
                    Before::Nothing => f.write_str(", nothing there before"),
                    Before::Value(value) => write!(f, ", {value} before"),
                }
            }
            Answer::Number(number) => write!(f, "{number}"),
            Answer::NotANumber => f.write_str("not a number"),
            Answer::Deleted(found) => f.write_str(if *found { "deleted" } else { "nothing there" }),
        }
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "operation {} (session {}, ", self.id.0, self.session.0)?;
        match &self.outcome {
            Outcome::Done { returned, .. } => {
                write!(f, "{} to {} ns)", self.invoked.0, returned.0)?
            }
            Outcome::Refused { .. } | Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                write!(f, "from {} ns)", self.invoked.0)?;
            }
        }
        write!(f, ": {} at {:?}, ", self.action, self.level)?;
        match &self.outcome {
            Outcome::Done { answer: Answer::Shown(view), .. } => show(&self.action, view, f)?,
            Outcome::Done { answer, .. } => write!(f, "answered {answer}")?,
            Outcome::Refused { .. } => f.write_str("refused, nothing stored")?,
            Outcome::Unavailable { .. } => f.write_str("unavailable, nothing stored")?,
            Outcome::Unknown { .. } => f.write_str("outcome unknown")?,
        }
        if let Some(dot) = self.dot() {
            write!(f, ", minted {dot}")?;
        }
        match self.observed() {
            None | Some([]) => Ok(()),
            Some(dots) => write!(f, ", observed {}", Dots(dots)),
        }
    }
}

/// Only the part of the key that was read.
fn show(action: &Action, view: &View, f: &mut Formatter<'_>) -> FmtResult {
    match action {
        Action::Read(Part::Set) => write!(f, "showed {:?}", view.elements),
        Action::Read(Part::Counter) => write!(f, "showed {}", view.counter),
        Action::Read(Part::Register) => write!(f, "showed {:?}", view.register),
        Action::Read(Part::Flag) => {
            f.write_str(if view.flag { "showed it up" } else { "showed it down" })
        }
        _ => write!(f, "showed {}", Answer::Shown(view.clone())),
    }
}

struct Dots<'a>(&'a [Dot]);

impl Display for Dots<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        self.0.iter().enumerate().try_for_each(|(index, dot)| {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dot}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn no_level_counts_more_owners_than_there_are() {
        for replicas in 1..=5 {
            for level in [Level::Any, Level::Two, Level::Three, Level::Quorum, Level::All] {
                assert!(level.owners_min(replicas) <= replicas, "{level:?} of {replicas}");
            }
        }
    }
}
