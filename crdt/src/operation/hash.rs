//! Hashes: the fields of a map's first level.

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::hash_expiry::{self, expire, persist, remove_expired, set_until, times};
use crate::operation::number::{NumberIn, increment, increment_float, value_of};
use crate::operation::set::{choose, choose_repeated, values};
use crate::operation::{Condition, Expire, OpError, Reply, SetCondition};
use crate::payload::Payload;

/// An operation on a hash.
///
/// A field that has expired is not there, but for `HLEN` and what tells whether the key is: it counts until
/// it is removed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum HashOperation {
    /// `HGET`, `HMGET`: the value of each field.
    Get(Vec<Bytes>),
    /// `HGETALL`, in order of the fields' bytes.
    All,
    /// `HKEYS`, in order of bytes.
    Fields,
    /// `HVALS`, in order of their fields' bytes.
    Values,
    /// `HLEN`
    Count,
    /// `HEXISTS`: 1 if the field is there.
    Contains(Bytes),
    /// `HSTRLEN`, in bytes.
    Length(Bytes),
    /// `HSET`, `HMSET`: how many of the fields are new. None of them expires any more.
    Set(Vec<(Bytes, Bytes)>),
    /// `HSETNX`: 1 if the field was not there and is set, never to expire.
    SetIfAbsent {
        /// Which field.
        field: Bytes,
        /// What to assign.
        value: Bytes,
    },
    /// `HDEL`: how many of the fields were there.
    Remove(Vec<Bytes>),
    /// `HGETDEL`: removes fields and answers the value of each.
    GetDelete(Vec<Bytes>),
    /// `HINCRBY`: the sum.
    IncrementBy {
        /// Which field.
        field: Bytes,
        /// What to add.
        by: i64,
    },
    /// `HINCRBYFLOAT`: the sum. The increment is in text, as clients send it.
    IncrementByFloat {
        /// Which field.
        field: Bytes,
        /// What to add.
        by: Bytes,
    },
    /// `HRANDFIELD`: distinct fields chosen at random, with their values.
    Random(u64),
    /// `HRANDFIELD` with a negative count: fields chosen at random, each time among all.
    RandomRepeated(u64),
    /// `HSCAN`: up to so many fields after one, with their values.
    Scan {
        /// Go on after this field.
        after: Option<Bytes>,
        /// How many at most.
        count: usize,
    },
    /// `HPEXPIREAT` and its like, for each field: 1 if it was set, 0 if the condition did not hold, 2 if the
    /// field was removed as the time has passed, −2 if it is not there.
    ExpireAt {
        /// Which fields.
        fields: Vec<Bytes>,
        /// When, in milliseconds since 1970.
        at: u64,
        /// Whether to, given when the field expires so far.
        condition: Condition,
    },
    /// `HPTTL`, for each field: milliseconds; −1 where it never expires, −2 where it is not there.
    TimeToLive(Vec<Bytes>),
    /// `HPEXPIRETIME`, for each field: milliseconds since 1970; −1 and −2 as for `TimeToLive`.
    ExpireTime(Vec<Bytes>),
    /// `HPERSIST`, for each field: 1 if it would have expired; −1 and −2 as for `TimeToLive`.
    Persist(Vec<Bytes>),
    /// `HGETEX`: the value of each field, and says when those that are there expire.
    GetExpire {
        /// Which fields.
        fields: Vec<Bytes>,
        /// When. A time that has passed removes them.
        expire: Expire,
    },
    /// `HSETEX`: 1 if the fields were set.
    SetExpire {
        /// Fields with their values.
        pairs: Vec<(Bytes, Bytes)>,
        /// Whether to, given which of the fields are there.
        condition: SetCondition,
        /// When they expire. A time that has passed removes them.
        expire: Expire,
    },
    /// Removes what is left of fields that expired longer ago than clocks may be apart: how many. For the
    /// key's first owner.
    RemoveExpired(Vec<Bytes>),
}

