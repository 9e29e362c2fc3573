//! Several keys: commands that the front doors make of one request per key.
//!
//! Not atomic, and nothing is undone: what became of each request is told. What moves is stored durably where it goes
//! before it is removed where it was, so that at worst it is in both places.

mod algebra;
mod derive;
mod sort;
mod transfer;

use coterie_crdt::operation::{ListEnd, OpError, Operation, Reply, SortedSetOperation};
use coterie_crdt::{Score, operation::algebra::Aggregate};
use coterie_wire::{Key, Outcome};
use thiserror::Error;

use bytes::Bytes;

pub use sort::{Sort, SortBy};

/// A command on several keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `MGET`, `MSET`, `DEL`, `EXISTS` and their like: the same or others on each key, independently.
    Each(Vec<(Key, Vec<Operation>)>),
    /// `SUNION`, `SINTER`, `SDIFF` and their like.
    Sets {
        /// The inputs, in order.
        keys: Vec<Key>,
        /// What to make of them.
        verb: Algebra,
        /// Where to store it; `None` to answer it.
        into: Option<Key>,
    },
    /// `ZUNION`, `ZINTER`, `ZDIFF` and their like. Plain sets may be among the inputs.
    SortedSets {
        /// The inputs, in order, with what their scores are multiplied by.
        keys: Vec<(Key, Score)>,
        /// What to make of them.
        verb: Algebra,
        /// What becomes of the scores that a member has in several.
        aggregate: Aggregate,
        /// Where to store it; `None` to answer it.
        into: Option<Key>,
    },
    /// `COPY`, `RENAME`, `RENAMENX`.
    Copy {
        /// What is copied.
        from: Key,
        /// Where to.
        to: Key,
        /// What becomes of a key that is there.
        there: There,
        /// What becomes of the original.
        original: Original,
    },
    /// `LMOVE`, `RPOPLPUSH`.
    MoveElement {
        /// The list it is taken from, and at which end.
        from: (Key, ListEnd),
        /// The list it is put into, and at which end.
        to: (Key, ListEnd),
    },
    /// `SMOVE`.
    MoveMember {
        /// The set it is taken from.
        from: Key,
        /// The set it is put into.
        to: Key,
        /// Which.
        member: Bytes,
    },
    /// `PFMERGE`.
    Merge {
        /// The inputs; the key that they are merged into need not be among them.
        keys: Vec<Key>,
        /// What they are merged into.
        into: Key,
    },
    /// `ZRANGESTORE`.
    StoreRange {
        /// What is read.
        from: Key,
        /// What reads it: answers members with their scores.
        range: SortedSetOperation,
        /// Where they are stored.
        into: Key,
    },
    /// `SORT`.
    Sort(Sort),
}

/// What is made of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algebra {
    /// All members of any.
    Union,
    /// The members of all.
    Intersection,
    /// The members of the first that no other has.
    Difference,
    /// How many members all have, counted up to so many; 0 for all.
    IntersectionCount(usize),
}

/// What becomes of a key that is there where another is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// It is replaced.
    Replaced,
    /// It stays, and nothing is stored.
    Kept,
}

/// What becomes of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// It stays.
    Stays,
    /// It is deleted once the copy is acknowledged.
    Deleted,
}

/// A request on one key that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Its number: the answer's.
    pub item: usize,
    /// On which key.
    pub key: Key,
    /// What to do.
    pub operations: Vec<Operation>,
}

/// One request, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// On which key.
    pub key: Key,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What the items say, each for itself.
    Each,
    /// One reply.
    Reply(Reply),
}

/// Why a command did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GatherError {
    /// Of a key that had to be read, nothing was learned; nothing was changed.
    #[error("item {0} could not be read")]
    NotRead(usize),
    /// An operation failed; nothing was changed.
    #[error(transparent)]
    Failed(#[from] OpError),
    /// An element is to be sorted as a number and is none; nothing was changed.
    #[error("ERR One or more scores can't be converted into double")]
    NotSortable,
    /// It is not known to be stored where it was to go: the item says whether it may yet be. Where it was, nothing was
    /// changed.
    #[error("item {0} was not stored")]
    NotStored(usize),
    /// It is stored where it was to go, and not known to be removed where it was: it may be in both places.
    #[error("item {0} was not removed")]
    NotRemoved(usize),
}

/// A command that is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What it answers.
    pub answer: Result<Answer, GatherError>,
    /// What became of each request, in the order in which they were asked.
    pub items: Vec<Item>,
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Further answers are waited for.
    Waits,
    /// These are to be asked next.
    Asks(Vec<Ask>),
    /// It is done.
    Done(Box<Done>),
}

/// A command under way.
#[derive(Clone, Debug)]
pub struct Gather {
    command: Command,
    items: Vec<(Key, Option<Outcome>)>,
    stage: Stage,
}

/// How far a command in stages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What is needed is being read, or all is asked at once.
    First,
    /// It is being stored.
    Stores,
    /// It is being removed where it was. Says what is answered then.
    Removes,
}

