//! What registers and fields read as: an assignment, a sum, or one on top of the other.

use bytes::Bytes;

use crate::address::Address;
use crate::cell::Cell;
use crate::cells::Cells;
use crate::decimal::{Decimal, ParseDecimalError};
use crate::operation::OpError;
use crate::operation::draft::Draft;
use crate::payload::Payload;

/// What holds a number, which decides on Redis's text for one that is wrong.
#[derive(Clone, Copy)]
pub(super) enum NumberIn {
    /// A register.
    String,
    /// A field of a hash or map.
    Field,
}

impl NumberIn {
    fn not_integer(self) -> OpError {
        match self {
            NumberIn::String => OpError::NotInteger,
            NumberIn::Field => OpError::FieldNotInteger,
        }
    }

    fn not_float(self) -> OpError {
        match self {
            NumberIn::String => OpError::NotFloat,
            NumberIn::Field => OpError::FieldNotFloat,
        }
    }

    fn infinite_increment(self) -> OpError {
        match self {
            NumberIn::String => OpError::OutOfDecimals,
            NumberIn::Field => OpError::IncrementInfinite,
        }
    }
}

/// What a register or field reads as.
enum Reading {
    /// Nothing is there.
    Nothing,
    /// Bytes that were assigned, and to which nothing was added.
    Assigned(Bytes),
    /// A sum.
    Sum(Decimal),
}

impl Reading {
    /// The winning assignment plus what was added to it since. Increments concurrent with the
    /// assignment of something that is no number are not shown.
    fn of(cell: &Cell) -> Reading {
        if !cell.has_content() {
            return Reading::Nothing;
        }
        let sum = cell.decimal_sum();
        let added = || cell.dots().iter().any(|(_, payload)| *payload == Payload::Present);
        match cell.assigned() {
            None => Reading::Sum(sum),
            Some(value) if sum == Decimal::ZERO && !added() => Reading::Assigned(value.clone()),
            Some(value) => {
                let total = Decimal::parse(value).ok().and_then(|base| base.checked_add(sum));
                total.map_or_else(|| Reading::Assigned(value.clone()), Reading::Sum)
            }
        }
    }

    fn value(self) -> Option<Bytes> {
        match self {
            Reading::Nothing => None,
            Reading::Assigned(value) => Some(value),
            Reading::Sum(sum) => Some(sum.to_string().into()),
        }
    }
}

/// What a register or field reads as, as bytes.
pub(super) fn value_of(cell: &Cell) -> Option<Bytes> {
    Reading::of(cell).value()
}

/// All concurrent values, oldest first. What was added belongs to each that is a number.
pub(super) fn siblings_of(cell: &Cell) -> Vec<Bytes> {
    let mut values: Vec<_> = cell
        .dots()
        .iter()
        .filter_map(|(dot, payload)| match payload {
            Payload::Value(time, value) => Some((*time, *dot, value)),
            Payload::Present
            | Payload::Removed
            | Payload::Score(..)
            | Payload::Rank(_)
            | Payload::Deadline(..) => None,
        })
        .collect();
    values.sort();
    if values.is_empty() {
        return value_of(cell).into_iter().collect();
    }
    let sum = cell.decimal_sum();
    let read = |value: &Bytes| match Decimal::parse(value).ok().and_then(|b| b.checked_add(sum)) {
        Some(total) if sum != Decimal::ZERO => Bytes::from(total.to_string()),
        Some(_) | None => value.clone(),
    };
    values.into_iter().map(|(_, _, value)| read(value)).collect()
}

/// Adds an integer to a cell, and answers the sum.
pub(super) fn increment<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    address: Address,
    by: i64,
    holder: NumberIn,
) -> Result<i64, OpError> {
    let before = match Reading::of(&draft.cell(&address)) {
        Reading::Nothing => Some(0),
        Reading::Assigned(value) => parse_integer(&value),
        Reading::Sum(sum) => sum.to_integer(),
    };
    let sum = before.ok_or(holder.not_integer())?.checked_add(by).ok_or(OpError::Overflow)?;
    let added = draft.add_decimal(address, Decimal::from_integer(by))?;
    added.map(|()| sum).ok_or(OpError::Overflow)
}

/// Adds a number in text to a cell, and answers the sum as Redis prints it.
pub(super) fn increment_float<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    address: Address,
    by: &[u8],
    holder: NumberIn,
) -> Result<Bytes, OpError> {
    let by = parse_decimal(by, OpError::NotFloat, holder.infinite_increment())?;
    let before = match Reading::of(&draft.cell(&address)) {
        Reading::Nothing => Decimal::ZERO,
        Reading::Assigned(value) => {
            parse_decimal(&value, holder.not_float(), OpError::OutOfDecimals)?
        }
        Reading::Sum(sum) => sum,
    };
    let sum = before.checked_add(by).ok_or(OpError::OutOfDecimals)?;
    let added = draft.add_decimal(address, by)?;
    added.map(|()| sum.to_string().into()).ok_or(OpError::OutOfDecimals)
}

fn parse_decimal(text: &[u8], malformed: OpError, infinite: OpError) -> Result<Decimal, OpError> {
    Decimal::parse(text).map_err(|error| match error {
        ParseDecimalError::Malformed => malformed,
        ParseDecimalError::Infinite => infinite,
        ParseDecimalError::Range => OpError::OutOfDecimals,
    })
}

/// An integer as Redis accepts one in a value: no sign but −, no leading zeros, no spaces.
fn parse_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let first = digits.first();
    let canonical = text == b"0" || first.is_some_and(|first| (b'1'..=b'9').contains(first));
    canonical.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}
