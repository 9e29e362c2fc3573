//! Hashes: the fields of a map's first level.

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::number::{NumberIn, increment, increment_float, value_of};
use crate::operation::set::{choose, choose_repeated, values};
use crate::operation::{OpError, Reply};
use crate::payload::Payload;

/// An operation on a hash.
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
    /// `HSET`, `HMSET`: how many of the fields are new.
    Set(Vec<(Bytes, Bytes)>),
    /// `HSETNX`: 1 if the field was not there and is set.
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
}

impl HashOperation {
    pub(super) fn footprint(&self) -> Footprint {
        match self {
            HashOperation::Get(fields)
            | HashOperation::Remove(fields)
            | HashOperation::GetDelete(fields) => Footprint::cells(fields.iter().map(address)),
            HashOperation::Contains(field)
            | HashOperation::Length(field)
            | HashOperation::SetIfAbsent { field, .. }
            | HashOperation::IncrementBy { field, .. }
            | HashOperation::IncrementByFloat { field, .. } => Footprint::cell(address(field)),
            HashOperation::Set(pairs) => {
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
            | HashOperation::IncrementByFloat { .. } => true,
            HashOperation::Get(_)
            | HashOperation::All
            | HashOperation::Fields
            | HashOperation::Values
            | HashOperation::Count
            | HashOperation::Contains(_)
            | HashOperation::Length(_)
            | HashOperation::Random(_)
            | HashOperation::RandomRepeated(_)
            | HashOperation::Scan { .. } => false,
        }
    }

    pub(super) fn observes(&self) -> bool {
        !matches!(self, HashOperation::IncrementBy { .. } | HashOperation::IncrementByFloat { .. })
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        draft.expect(Shown::Hash)?;
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
        }
    }
}

fn address(field: &Bytes) -> Address {
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
    for (field, value) in pairs {
        draft.limits().element(field)?;
        draft.limits().value(value.len())?;
    }
    let mut new = 0;
    for (field, value) in pairs {
        let address = address(field);
        new += i64::from(!draft.has(&address));
        draft.assign(address, |time| Payload::Value(time, value.clone()))?;
    }
    Ok(Reply::Integer(new))
}

/// Whether the field was there.
fn remove<C: Cells>(draft: &mut Draft<'_, '_, C>, field: &Bytes) -> Result<bool, OpError> {
    let address = address(field);
    let was = draft.has(&address);
    if was {
        draft.remove(address)?;
    }
    Ok(was)
}
