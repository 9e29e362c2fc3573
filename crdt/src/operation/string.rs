//! Strings: registers, counters and what is both.

use bytes::Bytes;

use crate::address::Address;
use crate::cells::Cells;
use crate::context::Context;
use crate::footprint::Footprint;
use crate::kind::{COUNTED_KINDS, Shown};
use crate::operation::draft::Draft;
use crate::operation::number::{NumberIn, increment, increment_float, siblings_of, value_of};
use crate::operation::{OpError, Reply};
use crate::payload::Payload;

/// An operation on a string.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum StringOperation {
    /// `GET`
    Get,
    /// `GETRANGE`: bytes from one index to another, both inclusive; negative ones count from the end.
    GetRange {
        /// First index.
        start: i64,
        /// Last index.
        end: i64,
    },
    /// `STRLEN`, in bytes.
    Length,
    /// `SET`, `SETNX`, `GETSET` and their like.
    Set {
        /// What to assign.
        value: Bytes,
        /// Whether to, given what is there.
        condition: SetCondition,
        /// Whether to answer what was there before.
        get: bool,
        /// What becomes of the key's expiry.
        expire: Expire,
    },
    /// `GETDEL`
    GetDelete,
    /// `GETEX`
    GetExpire(Expire),
    /// `APPEND`: the length after it.
    Append(Bytes),
    /// `SETRANGE`: the length after it.
    SetRange {
        /// Where to write; zeros fill what lies before.
        offset: i64,
        /// What to write there.
        value: Bytes,
    },
    /// `INCRBY` and its like: the sum.
    IncrementBy(i64),
    /// `INCRBYFLOAT`: the sum. The increment is in text, as clients send it.
    IncrementByFloat(Bytes),
    /// All concurrent values, oldest first, with the context to replace them by.
    GetSiblings,
    /// Replaces the values in a context, as read by `GetSiblings`; the others stay as siblings.
    PutSibling {
        /// What to assign.
        value: Bytes,
        /// Which dots it replaces, where they are live.
        replaces: Context,
    },
}

/// When a `SET` or `HSETEX` assigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SetCondition {
    /// Always.
    Always,
    /// `NX`: if the key is not there; of fields, if none is.
    IfAbsent,
    /// `XX`: if the key is there; of fields, if all are.
    IfPresent,
}

/// What becomes of the expiry of a key or a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Expire {
    /// It stays as it is: `KEEPTTL`.
    Keep,
    /// It never expires: a plain `SET`, `PERSIST`.
    Never,
    /// At this time, in milliseconds since 1970.
    At(u64),
}

impl StringOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            // It deletes what other types are under the key.
            StringOperation::Set { .. } => Footprint::tallied(),
            StringOperation::Get
            | StringOperation::GetRange { .. }
            | StringOperation::Length
            | StringOperation::GetDelete
            | StringOperation::GetExpire(_)
            | StringOperation::Append(_)
            | StringOperation::SetRange { .. }
            | StringOperation::IncrementBy(_)
            | StringOperation::IncrementByFloat(_)
            | StringOperation::GetSiblings
            | StringOperation::PutSibling { .. } => Footprint::root(),
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(
            self,
            StringOperation::Get
                | StringOperation::GetRange { .. }
                | StringOperation::Length
                | StringOperation::GetSiblings
        )
    }

    pub(super) fn observes(&self) -> bool {
        !matches!(self, StringOperation::IncrementBy(_) | StringOperation::IncrementByFloat(_))
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        if !matches!(self, StringOperation::Set { .. }) {
            draft.expect(Shown::String)?;
        }
        let register = Address::REGISTER;
        let value = || value_of(&draft.cell(&register));
        match self {
            StringOperation::Get => Ok(Reply::value(value())),
            StringOperation::GetRange { start, end } => {
                let value = value().unwrap_or_default();
                Ok(Reply::Value(value.slice(byte_range(value.len(), *start, *end))))
            }
            StringOperation::Length => Ok(Reply::count(value().map_or(0, |value| value.len()))),
            StringOperation::GetDelete => {
                let value = value();
                if value.is_some() {
                    draft.remove(register)?;
                }
                Ok(Reply::value(value))
            }
            StringOperation::GetExpire(expire) => {
                let value = value();
                if value.is_some() {
                    set_expiry(draft, *expire)?;
                }
                Ok(Reply::value(value))
            }
            StringOperation::Append(tail) => {
                let mut whole = value().map_or_else(Vec::new, Vec::from);
                grown(draft, whole.len().saturating_add(tail.len()))?;
                whole.extend_from_slice(tail);
                let length = Reply::count(whole.len());
                draft.assign(register, |time| Payload::Value(time, whole.into()))?;
                Ok(length)
            }
            StringOperation::SetRange { offset, value: part } => {
                let offset =
                    usize::try_from(*offset).map_err(|_negative| OpError::OffsetOutOfRange)?;
                let mut whole = value().map_or_else(Vec::new, Vec::from);
                if part.is_empty() {
                    return Ok(Reply::count(whole.len()));
                }
                let end = offset.saturating_add(part.len());
                grown(draft, whole.len().max(end))?;
                whole.resize(whole.len().max(end), 0);
                whole[offset..end].copy_from_slice(part);
                let length = Reply::count(whole.len());
                draft.assign(register, |time| Payload::Value(time, whole.into()))?;
                Ok(length)
            }
            StringOperation::IncrementBy(by) => {
                increment(draft, register, *by, NumberIn::String).map(Reply::Integer)
            }
            StringOperation::IncrementByFloat(by) => {
                increment_float(draft, register, by, NumberIn::String).map(Reply::Value)
            }
            StringOperation::GetSiblings => {
                let cell = draft.cell(&register);
                let context = cell.dots().iter().map(|(dot, _)| *dot).collect();
                Ok(Reply::Siblings(siblings_of(&cell), context))
            }
            StringOperation::PutSibling { value, replaces } => {
                draft.limits().value(value.len())?;
                let siblings_max = draft.limits().siblings_max;
                let kept = draft
                    .cell(&register)
                    .dots()
                    .iter()
                    .filter(|(d, _)| !replaces.contains(*d))
                    .count();
                if kept >= siblings_max {
                    return Err(OpError::TooManySiblings { siblings: kept });
                }
                let value = value.clone();
                draft.put_over(
                    register.clone(),
                    |dot, _| replaces.contains(dot),
                    |time| Payload::Value(time, value),
                )?;
                if kept == 0 {
                    draft.reset(register)?;
                }
                Ok(Reply::Done)
            }
            StringOperation::Set { value, condition, get, expire } => {
                set(draft, value, *condition, *get, *expire)
            }
        }
    }
}

