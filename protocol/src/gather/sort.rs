//! `SORT`: the elements of a list, set or sorted set in another order, answered or stored as a list.

use std::cmp::Ordering;

use bytes::Bytes;
use coterie_crdt::operation::{
    KeyOperation, ListEnd, ListOperation, OpError, Operation, Reply, SetOperation, SetVerb,
    SortedSetOperation, SortedSetRange,
};
use coterie_crdt::{Direction, operation::RangeLimit};
use coterie_wire::Key;

use super::{Answer, Gather, GatherError, Next, Stage};

/// What is sorted, and how. The order is by the elements themselves: other keys are not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// The list, set or sorted set.
    pub key: Key,
    /// The order.
    pub by: SortBy,
    /// Forward for `ASC`, backward for `DESC`.
    pub direction: Direction,
    /// Which part of the sorted elements: none where the count is 0, all where it is negative.
    pub limit: RangeLimit,
    /// How often each element is answered: once for each `GET #`.
    pub repeated: usize,
    /// Where to store them; `None` to answer them.
    pub into: Option<Key>,
}

/// What elements are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// As numbers.
    Number,
    /// `ALPHA`: as bytes.
    Bytes,
    /// `BY` a constant: a list's own order, a sorted set's scores, a set's bytes.
    Nothing,
}

/// What reads the elements: one of these answers, whichever type the key is of.
pub(super) fn read() -> Vec<Operation> {
    let all = SortedSetRange::Ranks { start: 0, stop: -1 };
    let (direction, limit) = (Direction::Forward, RangeLimit::NONE);
    vec![
        Operation::List(ListOperation::Range { start: 0, stop: -1 }),
        Operation::Set(SetOperation::new(SetVerb::Members)),
        Operation::SortedSet(SortedSetOperation::Range { range: all, direction, limit }),
    ]
}

/// The elements are read.
pub(super) fn sorted(gather: &Gather, sort: &Sort) -> Result<Next, GatherError> {
    let replies = gather.replies(0).ok_or(GatherError::NotRead(0))?;
    let mut elements = elements(replies)?;
    match sort.by {
        SortBy::Bytes => elements.sort(),
        SortBy::Number => {
            let number = |element: Bytes| Ok((number(&element)?, element));
            let mut numbers: Vec<(f64, Bytes)> =
                elements.into_iter().map(number).collect::<Result<_, GatherError>>()?;
            numbers.sort_by(|a, b| {
                a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(&b.1))
            });
            elements = numbers.into_iter().map(|(_, element)| element).collect();
        }
        SortBy::Nothing => {}
    }
    if sort.direction == Direction::Backward {
        elements.reverse();
    }
    let skipped = usize::try_from(sort.limit.offset).unwrap_or(0);
    let count = usize::try_from(sort.limit.count).unwrap_or(usize::MAX);
    let part = elements.into_iter().skip(skipped).take(count);
    let part: Vec<Bytes> =
        part.flat_map(|element| std::iter::repeat_n(element, sort.repeated)).collect();
    let Some(into) = &sort.into else {
        let values = part.into_iter().map(Some).collect();
        return Ok(Next::Answer(Answer::Reply(Reply::Values(values))));
    };
    let mut store = vec![Operation::Key(KeyOperation::Delete)];
    if !part.is_empty() {
        store.push(Operation::List(ListOperation::Push(ListEnd::Right, part)));
    }
    Ok(Next::Ask(Stage::Stores, into.clone(), store))
}

/// The sorted elements are stored: how many they are.
pub(super) fn stored(gather: &Gather) -> Result<Next, GatherError> {
    let last = gather.items.len() - 1;
    let replies = gather.replies(last).ok_or(GatherError::NotStored(last))?;
    let reply = match replies {
        [_, stored] => stored.clone().map_err(|_failed| GatherError::NotStored(last))?,
        // Nothing was left to store.
        _ => Reply::Integer(0),
    };
    Ok(Next::Answer(Answer::Reply(reply)))
}

fn elements(replies: &[Result<Reply, OpError>]) -> Result<Vec<Bytes>, OpError> {
    let mut found = Err(OpError::WrongType);
    for reply in replies {
        match reply {
            Ok(Reply::Values(values)) if found.as_ref().map_or(true, Vec::is_empty) => {
                found = Ok(values.iter().flatten().cloned().collect());
            }
            Ok(Reply::Scored(members)) if found.as_ref().map_or(true, Vec::is_empty) => {
                found = Ok(members.iter().map(|(member, _)| member.clone()).collect());
            }
            Err(error) if *error != OpError::WrongType => return Err(*error),
            Ok(_) | Err(_) => {}
        }
    }
    found
}

fn number(element: &[u8]) -> Result<f64, GatherError> {
    let text = std::str::from_utf8(element)
        .map_err(|_not_text| GatherError::NotSortable)?
        .trim_ascii_start();
    if text.is_empty() {
        return Ok(0.0);
    }
    let number: f64 = text.parse().map_err(|_no_number| GatherError::NotSortable)?;
    if number.is_nan() { Err(GatherError::NotSortable) } else { Ok(number) }
}
