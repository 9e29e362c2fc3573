//! Lists.

use std::num::NonZeroI64;
use std::ops::Range;

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cells::{Cells, Direction};
use crate::footprint::{Footprint, Need};
use crate::kind::{Kind, Shown};
use crate::operation::draft::Draft;
use crate::operation::number::value_of;
use crate::operation::string::clamp;
use crate::operation::{OpError, Reply};
use crate::payload::Payload;
use crate::position;

/// A whole list.
static ELEMENTS: AddressRange = AddressRange { kind: Kind::Element, from: Bytes::new(), to: None };

/// An operation on a list. An index counts from 0 at the left, a negative one from −1 at the right.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ListOperation {
    /// `LPUSH`, `RPUSH`: one after the other. The length after it.
    Push(ListEnd, Vec<Bytes>),
    /// `LPUSHX`, `RPUSHX`: as `Push`, but not on a key that is not there.
    PushIfPresent(ListEnd, Vec<Bytes>),
    /// `LPOP`, `RPOP`: removes the outermost element and answers it.
    Pop(ListEnd),
    /// `LPOP`, `RPOP` with a count: removes that many and answers them, outermost first.
    PopMany(ListEnd, u64),
    /// `LLEN`
    Length,
    /// `LRANGE`: elements from one index to another, both inclusive.
    Range {
        /// First index.
        start: i64,
        /// Last index.
        stop: i64,
    },
    /// `LINDEX`
    Index(i64),
    /// `LSET`
    Set {
        /// Which element.
        index: i64,
        /// What to assign to it.
        value: Bytes,
    },
    /// `LINSERT`: the length after it, −1 where no element equals the pivot, 0 where there is no key.
    Insert {
        /// On which side of the pivot.
        side: PivotSide,
        /// Beside the first element that equals this.
        pivot: Bytes,
        /// What to insert.
        value: Bytes,
    },
    /// `LREM`: removes elements that equal a value. How many.
    Remove {
        /// How many at most, from the left; if negative, from the right; all of them if 0.
        count: i64,
        /// The value.
        value: Bytes,
    },
    /// `LTRIM`: removes all elements but those from one index to another, both inclusive.
    Trim {
        /// First index.
        start: i64,
        /// Last index.
        stop: i64,
    },
    /// `LPOS`: the index of an element that equals a value.
    Find {
        /// The value.
        value: Bytes,
        /// Which of those that equal it is the first to answer: from 1 at the left, from −1 at the right.
        rank: NonZeroI64,
        /// Answer up to so many indexes, 0 for all, as a list; just the first, or nothing, if `None`.
        count: Option<u64>,
        /// Compare so many elements at most; 0 for all.
        compared_max: u64,
    },
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ListEnd {
    /// Where the list starts.
    Left,
    /// Where it ends.
    Right,
}

/// Where to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PivotSide {
    /// To the left of the pivot.
    Before,
    /// To the right of it.
    After,
}

impl ListEnd {
    /// The walk that starts here.
    fn inwards(self) -> Direction {
        match self {
            ListEnd::Left => Direction::Forward,
            ListEnd::Right => Direction::Backward,
        }
    }
}

