//! The elements of one list.

use std::num::NonZeroI64;

use coterie_crdt::operation::{ListEnd, ListOperation, Operation, PivotSide};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::{Plan, Shape};

/// The first that equals a value, from the left.
const FIRST: NonZeroI64 = NonZeroI64::new(1).expect("one is not zero");

pub(super) fn push(arguments: &Arguments<'_>, end: ListEnd) -> Result<Plan, CommandError> {
    plan(arguments, ListOperation::Push(end, arguments.from(2).to_vec()), shape::integer)
}

pub(super) fn push_if_present(
    arguments: &Arguments<'_>,
    end: ListEnd,
) -> Result<Plan, CommandError> {
    let operation = ListOperation::PushIfPresent(end, arguments.from(2).to_vec());
    plan(arguments, operation, shape::integer)
}

pub(super) fn pop(arguments: &Arguments<'_>, end: ListEnd) -> Result<Plan, CommandError> {
    match arguments.count() {
        2 => plan(arguments, ListOperation::Pop(end), shape::value),
        3 => {
            let count = arguments.integer_as(2).ok_or(CommandError::NOT_POSITIVE)?;
            plan(arguments, ListOperation::PopMany(end, count), shape::values)
        }
        _ => Err(CommandError::arity(match end {
            ListEnd::Left => "lpop",
            ListEnd::Right => "rpop",
        })),
    }
}

pub(super) fn length(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    plan(arguments, ListOperation::Length, shape::integer)
}

pub(super) fn at(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    match arguments.integer(2) {
        Ok(index) => plan(arguments, ListOperation::Index(index), shape::value),
        Err(error) => Ok(first_of_key(arguments, error, |encoder| encoder.null())),
    }
}

pub(super) fn range(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (start, stop) = (arguments.integer(2)?, arguments.integer(3)?);
    plan(arguments, ListOperation::Range { start, stop }, shape::values)
}

pub(super) fn set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    match arguments.integer(2) {
        Ok(index) => {
            plan(arguments, ListOperation::Set { index, value: arguments.bytes(3) }, shape::ok)
        }
        Err(error) => {
            Ok(first_of_key(arguments, error, |encoder| encoder.error("ERR no such key")))
        }
    }
}

/// Redis looks at the key before it looks at the index.
fn first_of_key(
    arguments: &Arguments<'_>,
    error: CommandError,
    missing: fn(&mut Encoder<'_>),
) -> Plan {
    let probe = Operation::List(ListOperation::Index(0));
    shape::error_if_there(arguments.key(1), probe, error, missing)
}

pub(super) fn insert(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let side = if arguments.is(2, "BEFORE") {
        PivotSide::Before
    } else if arguments.is(2, "AFTER") {
        PivotSide::After
    } else {
        return Err(CommandError::SYNTAX);
    };
    let (pivot, value) = (arguments.bytes(3), arguments.bytes(4));
    plan(arguments, ListOperation::Insert { side, pivot, value }, shape::integer)
}

pub(super) fn remove(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let count = arguments.integer(2)?;
    plan(arguments, ListOperation::Remove { count, value: arguments.bytes(3) }, shape::integer)
}

pub(super) fn trim(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (start, stop) = (arguments.integer(2)?, arguments.integer(3)?);
    plan(arguments, ListOperation::Trim { start, stop }, shape::ok)
}

pub(super) fn find(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let mut rank = FIRST;
    let (mut count, mut compared_max) = (None, 0);
    let mut at = 3;
    while at < arguments.count() {
        if at + 1 >= arguments.count() {
            return Err(CommandError::SYNTAX);
        }
        if arguments.is(at, "RANK") {
            let said = arguments.integer(at + 1)?;
            if said == i64::MIN {
                return Err(CommandError::Text(
                    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ));
            }
            rank = NonZeroI64::new(said).ok_or(CommandError::Text(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                 or use negative to start from the end of the list",
            ))?;
        } else if arguments.is(at, "COUNT") {
            let error = CommandError::Text("ERR COUNT can't be negative");
            count = Some(arguments.integer_as(at + 1).ok_or(error)?);
        } else if arguments.is(at, "MAXLEN") {
            let error = CommandError::Text("ERR MAXLEN can't be negative");
            compared_max = arguments.integer_as(at + 1).ok_or(error)?;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 2;
    }
    let operation = ListOperation::Find { value: arguments.bytes(2), rank, count, compared_max };
    let shape = if count.is_some() { shape::integers } else { shape::integer_or_null };
    plan(arguments, operation, shape)
}

fn plan(
    arguments: &Arguments<'_>,
    operation: ListOperation,
    shape: Shape,
) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::List(operation), shape))
}
