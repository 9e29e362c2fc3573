//! What operations answer.

use bytes::Bytes;

use crate::context::Context;
use crate::kind::Shown;
use crate::operation::Contents;
use crate::payload::Score;

/// What an operation answers. The front door gives it the shape of its protocol.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reply {
    /// Done.
    Done,
    /// Nothing there; or, for a conditional write, the condition did not hold.
    Nothing,
    /// A count, length, index, or integer value.
    Integer(i64),
    /// A value.
    Value(Bytes),
    /// Values, members or fields, in order; `None` where nothing is.
    Values(Vec<Option<Bytes>>),
    /// Fields and their values.
    Pairs(Vec<(Bytes, Bytes)>),
    /// A map's values with their paths.
    Entries(Vec<(Vec<Bytes>, Bytes)>),
    /// A score.
    Score(Score),
    /// Scores, in the order asked for; `None` where nothing is.
    Scores(Vec<Option<Score>>),
    /// Members with their scores.
    Scored(Vec<(Bytes, Score)>),
    /// A rank, with the score.
    Ranked(i64, Score),
    /// Flags or answers, in the order asked for.
    Integers(Vec<i64>),
    /// What kind of key it is.
    Type(Shown),
    /// Concurrent values, and the dots that a write replacing them names.
    Siblings(Vec<Bytes>, Context),
    /// All that a key holds, to be stored under another; `None` where it is not there.
    Contents(Option<Box<Contents>>),
    /// A HyperLogLog's non-zero registers: (index, rank).
    Registers(Vec<(u16, u8)>),
}

impl Reply {
    /// A count.
    ///
    /// # Panics
    /// If it does not fit, which no count of things in memory does.
    pub fn count(count: impl TryInto<i64>) -> Reply {
        match count.try_into() {
            Ok(count) => Reply::Integer(count),
            Err(_) => panic!("a count fits 63 bits"),
        }
    }

    /// 1 for true, 0 for false.
    pub fn flag(flag: bool) -> Reply {
        Reply::Integer(i64::from(flag))
    }

    /// A value or nothing.
    pub fn value(value: Option<Bytes>) -> Reply {
        value.map_or(Reply::Nothing, Reply::Value)
    }
}
