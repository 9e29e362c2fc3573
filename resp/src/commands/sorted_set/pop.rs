//! Members taken from an end of a sorted set.

use coterie_crdt::Direction;
use coterie_crdt::operation::{Operation, Reply, SortedSetOperation};

use super::plan;
use crate::arguments::{Arguments, CommandError};
use crate::commands::several::{counted_keys_and_more, pop_count};
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::{FirstOf, Plan, Shape};

pub(super) fn pop(arguments: &Arguments<'_>, direction: Direction) -> Result<Plan, CommandError> {
    if arguments.count() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let (count, shape): (u64, Shape) = if arguments.count() == 3 {
        (arguments.integer_as(2).ok_or(CommandError::NOT_POSITIVE)?, shape::scored)
    } else {
        (1, flat)
    };
    plan(arguments, SortedSetOperation::Pop { direction, count }, shape)
}

/// A member and its score one after the other, whatever the protocol.
fn flat(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Scored(members) => {
            encoder.array(2 * members.len());
            for (member, score) in members {
                encoder.bulk(member);
                encoder.double(score.get());
            }
        }
        _ => shape::unexpected(encoder),
    }
}

pub(super) fn pop_first(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (keys, at) = counted_keys_and_more(arguments, 1)?;
    let direction = if arguments.is(at, "MIN") {
        Direction::Forward
    } else if arguments.is(at, "MAX") {
        Direction::Backward
    } else {
        return Err(CommandError::SYNTAX);
    };
    let count = pop_count(arguments, at + 1)?;
    let operation = Operation::SortedSet(SortedSetOperation::Pop { direction, count });
    Ok(Plan::FirstOf(Box::new(FirstOf {
        keys,
        operations: vec![operation],
        is_nothing: shape::is_nothing,
        shape: |key, reply, encoder| match reply {
            Reply::Scored(members) => {
                encoder.array(2);
                encoder.bulk(key);
                shape::scored_pairs(encoder, members);
            }
            _ => shape::unexpected(encoder),
        },
        nothing: |encoder| encoder.null_array(),
    })))
}