impl Gather {
    /// Begins a command.
    #[must_use]
    pub fn begin(command: Command) -> (Gather, Progress) {
        let first = match &command {
            Command::Each(asked) => asked.clone(),
            Command::Sets { keys, .. } => {
                keys.iter().map(|key| (key.clone(), algebra::read_set())).collect()
            }
            Command::SortedSets { keys, .. } => {
                keys.iter().map(|(key, _)| (key.clone(), algebra::read_sorted_set())).collect()
            }
            Command::Copy { .. } | Command::MoveElement { .. } | Command::MoveMember { .. } => {
                vec![transfer::look(&command)]
            }
            Command::Merge { .. } | Command::StoreRange { .. } => derive::reads(&command),
            Command::Sort(sort) => vec![(sort.key.clone(), sort::read())],
        };
        let mut gather = Gather { command, items: Vec::new(), stage: Stage::First };
        let progress = if first.is_empty() { gather.go_on() } else { gather.ask(first) };
        (gather, progress)
    }

    /// Takes in what became of a request. An answer to none that is under way changes nothing.
    pub fn answered(&mut self, item: usize, outcome: Outcome) -> Progress {
        let Some((_, waiting @ None)) = self.items.get_mut(item) else { return Progress::Waits };
        *waiting = Some(outcome);
        if self.items.iter().any(|(_, outcome)| outcome.is_none()) {
            return Progress::Waits;
        }
        self.go_on()
    }

    fn go_on(&mut self) -> Progress {
        let next = match &self.command {
            Command::Each(_) => Ok(Next::Answer(Answer::Each)),
            Command::Sets { verb, into, .. } => match self.stage {
                Stage::First => algebra::of_sets(self, *verb, into.as_ref()),
                Stage::Stores | Stage::Removes => self.stored(),
            },
            Command::SortedSets { keys, verb, aggregate, into } => match self.stage {
                Stage::First => {
                    let weights = keys.iter().map(|(_, weight)| *weight);
                    algebra::of_sorted_sets(self, weights, *verb, *aggregate, into.as_ref())
                }
                Stage::Stores | Stage::Removes => self.stored(),
            },
            Command::Copy { .. } | Command::MoveElement { .. } | Command::MoveMember { .. } => {
                transfer::next(self)
            }
            Command::Merge { into, .. } => match self.stage {
                Stage::First => derive::merged(self, into),
                Stage::Stores | Stage::Removes => self.stored(),
            },
            Command::StoreRange { into, .. } => match self.stage {
                Stage::First => derive::ranged(self, into),
                Stage::Stores | Stage::Removes => self.stored(),
            },
            Command::Sort(sort) => match self.stage {
                Stage::First => sort::sorted(self, sort),
                Stage::Stores | Stage::Removes => sort::stored(self),
            },
        };
        match next {
            Ok(Next::Ask(stage, key, operations)) => {
                self.stage = stage;
                self.ask(vec![(key, operations)])
            }
            Ok(Next::Answer(answer)) => self.done(Ok(answer)),
            Err(error) => self.done(Err(error)),
        }
    }

    fn ask(&mut self, asked: Vec<(Key, Vec<Operation>)>) -> Progress {
        let mut asks = Vec::with_capacity(asked.len());
        for (key, operations) in asked {
            asks.push(Ask { item: self.items.len(), key: key.clone(), operations });
            self.items.push((key, None));
        }
        Progress::Asks(asks)
    }

    fn done(&mut self, answer: Result<Answer, GatherError>) -> Progress {
        let items = std::mem::take(&mut self.items).into_iter();
        let items = items.filter_map(|(key, outcome)| Some(Item { key, outcome: outcome? }));
        Progress::Done(Box::new(Done { answer, items: items.collect() }))
    }

    /// The last request was to store the result, and answers how much that is.
    fn stored(&self) -> Result<Next, GatherError> {
        let last = self.items.len() - 1;
        let reply = self.reply(last).ok_or(GatherError::NotStored(last))?;
        Ok(Next::Answer(Answer::Reply(reply.map_err(|_failed| GatherError::NotStored(last))?)))
    }

    /// What the last operation of a request answered, if the request was done.
    fn reply(&self, item: usize) -> Option<Result<Reply, OpError>> {
        self.replies(item)?.last().cloned()
    }

    fn replies(&self, item: usize) -> Option<&[Result<Reply, OpError>]> {
        match &self.items.get(item)?.1 {
            Some(Outcome::Done(answered)) => Some(&answered.replies),
            Some(Outcome::Refused(_) | Outcome::Unavailable(_) | Outcome::Unknown { .. })
            | None => None,
        }
    }

    /// What a request that had to be read answered.
    fn read(&self, item: usize) -> Result<Reply, GatherError> {
        Ok(self.reply(item).ok_or(GatherError::NotRead(item))??)
    }
}

/// What a command does next.
enum Next {
    Ask(Stage, Key, Vec<Operation>),
    Answer(Answer),
}
