//! When keys expire.

use coterie_crdt::operation::{Condition, KeyOperation, Operation, Reply};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::commands::string::{Unit, invalid_expiry};
use crate::encoder::Encoder;
use crate::plan::{Plan, Shape};

pub(super) fn expire(
    arguments: &Arguments<'_>,
    command: &str,
    unit: Unit,
) -> Result<Plan, CommandError> {
    let condition = condition(arguments)?;
    let at = unit.at(arguments.integer(2)?, arguments.wall_millis());
    let at = at.ok_or_else(|| invalid_expiry(command))?;
    // What lies before 1970 has passed, as 1970 has.
    let at = u64::try_from(at).unwrap_or(0);
    plan(arguments, KeyOperation::ExpireAt { at, condition }, shape::integer)
}

fn condition(arguments: &Arguments<'_>) -> Result<Condition, CommandError> {
    let (mut never, mut any, mut later, mut earlier) = (false, false, false, false);
    for at in 3..arguments.count() {
        let options =
            [("NX", &mut never), ("XX", &mut any), ("GT", &mut later), ("LT", &mut earlier)];
        let option = options.into_iter().find(|(word, _)| arguments.is(at, word));
        let Some((_, said)) = option else {
            let text = format!("ERR Unsupported option {}", arguments.lossy(at));
            return Err(CommandError::Owned(text));
        };
        *said = true;
    }
    if never && (any || later || earlier) {
        return Err(CommandError::Text(
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        ));
    }
    if later && earlier {
        return Err(CommandError::Text(
            "ERR GT and LT options at the same time are not compatible",
        ));
    }
    Ok(match (never, later, earlier, any) {
        (true, ..) => Condition::IfNever,
        // Nothing is later than never, so it holds only where the key expires.
        (_, true, ..) => Condition::IfLater,
        (_, _, true, true) => Condition::IfAnyAndEarlier,
        (_, _, true, false) => Condition::IfEarlier,
        (_, _, _, true) => Condition::IfAny,
        _ => Condition::Always,
    })
}

pub(super) fn persist(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, KeyOperation::Persist, shape::integer)
}

pub(super) fn time_to_live(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, KeyOperation::TimeToLive, shape::integer)
}

pub(super) fn time_to_live_in_seconds(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, KeyOperation::TimeToLive, seconds)
}

pub(super) fn expire_time(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, KeyOperation::ExpireTime, shape::integer)
}

pub(super) fn expire_time_in_seconds(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, KeyOperation::ExpireTime, seconds)
}

/// Milliseconds as seconds, rounded; what is negative says that there are none.
fn seconds(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integer(none @ ..0) => encoder.integer(*none),
        Reply::Integer(millis) => encoder.integer(millis.saturating_add(500) / 1_000),
        _ => shape::unexpected(encoder),
    }
}

fn plan(
    arguments: &Arguments<'_>,
    operation: KeyOperation,
    shape: Shape,
) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::Key(operation), shape))
}
