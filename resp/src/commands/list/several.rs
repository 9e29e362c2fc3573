//! Elements that go from one list to another, or are taken from the first that has any.

use coterie_crdt::operation::{ListEnd, ListOperation, Operation, Reply};
use coterie_protocol::gather::Command as Gather;

use crate::arguments::{Arguments, CommandError};
use crate::commands::several::{counted_keys_and_more, pop_count};
use crate::commands::shape;
use crate::plan::{FirstOf, Plan};

pub(super) fn transfer(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (from, to) = (end(arguments, 3)?, end(arguments, 4)?);
    Ok(plan(arguments, from, to))
}

pub(super) fn transfer_right_to_left(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(plan(arguments, ListEnd::Right, ListEnd::Left))
}

fn plan(arguments: &Arguments<'_>, from: ListEnd, to: ListEnd) -> Plan {
    let command =
        Gather::MoveElement { from: (arguments.key(1), from), to: (arguments.key(2), to) };
    Plan::gather(command, |done, encoder| shape::answer(done, encoder, shape::value))
}

pub(super) fn pop_first(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (keys, at) = counted_keys_and_more(arguments, 1)?;
    let end = end(arguments, at)?;
    let count = pop_count(arguments, at + 1)?;
    Ok(Plan::FirstOf(Box::new(FirstOf {
        keys,
        operations: vec![Operation::List(ListOperation::PopMany(end, count))],
        is_nothing: shape::is_nothing,
        shape: |key, reply, encoder| match reply {
            Reply::Values(_) => {
                encoder.array(2);
                encoder.bulk(key);
                shape::values(reply, encoder);
            }
            _ => shape::unexpected(encoder),
        },
        nothing: |encoder| encoder.null_array(),
    })))
}

fn end(arguments: &Arguments<'_>, at: usize) -> Result<ListEnd, CommandError> {
    if arguments.is(at, "LEFT") {
        Ok(ListEnd::Left)
    } else if arguments.is(at, "RIGHT") {
        Ok(ListEnd::Right)
    } else {
        Err(CommandError::SYNTAX)
    }
}