impl ListOperation {
    pub(super) fn footprint(&self) -> Footprint {
        let order = Footprint::derived(Need::ListOrder);
        match self {
            ListOperation::Length => Footprint::derived(Need::Counts),
            ListOperation::Pop(_)
            | ListOperation::PopMany(..)
            | ListOperation::Index(_)
            | ListOperation::Set { .. }
            | ListOperation::Remove { .. } => order,
            // They answer a length, or count indexes from the right.
            ListOperation::Push(..)
            | ListOperation::PushIfPresent(..)
            | ListOperation::Range { .. }
            | ListOperation::Insert { .. }
            | ListOperation::Trim { .. }
            | ListOperation::Find { .. } => order.and(Footprint::derived(Need::Counts)),
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(
            self,
            ListOperation::Length
                | ListOperation::Range { .. }
                | ListOperation::Index(_)
                | ListOperation::Find { .. }
        )
    }

    pub(super) fn observes(&self) -> bool {
        !matches!(self, ListOperation::Push(..))
    }

    pub(super) fn apply<C: Cells>(&self, draft: &mut Draft<'_, '_, C>) -> Result<Reply, OpError> {
        draft.expect(Shown::List)?;
        match self {
            ListOperation::Push(end, values) => push(draft, *end, values),
            ListOperation::PushIfPresent(end, values) => {
                if draft.count(Kind::Element)? == 0 {
                    return Ok(Reply::Integer(0));
                }
                push(draft, *end, values)
            }
            ListOperation::Pop(end) => {
                Ok(Reply::value(pop(draft, *end, 1)?.into_iter().next().flatten()))
            }
            ListOperation::PopMany(end, count) => {
                if elements(draft, Direction::Forward).next().is_none() {
                    return Ok(Reply::Nothing);
                }
                pop(draft, *end, *count).map(Reply::Values)
            }
            ListOperation::Length => draft.count(Kind::Element).map(Reply::count),
            ListOperation::Range { start, stop } => {
                let length = length(draft)?;
                let range = clamp(length, *start, *stop);
                Ok(Reply::Values(slice(draft, length, range).into_iter().map(Some).collect()))
            }
            ListOperation::Index(index) => {
                Ok(Reply::value(element_at(draft, *index).map(|(_, value)| value)))
            }
            ListOperation::Set { index, value } => {
                draft.limits().element(value)?;
                match element_at(draft, *index) {
                    Some((address, _)) => {
                        draft.put(address, |time| Payload::Value(time, value.clone()))?;
                        Ok(Reply::Done)
                    }
                    None if elements(draft, Direction::Forward).next().is_none() => {
                        Err(OpError::NoSuchKey)
                    }
                    None => Err(OpError::IndexOutOfRange),
                }
            }
            ListOperation::Insert { side, pivot, value } => {
                insert_beside(draft, *side, pivot, value)
            }
            ListOperation::Remove { count, value } => {
                let direction = if *count < 0 { Direction::Backward } else { Direction::Forward };
                let equal = elements(draft, direction).filter(|(_, other)| other == value);
                let equal = equal.map(|(address, _)| address.clone());
                remove(draft, equal.take(bound(count.unsigned_abs())).collect())
            }
            ListOperation::Trim { start, stop } => {
                let length = length(draft)?;
                let kept = clamp(length, *start, *stop);
                let left = elements(draft, Direction::Forward).take(kept.start);
                let right = elements(draft, Direction::Backward).take(length - kept.end);
                let outside = left.chain(right).map(|(address, _)| address.clone());
                remove(draft, outside.collect())?;
                Ok(Reply::Done)
            }
            ListOperation::Find { value, rank, count, compared_max } => {
                let length = length(draft)?;
                let end = if rank.get() < 0 { ListEnd::Right } else { ListEnd::Left };
                let compared = elements(draft, end.inwards()).take(bound(*compared_max));
                let equal = compared.enumerate().filter(|(_, (_, other))| other == value);
                let skipped = usize::try_from(rank.get().unsigned_abs() - 1).unwrap_or(usize::MAX);
                let indexes = equal.skip(skipped).map(|(steps, _)| match end {
                    ListEnd::Left => integer(steps),
                    ListEnd::Right => integer(length) - 1 - integer(steps),
                });
                Ok(match count {
                    None => indexes.take(1).next().map_or(Reply::Nothing, Reply::Integer),
                    Some(count) => Reply::Integers(indexes.take(bound(*count)).collect()),
                })
            }
        }
    }
}

/// Puts a new element between two that are next to each other, and answers where it is.
pub(super) fn insert<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    left: Option<&Address>,
    right: Option<&Address>,
    value: &Bytes,
) -> Result<Address, OpError> {
    let [left, right] = [left, right].map(|neighbour| neighbour.map(|address| &*address.path));
    let position = position::between(left, right, draft.next_dot())
        .map_err(|_malformed| OpError::MalformedPosition)?;
    let address = Address::new(Kind::Element, position);
    draft.put(address.clone(), |time| Payload::Value(time, value.clone()))?;
    Ok(address)
}

