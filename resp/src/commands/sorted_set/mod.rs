//! Commands on sorted sets.

mod algebra;
mod bounds;
mod member;
mod pop;
mod range;
mod table;

use coterie_crdt::operation::{Operation, SortedSetOperation};

use crate::arguments::{Arguments, CommandError};
use crate::plan::{Plan, Shape};

pub(super) use table::COMMANDS;

/// An operation on the sorted set that word 1 names.
fn plan(
    arguments: &Arguments<'_>,
    operation: SortedSetOperation,
    shape: Shape,
) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::SortedSet(operation), shape))
}