impl HashOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            HashOperation::Get(fields)
            | HashOperation::Remove(fields)
            | HashOperation::GetDelete(fields)
            | HashOperation::ExpireAt { fields, .. }
            | HashOperation::TimeToLive(fields)
            | HashOperation::ExpireTime(fields)
            | HashOperation::Persist(fields)
            | HashOperation::GetExpire { fields, .. }
            | HashOperation::RemoveExpired(fields) => Footprint::cells(fields.iter().map(address)),
            HashOperation::Contains(field)
            | HashOperation::Length(field)
            | HashOperation::SetIfAbsent { field, .. }
            | HashOperation::IncrementBy { field, .. }
            | HashOperation::IncrementByFloat { field, .. } => Footprint::cell(address(field)),
            HashOperation::Set(pairs) | HashOperation::SetExpire { pairs, .. } => {
                Footprint::cells(pairs.iter().map(|(field, _)| address(field)))
            }
            HashOperation::Count => Footprint::derived(Need::Counts),
            HashOperation::Scan { after, .. } => Footprint::range(fields_from(after)),
            HashOperation::All
            | HashOperation::Fields
            | HashOperation::Values
            | HashOperation::Random(_)
            | HashOperation::RandomRepeated(_) => Footprint::range(fields_from(&None)),
        }
    }

    pub(super) fn writes(&self) -> bool {
        match self {
            HashOperation::Set(_)
            | HashOperation::SetIfAbsent { .. }
            | HashOperation::Remove(_)
            | HashOperation::GetDelete(_)
            | HashOperation::IncrementBy { .. }
            | HashOperation::IncrementByFloat { .. }
            | HashOperation::ExpireAt { .. }
            | HashOperation::Persist(_)
            | HashOperation::GetExpire { .. }
            | HashOperation::SetExpire { .. }
            | HashOperation::RemoveExpired(_) => true,
            HashOperation::Get(_)
            | HashOperation::All
            | HashOperation::Fields
            | HashOperation::Values
            | HashOperation::Count
            | HashOperation::Contains(_)
            | HashOperation::Length(_)
            | HashOperation::Random(_)
            | HashOperation::RandomRepeated(_)
            | HashOperation::Scan { .. }
            | HashOperation::TimeToLive(_)
            | HashOperation::ExpireTime(_) => false,
        }
    }

    pub(super) fn observes(&self) -> bool {
        !matches!(self, HashOperation::IncrementBy { .. } | HashOperation::IncrementByFloat { .. })
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        // What has expired is removed whether or not another type hides it.
        if !matches!(self, HashOperation::RemoveExpired(_)) {
            draft.expect(Shown::Hash)?;
        }
        match self {
            HashOperation::Get(fields) => {
                Ok(Reply::Values(fields.iter().map(|field| read(draft, field)).collect()))
            }
            HashOperation::All => Ok(Reply::Pairs(all(draft))),
            HashOperation::Fields => {
                Ok(values(all(draft).into_iter().map(|pair| pair.0).collect()))
            }
            HashOperation::Values => {
                Ok(values(all(draft).into_iter().map(|pair| pair.1).collect()))
            }
            HashOperation::Count => draft.count(Kind::Field).map(Reply::count),
            HashOperation::Contains(field) => Ok(Reply::flag(draft.has(&address(field)))),
            HashOperation::Length(field) => {
                Ok(Reply::count(read(draft, field).map_or(0, |value| value.len())))
            }
            HashOperation::Set(pairs) => set(draft, pairs),
            HashOperation::SetIfAbsent { field, value } => {
                if draft.has(&address(field)) {
                    return Ok(Reply::flag(false));
                }
                set(draft, &[(field.clone(), value.clone())])
            }
            HashOperation::Remove(fields) => {
                let mut removed = 0;
                for field in fields {
                    removed += i64::from(remove(draft, field)?);
                }
                Ok(Reply::Integer(removed))
            }
            HashOperation::GetDelete(fields) => {
                let mut found = Vec::with_capacity(fields.len());
                for field in fields {
                    found.push(read(draft, field));
                    remove(draft, field)?;
                }
                Ok(Reply::Values(found))
            }
            HashOperation::IncrementBy { field, by } => {
                draft.limits().element(field)?;
                let sum = increment(draft, address(field), *by, NumberIn::Field)?;
                Ok(Reply::Integer(sum))
            }
            HashOperation::IncrementByFloat { field, by } => {
                draft.limits().element(field)?;
                let sum = increment_float(draft, address(field), by, NumberIn::Field)?;
                Ok(Reply::Value(sum))
            }
            HashOperation::Random(count) => Ok(Reply::Pairs(choose(all(draft), *count, draft))),
            HashOperation::RandomRepeated(count) => {
                choose_repeated(&all(draft), *count, draft).map(Reply::Pairs)
            }
            HashOperation::Scan { after, count } => Ok(Reply::Pairs(pairs(draft, after, *count))),
            HashOperation::ExpireAt { fields, at, condition } => {
                hash_expiry::each(draft, fields, |draft, field| {
                    expire(draft, field, *at, *condition)
                })
            }
            HashOperation::TimeToLive(fields) => {
                let now = draft.wall_millis();
                Ok(times(draft, fields, |deadline| deadline.saturating_sub(now)))
            }
            HashOperation::ExpireTime(fields) => Ok(times(draft, fields, |deadline| deadline)),
            HashOperation::Persist(fields) => hash_expiry::each(draft, fields, persist),
            HashOperation::GetExpire { fields, expire } => {
                let mut found = Vec::with_capacity(fields.len());
                for field in fields {
                    found.push(read(draft, field));
                    hash_expiry::change(draft, field, *expire)?;
                }
                Ok(Reply::Values(found))
            }
            HashOperation::SetExpire { pairs, condition, expire } => {
                check(draft, pairs)?;
                let mut fields = pairs.iter().map(|(field, _)| address(field));
                let holds = match condition {
                    SetCondition::Always => true,
                    SetCondition::IfAbsent => !fields.any(|field| draft.has(&field)),
                    SetCondition::IfPresent => fields.all(|field| draft.has(&field)),
                };
                if holds {
                    pairs.iter().try_for_each(|pair| set_until(draft, pair, *expire))?;
                }
                Ok(Reply::flag(holds))
            }
            HashOperation::RemoveExpired(fields) => remove_expired(draft, fields),
        }
    }
}