fn push<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    end: ListEnd,
    values: &[Bytes],
) -> Result<Reply, OpError> {
    draft.limits().elements(values)?;
    let length = length(draft)? + values.len();
    let mut outermost = elements(draft, end.inwards()).next().map(|(address, _)| address.clone());
    for value in values {
        let (left, right) = match end {
            ListEnd::Left => (None, outermost.as_ref()),
            ListEnd::Right => (outermost.as_ref(), None),
        };
        outermost = Some(insert(draft, left, right, value)?);
    }
    Ok(Reply::count(length))
}

fn pop<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    end: ListEnd,
    count: u64,
) -> Result<Vec<Option<Bytes>>, OpError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let popped = elements(draft, end.inwards()).take(count);
    let popped = popped.map(|(address, value)| (address.clone(), Some(value)));
    let (addresses, values) = popped.unzip();
    remove(draft, addresses)?;
    Ok(values)
}

fn insert_beside<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    side: PivotSide,
    pivot: &Bytes,
    value: &Bytes,
) -> Result<Reply, OpError> {
    draft.limits().element(value)?;
    let length = length(draft)?;
    let (mut before, mut found, mut after) = (None, None, None);
    let mut walk = elements(draft, Direction::Forward);
    for (address, element) in walk.by_ref() {
        if element == pivot {
            found = Some(address.clone());
            after = walk.next().map(|(address, _)| address.clone());
            break;
        }
        before = Some(address);
    }
    let before = before.cloned();
    drop(walk);
    if found.is_none() {
        return Ok(Reply::Integer(if length == 0 { 0 } else { -1 }));
    }
    let (left, right) = match side {
        PivotSide::Before => (before, found),
        PivotSide::After => (found, after),
    };
    insert(draft, left.as_ref(), right.as_ref(), value)?;
    Ok(Reply::count(length + 1))
}

/// Removes elements; how many.
fn remove<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    addresses: Vec<Address>,
) -> Result<Reply, OpError> {
    let count = addresses.len();
    for address in addresses {
        draft.remove(address)?;
    }
    Ok(Reply::count(count))
}

/// The elements with what they read as. Lazy.
fn elements<'d, C: Cells>(
    draft: &'d Draft<'_, '_, C>,
    direction: Direction,
) -> impl Iterator<Item = (&'d Address, Bytes)> {
    draft.scan(&ELEMENTS, direction).filter_map(|(address, cell)| Some((address, value_of(&cell)?)))
}

/// The elements of a range of indexes, walked to from the nearer end.
fn slice<C: Cells>(draft: &Draft<'_, '_, C>, length: usize, range: Range<usize>) -> Vec<Bytes> {
    let from_right = length - range.end;
    let (direction, skipped) = if range.start <= from_right {
        (Direction::Forward, range.start)
    } else {
        (Direction::Backward, from_right)
    };
    let walk = elements(draft, direction).skip(skipped).take(range.len());
    let mut values: Vec<Bytes> = walk.map(|(_, value)| value).collect();
    if direction == Direction::Backward {
        values.reverse();
    }
    values
}

fn element_at<C: Cells>(draft: &Draft<'_, '_, C>, index: i64) -> Option<(Address, Bytes)> {
    let (end, steps) = if index < 0 {
        (ListEnd::Right, index.unsigned_abs() - 1)
    } else {
        (ListEnd::Left, index.unsigned_abs())
    };
    let mut walk = elements(draft, end.inwards());
    walk.nth(usize::try_from(steps).ok()?).map(|(address, value)| (address.clone(), value))
}

fn length<C: Cells>(draft: &Draft<'_, '_, C>) -> Result<usize, OpError> {
    Ok(usize::try_from(draft.count(Kind::Element)?).unwrap_or(usize::MAX))
}

/// A count of which 0 means no bound.
fn bound(count: u64) -> usize {
    if count == 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) }
}

fn integer(index: usize) -> i64 {
    i64::try_from(index).expect("an index fits 63 bits")
}
