//! The number that a string value is.

use coterie_crdt::operation::{Operation, StringOperation};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::plan::Plan;

pub(super) fn increment(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    add(arguments, 1)
}

pub(super) fn decrement(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    add(arguments, -1)
}

pub(super) fn increment_by(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    add(arguments, arguments.integer(2)?)
}

pub(super) fn decrement_by(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let by = arguments.integer(2)?.checked_neg();
    add(arguments, by.ok_or(CommandError::Text("ERR decrement would overflow"))?)
}

pub(super) fn increment_by_float(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = Operation::String(StringOperation::IncrementByFloat(arguments.bytes(2)));
    Ok(Plan::key(arguments.key(1), operation, shape::value))
}

fn add(arguments: &Arguments<'_>, by: i64) -> Result<Plan, CommandError> {
    let operation = Operation::String(StringOperation::IncrementBy(by));
    Ok(Plan::key(arguments.key(1), operation, shape::integer))
}