pub(super) fn address(field: &Bytes) -> Address {
    Address::new(Kind::Field, field.clone())
}

/// A range that starts at a field, or with the first one.
fn fields_from(field: &Option<Bytes>) -> AddressRange {
    AddressRange { kind: Kind::Field, from: field.clone().unwrap_or_default(), to: None }
}

fn read<C: Cells>(draft: &Draft<'_, '_, C>, field: &Bytes) -> Option<Bytes> {
    value_of(&draft.cell(&address(field)))
}

fn all<C: Cells>(draft: &Draft<'_, '_, C>) -> Vec<(Bytes, Bytes)> {
    pairs(draft, &None, usize::MAX)
}

/// At most `count` fields after one, or from the first, with their values.
fn pairs<C: Cells>(
    draft: &Draft<'_, '_, C>,
    after: &Option<Bytes>,
    count: usize,
) -> Vec<(Bytes, Bytes)> {
    let range = fields_from(after);
    let fields = draft.scan(&range, Direction::Forward);
    let fields = fields.filter(|(address, _)| after.as_ref() != Some(&address.path));
    let pairs = fields.filter_map(|(address, cell)| Some((address.path.clone(), value_of(&cell)?)));
    pairs.take(count).collect()
}

/// How many of the fields are new.
fn set<C: Cells>(draft: &mut Draft<'_, '_, C>, pairs: &[(Bytes, Bytes)]) -> Result<Reply, OpError> {
    check(draft, pairs)?;
    let mut new = 0;
    for (field, value) in pairs {
        let address = address(field);
        new += i64::from(!draft.has(&address));
        draft.assign(address, |time| Payload::Value(time, value.clone()))?;
    }
    Ok(Reply::Integer(new))
}

/// Refuses what is larger than clients may write.
fn check<C: Cells>(draft: &Draft<'_, '_, C>, pairs: &[(Bytes, Bytes)]) -> Result<(), OpError> {
    pairs.iter().try_for_each(|(field, value)| {
        draft.limits().element(field)?;
        draft.limits().value(value.len())
    })
}

/// Whether the field was there. Of one that has expired, what is left goes.
pub(super) fn remove<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    field: &Bytes,
) -> Result<bool, OpError> {
    let address = address(field);
    let was = draft.has(&address);
    if was || draft.has_expired(&address) {
        draft.remove(address)?;
    }
    Ok(was)
}
