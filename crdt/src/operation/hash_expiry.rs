//! Expiry of single fields: a deadline beside the value, in the field's own cell.
//!
//! Whoever says when a field expires replaces the deadlines that it observed, whoever assigns drops them. So
//! a value and a deadline that were written concurrently are both kept, and of several deadlines the latest
//! stamp counts.

use bytes::Bytes;

use crate::cells::Cells;
use crate::operation::draft::Draft;
use crate::operation::hash::{address, remove};
use crate::operation::{Condition, Expire, OpError, Reply};
use crate::payload::Payload;
use crate::stamp::DRIFT_MILLIS_MAX;

/// What is answered of a field that is not there.
const NOT_THERE: i64 = -2;

/// What is answered of a field that never expires.
const NEVER: i64 = -1;

/// Does something with each field, and answers what that gives.
pub(super) fn each<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    fields: &[Bytes],
    mut change: impl FnMut(&mut Draft<'_, '_, C>, &Bytes) -> Result<i64, OpError>,
) -> Result<Reply, OpError> {
    let answers: Result<_, _> = fields.iter().map(|field| change(draft, field)).collect();
    answers.map(Reply::Integers)
}

/// Says when a field expires: 1, or 0 where the condition does not hold, 2 where that time has passed, and −2
/// where the field is not there.
pub(super) fn expire<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    field: &Bytes,
    at: u64,
    condition: Condition,
) -> Result<i64, OpError> {
    if !is_there(draft, field)? {
        return Ok(NOT_THERE);
    }
    if !condition.holds(draft.field_deadline(&address(field)), at) {
        return Ok(0);
    }
    if at <= draft.wall_millis() {
        remove(draft, field)?;
        return Ok(2);
    }
    draft.put_deadline(address(field), at)?;
    Ok(1)
}

/// Has a field never expire: 1, or −1 where it would not have, and −2 where it is not there.
pub(super) fn persist<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    field: &Bytes,
) -> Result<i64, OpError> {
    if !is_there(draft, field)? {
        return Ok(NOT_THERE);
    }
    if draft.field_deadline(&address(field)).is_none() {
        return Ok(NEVER);
    }
    draft.drop_deadline(address(field))?;
    Ok(1)
}

/// What is told of the deadline of each field, −1 where there is none and −2 where the field is not there.
pub(super) fn times<C: Cells>(
    draft: &Draft<'_, '_, C>,
    fields: &[Bytes],
    read: impl Fn(u64) -> u64,
) -> Reply {
    let time = |field: &Bytes| {
        let address = address(field);
        match draft.field_deadline(&address) {
            _ if !draft.has(&address) => NOT_THERE,
            None => NEVER,
            Some(deadline) => i64::try_from(read(deadline)).unwrap_or(i64::MAX),
        }
    };
    Reply::Integers(fields.iter().map(time).collect())
}

/// Says what becomes of the expiry of a field, if that is there.
pub(super) fn change<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    field: &Bytes,
    to: Expire,
) -> Result<(), OpError> {
    match to {
        Expire::Keep => Ok(()),
        Expire::Never => persist(draft, field).map(|_answer| ()),
        Expire::At(at) => expire(draft, field, at, Condition::Always).map(|_answer| ()),
    }
}

/// Assigns a field, and says when it expires. One that has expired already is not there afterwards.
pub(super) fn set_until<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    (field, value): &(Bytes, Bytes),
    expire: Expire,
) -> Result<(), OpError> {
    let payload = |time| Payload::Value(time, value.clone());
    match expire {
        Expire::Keep if draft.has(&address(field)) => draft.assign_until(address(field), payload),
        Expire::Keep | Expire::Never => draft.assign(address(field), payload),
        Expire::At(at) if at <= draft.wall_millis() => remove(draft, field).map(|_was| ()),
        Expire::At(at) => {
            draft.assign(address(field), payload)?;
            draft.put_deadline(address(field), at)
        }
    }
}

/// Removes the fields that expired longer ago than clocks may be apart, and deadlines of that age that
/// outlived their field: how many.
pub(super) fn remove_expired<C: Cells>(
    draft: &mut Draft<'_, '_, C>,
    fields: &[Bytes],
) -> Result<Reply, OpError> {
    let before = draft.wall_millis().saturating_sub(2 * DRIFT_MILLIS_MAX);
    let mut removed = 0;
    for address in fields.iter().map(address) {
        if draft.field_deadline(&address).is_some_and(|deadline| deadline <= before) {
            draft.remove(address)?;
            removed += 1;
        }
    }
    Ok(Reply::Integer(removed))
}

/// Whether a field is there. Of one that has expired, what is left goes: a write has seen it.
fn is_there<C: Cells>(draft: &mut Draft<'_, '_, C>, field: &Bytes) -> Result<bool, OpError> {
    if draft.has_expired(&address(field)) {
        remove(draft, field)?;
    }
    Ok(draft.has(&address(field)))
}