fn set<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    value: &Bytes,
    condition: SetCondition,
    get: bool,
    expire: Expire,
) -> Result<Reply, OpError> {
    draft.limits().value(value.len())?;
    if get {
        draft.expect(Shown::String)?;
    }
    let before = get.then(|| value_of(&draft.cell(&Address::REGISTER))).flatten();
    let holds = match condition {
        SetCondition::Always => true,
        SetCondition::IfAbsent => !draft.exists()?,
        SetCondition::IfPresent => draft.exists()?,
    };
    if holds {
        // A new value lives as long as a new key does.
        let mut expire = match (expire, draft.default_deadline()) {
            (Expire::Never, Some(deadline)) => Expire::At(deadline),
            (expire, _) => expire,
        };
        if deletes_others(draft)? {
            // The deletion takes the expiry along.
            expire = match (expire, draft.deadline()) {
                (Expire::Keep, Some(deadline)) => Expire::At(deadline),
                (expire, _) => expire,
            };
            draft.delete_whole()?;
        }
        draft.assign(Address::REGISTER, |time| Payload::Value(time, value.clone()))?;
        set_expiry(draft, expire)?;
    }
    Ok(match (get, holds) {
        (true, _) => Reply::value(before),
        (false, true) => Reply::Done,
        (false, false) => Reply::Nothing,
    })
}

/// Whether there is, or may be, something else that `SET` has to delete.
///
/// # Errors
/// Where the key has an expiry, which a deletion drops and an assignment overwrites, and only rows that
/// are not at hand could tell which of the two it is.
fn deletes_others<C: Cells>(draft: &Draft<'_, '_, C>) -> Result<bool, OpError> {
    if !draft.others_may_be_live() || draft.cell(&Address::EXPIRY).dots().is_empty() {
        return Ok(draft.others_may_be_live());
    }
    for kind in COUNTED_KINDS {
        if draft.count(kind)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn set_expiry<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    expire: Expire,
) -> Result<(), OpError> {
    match expire {
        Expire::Keep => Ok(()),
        Expire::Never if draft.cell(&Address::EXPIRY).dots().is_empty() => Ok(()),
        Expire::Never => draft.put(Address::EXPIRY, |time| Payload::Deadline(time, None)),
        Expire::At(at) => draft.put(Address::EXPIRY, |time| Payload::Deadline(time, Some(at))),
    }
}

/// Checks the length that a write to a part of a value leaves it with.
fn grown<C: Cells>(draft: &Draft<'_, '_, C>, length: usize) -> Result<(), OpError> {
    draft.limits().value(length).map_err(|_too_large| OpError::TooLong)
}

/// What `GETRANGE` takes an index pair for. Unlike an index into a list, an end before the first byte
/// means the first byte, but for a pair that is in the wrong order as it stands.
fn byte_range(length: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let first = i64::try_from(length).map_or(i64::MIN, |length| -length);
    clamp(length, start, end.max(first))
}

/// Redis's inclusive, possibly negative index pair as a range within `length`.
pub(super) fn clamp(length: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    let from_end = |index: i64| {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        usize::try_from(if index < 0 { index.saturating_add(length).max(-1) } else { index })
    };
    // An end before the first byte leaves nothing; a start before it means the first byte.
    let start = from_end(start).unwrap_or(0);
    let end = from_end(end).map_or(0, |end| end.saturating_add(1)).min(length);
    start.min(end)..end
}
