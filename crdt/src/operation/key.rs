//! Operations on a key whatever its type.

use crate::address::Address;
use crate::cells::Cells;
use crate::footprint::{Footprint, Need};
use crate::kind::{COUNTED_KINDS, Kind};
use crate::operation::contents::Contents;
use crate::operation::draft::Draft;
use crate::operation::string::{Expire, set_expiry};
use crate::operation::{OpError, Reply};

/// An operation on a key whatever its type.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum KeyOperation {
    /// `DEL`, `UNLINK`: 1 if the key was there.
    Delete,
    /// `EXISTS`, `TOUCH`: 1 if the key is there.
    Exists,
    /// `TYPE`
    Type,
    /// `EXPIRE` and its like: 1 if it was set. A time that has passed deletes the key.
    ExpireAt {
        /// When, in milliseconds since 1970.
        at: u64,
        /// Whether to, given the expiry there is.
        condition: Condition,
    },
    /// `PTTL`: milliseconds; −1 where the key never expires, −2 where it is not there.
    TimeToLive,
    /// `PEXPIRETIME`: milliseconds since 1970; −1 and −2 as for `TimeToLive`.
    ExpireTime,
    /// `PERSIST`: 1 if the key would have expired.
    Persist,
    /// All that the key holds, to be stored under another: the first half of `COPY` and `RENAME`.
    Contents,
    /// The second half: 1 if it was stored.
    Store {
        /// What the key is to hold.
        contents: Box<Contents>,
        /// Whether to, where the key is there already.
        replace: bool,
    },
    /// Removes what is left of a key that expired at least so many milliseconds ago: 1 if it did.
    RemoveExpired {
        /// By this clock. Others may say otherwise as long as it is less than clocks may be apart.
        since_millis: u64,
    },
    /// Removes up to so many cells that have tallies, with their tallies: what a key with more of them
    /// than one delta may take back is deleted by. Answers how many.
    RemoveTallied(usize),
    /// Which kinds of cells are live under the key, visible or not, and how many of each: pairs of the
    /// kind's byte and the count.
    Kinds,
}

/// When an expiry is set, of a key or of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Condition {
    /// Always.
    Always,
    /// `NX`: if there is none.
    IfNever,
    /// `XX`: if there is one.
    IfAny,
    /// `GT`: if it is later than the one there is; never is later than all.
    IfLater,
    /// `LT`: if it is earlier than the one there is; never is later than all.
    IfEarlier,
    /// `XX LT`: if there is one, and it is earlier.
    IfAnyAndEarlier,
}

impl KeyOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            KeyOperation::Delete
            | KeyOperation::ExpireAt { .. }
            | KeyOperation::RemoveExpired { .. } => Footprint::tallied(),
            // It drops dots of whichever cells have tallies, and only a replica's rows show both.
            KeyOperation::RemoveTallied(_) => Footprint::derived(Need::Counts),
            KeyOperation::Exists
            | KeyOperation::Type
            | KeyOperation::TimeToLive
            | KeyOperation::ExpireTime
            | KeyOperation::Persist => Footprint::root(),
            KeyOperation::Kinds => Footprint::derived(Need::Counts),
            KeyOperation::Contents => Footprint::whole(),
            KeyOperation::Store { contents, .. } => {
                Footprint::tallied().and(Footprint::cells(contents.addresses()))
            }
        }
    }

    pub(super) fn writes(&self) -> bool {
        match self {
            KeyOperation::Delete
            | KeyOperation::ExpireAt { .. }
            | KeyOperation::Persist
            | KeyOperation::Store { .. }
            | KeyOperation::RemoveExpired { .. }
            | KeyOperation::RemoveTallied(_) => true,
            KeyOperation::Exists
            | KeyOperation::Type
            | KeyOperation::TimeToLive
            | KeyOperation::ExpireTime
            | KeyOperation::Contents
            | KeyOperation::Kinds => false,
        }
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        match self {
            KeyOperation::Delete => {
                let was = draft.exists()?;
                if was {
                    draft.delete_whole()?;
                }
                Ok(Reply::flag(was))
            }
            KeyOperation::Exists => draft.exists().map(Reply::flag),
            KeyOperation::Type => draft.shown().map(Reply::Type),
            KeyOperation::ExpireAt { at, condition } => {
                if !draft.exists()? || !condition.holds(draft.deadline(), *at) {
                    return Ok(Reply::flag(false));
                }
                if *at <= draft.wall_millis() {
                    draft.delete_whole()?;
                } else {
                    set_expiry(draft, Expire::At(*at))?;
                }
                Ok(Reply::flag(true))
            }
            KeyOperation::TimeToLive => {
                let now = draft.wall_millis();
                time(draft, |deadline| deadline.saturating_sub(now))
            }
            KeyOperation::ExpireTime => time(draft, |deadline| deadline),
            KeyOperation::Persist => {
                let expires = draft.exists()? && draft.deadline().is_some();
                if expires {
                    set_expiry(draft, Expire::Never)?;
                }
                Ok(Reply::flag(expires))
            }
            KeyOperation::Contents => Contents::read(draft).map(Reply::Contents),
            KeyOperation::Store { contents, replace } => {
                contents.check(&draft.limits())?;
                if draft.exists()? {
                    if !replace {
                        return Ok(Reply::flag(false));
                    }
                    draft.delete_whole()?;
                }
                contents.write(draft)?;
                Ok(Reply::flag(true))
            }
            KeyOperation::RemoveExpired { since_millis } => {
                let expired = draft.expired_since().is_some_and(|millis| millis >= *since_millis);
                if expired {
                    draft.delete_whole()?;
                }
                Ok(Reply::flag(expired))
            }
            KeyOperation::RemoveTallied(cells_max) => {
                draft.remove_tallied(*cells_max).map(Reply::count)
            }
            KeyOperation::Kinds => {
                let mut kinds = Vec::new();
                if draft.has(&Address::REGISTER) {
                    kinds.extend([Kind::Register as i64, 1]);
                }
                for kind in COUNTED_KINDS {
                    let count = i64::try_from(draft.count(kind)?).unwrap_or(i64::MAX);
                    if count > 0 {
                        kinds.extend([kind as i64, count]);
                    }
                }
                Ok(Reply::Integers(kinds))
            }
        }
    }
}

impl Condition {
    pub(super) fn holds(self, before: Option<u64>, at: u64) -> bool {
        match self {
            Condition::Always => true,
            Condition::IfNever => before.is_none(),
            Condition::IfAny => before.is_some(),
            Condition::IfLater => before.is_some_and(|before| at > before),
            Condition::IfEarlier => before.is_none_or(|before| at < before),
            Condition::IfAnyAndEarlier => before.is_some_and(|before| at < before),
        }
    }
}

fn time<C: Cells>(draft: &Draft<'_, '_, C>, read: impl Fn(u64) -> u64) -> Result<Reply, OpError> {
    if !draft.exists()? {
        return Ok(Reply::Integer(-2));
    }
    let millis = draft.deadline().map(read);
    Ok(millis.map_or(Reply::Integer(-1), |millis| {
        Reply::Integer(i64::try_from(millis).unwrap_or(i64::MAX))
    }))
}
