//! Given fields of a hash.

use bytes::Bytes;
use coterie_crdt::decimal::{Decimal, ParseDecimalError};
use coterie_crdt::operation::HashOperation;

use super::plan;
use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::plan::{Plan, Shape};

pub(super) fn set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    assign(arguments, "hset", shape::integer)
}

pub(super) fn set_many(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    assign(arguments, "hmset", shape::ok)
}

fn assign(arguments: &Arguments<'_>, name: &str, shape: Shape) -> Result<Plan, CommandError> {
    if !arguments.count().is_multiple_of(2) {
        return Err(CommandError::arity(name));
    }
    let pairs = arguments.from(2).chunks_exact(2);
    let pairs = pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    plan(arguments, HashOperation::Set(pairs), shape)
}

pub(super) fn set_if_absent(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (field, value) = (arguments.bytes(2), arguments.bytes(3));
    plan(arguments, HashOperation::SetIfAbsent { field, value }, shape::integer)
}

pub(super) fn get(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Get(vec![arguments.bytes(2)]), shape::only_value)
}

pub(super) fn get_many(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Get(arguments.from(2).to_vec()), shape::values)
}

pub(super) fn remove(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Remove(arguments.from(2).to_vec()), shape::integer)
}

pub(super) fn get_delete(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let fields = counted(arguments, 2, "ERR Number of fields must be a positive integer")?;
    plan(arguments, HashOperation::GetDelete(fields), shape::values)
}

/// The fields after FIELDS, which should be at `at`, and their number. `not_positive` says that the number is none.
pub(super) fn counted(
    arguments: &Arguments<'_>,
    at: usize,
    not_positive: &'static str,
) -> Result<Vec<Bytes>, CommandError> {
    if !arguments.is(at, "FIELDS") {
        return Err(CommandError::Text(
            "ERR Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    let fields = arguments.from(at + 2);
    match arguments.integer_as::<usize>(at + 1).filter(|count| *count > 0) {
        None => Err(CommandError::Text(not_positive)),
        Some(count) if count != fields.len() => Err(CommandError::Text(
            "ERR The `numfields` parameter must match the number of arguments",
        )),
        Some(_) => Ok(fields.to_vec()),
    }
}

pub(super) fn exists(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Contains(arguments.bytes(2)), shape::integer)
}

pub(super) fn length(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, HashOperation::Length(arguments.bytes(2)), shape::integer)
}

pub(super) fn increment(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let by = arguments.integer(3)?;
    plan(arguments, HashOperation::IncrementBy { field: arguments.bytes(2), by }, shape::integer)
}

pub(super) fn increment_float(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (field, by) = (arguments.bytes(2), arguments.bytes(3));
    // Redis looks at the increment before it looks at the key.
    match Decimal::parse(&by) {
        Err(ParseDecimalError::Malformed) => return Err(CommandError::NOT_FLOAT),
        Err(ParseDecimalError::Infinite) => {
            return Err(CommandError::Text("ERR value is NaN or Infinity"));
        }
        Ok(_) | Err(ParseDecimalError::Range) => {}
    }
    plan(arguments, HashOperation::IncrementByFloat { field, by }, shape::value)
}
