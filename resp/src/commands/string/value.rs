//! The string value of one key.

use bytes::Bytes;
use coterie_crdt::operation::{Expire, Operation, Reply, SetCondition, StringOperation};

use super::{Lifetime, Unit};
use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::Plan;

pub(super) fn get(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::String(StringOperation::Get), shape::value))
}

pub(super) fn set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let mut condition = SetCondition::Always;
    let mut get = false;
    let mut lifetime = Lifetime::default();
    let mut at = 3;
    while at < arguments.count() {
        if arguments.is(at, "NX") && condition != SetCondition::IfPresent {
            condition = SetCondition::IfAbsent;
        } else if arguments.is(at, "XX") && condition != SetCondition::IfAbsent {
            condition = SetCondition::IfPresent;
        } else if arguments.is(at, "GET") {
            get = true;
        } else {
            let words = lifetime.option(arguments, at);
            if words == 0 || lifetime == Lifetime::Persist {
                return Err(CommandError::SYNTAX);
            }
            at += words - 1;
        }
        at += 1;
    }
    let expire = lifetime.expire(arguments, Expire::Never, "set")?;
    let operation = assign(arguments.bytes(2), condition, get, expire);
    let shape = match (get, condition) {
        (true, _) => shape::value,
        (false, SetCondition::Always) => shape::ok,
        (false, SetCondition::IfAbsent | SetCondition::IfPresent) => ok_or_null,
    };
    Ok(Plan::key(arguments.key(1), operation, shape))
}

pub(super) fn set_if_absent(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = assign(arguments.bytes(2), SetCondition::IfAbsent, false, Expire::Never);
    Ok(Plan::key(arguments.key(1), operation, shape::was_done))
}

pub(super) fn set_expiring(
    arguments: &Arguments<'_>,
    command: &str,
    unit: Unit,
) -> Result<Plan, CommandError> {
    let expire = Expire::At(unit.deadline(arguments, 2, command)?);
    let operation = assign(arguments.bytes(3), SetCondition::Always, false, expire);
    Ok(Plan::key(arguments.key(1), operation, shape::ok))
}

pub(super) fn get_set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = assign(arguments.bytes(2), SetCondition::Always, true, Expire::Never);
    Ok(Plan::key(arguments.key(1), operation, shape::value))
}

pub(super) fn get_delete(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::String(StringOperation::GetDelete), shape::value))
}

pub(super) fn get_expire(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let mut lifetime = Lifetime::default();
    let mut at = 2;
    while at < arguments.count() {
        let words = lifetime.option(arguments, at);
        if words == 0 || lifetime == Lifetime::Keep {
            return Err(CommandError::SYNTAX);
        }
        at += words;
    }
    let key = arguments.key(1);
    let operation = match lifetime.expire(arguments, Expire::Keep, "getex") {
        Ok(Expire::Keep) => StringOperation::Get,
        Ok(expire) => StringOperation::GetExpire(expire),
        // Redis looks at the key before it looks at the number.
        Err(error) => {
            let probe = Operation::String(StringOperation::Get);
            return Ok(shape::error_if_there(key, probe, error, |encoder| encoder.null()));
        }
    };
    Ok(Plan::key(key, Operation::String(operation), shape::value))
}

pub(super) fn append(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = Operation::String(StringOperation::Append(arguments.bytes(2)));
    Ok(Plan::key(arguments.key(1), operation, shape::integer))
}

pub(super) fn length(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::String(StringOperation::Length), shape::integer))
}

pub(super) fn get_range(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (start, end) = (arguments.integer(2)?, arguments.integer(3)?);
    let operation = Operation::String(StringOperation::GetRange { start, end });
    Ok(Plan::key(arguments.key(1), operation, shape::value))
}

pub(super) fn set_range(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let offset = arguments.integer(2)?;
    if offset < 0 {
        return Err(CommandError::Text("ERR offset is out of range"));
    }
    let operation =
        Operation::String(StringOperation::SetRange { offset, value: arguments.bytes(3) });
    Ok(Plan::key(arguments.key(1), operation, shape::integer))
}

/// What assigns a value.
pub(super) fn assign(
    value: Bytes,
    condition: SetCondition,
    get: bool,
    expire: Expire,
) -> Operation {
    Operation::String(StringOperation::Set { value, condition, get, expire })
}

fn ok_or_null(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Done => encoder.ok(),
        _ => encoder.null(),
    }
}
