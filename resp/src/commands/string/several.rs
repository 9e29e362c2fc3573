//! The string values of several keys.

use bytes::Bytes;
use coterie_crdt::operation::{Expire, OpError, Operation, Reply, SetCondition, StringOperation};
use coterie_protocol::gather::{Command as Gather, Done};
use coterie_wire::Key;

use super::value::{assign, set_if_absent as set_one_if_absent};
use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::commands::subsequence::{Options, write};
use crate::encoder::Encoder;
use crate::plan::Plan;

pub(super) fn get(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let read =
        |word: &Bytes| (arguments.key_of(word), vec![Operation::String(StringOperation::Get)]);
    let keys = arguments.from(1).iter().map(read).collect();
    Ok(Plan::gather_raw(Gather::Each(keys), values))
}

/// What is no string reads as nothing.
fn values(done: &Done, encoder: &mut Encoder<'_>) {
    encoder.array(done.items.len());
    for reply in shape::each(done) {
        match reply {
            Ok(Reply::Value(value)) => encoder.bulk(value),
            Ok(_) | Err(OpError::WrongType) => encoder.null(),
            Err(error) => encoder.error(&error.to_string()),
        }
    }
}

pub(super) fn set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count().is_multiple_of(2) {
        return Err(CommandError::arity("mset"));
    }
    let mut keys: Vec<(Key, Vec<Operation>)> = Vec::with_capacity(arguments.count() / 2);
    for pair in arguments.from(1).chunks_exact(2) {
        let operation = assign(pair[1].clone(), SetCondition::Always, false, Expire::Never);
        keys.push((arguments.key_of(&pair[0]), vec![operation]));
    }
    keep_last(&mut keys);
    if keys.len() == 1 {
        let (key, operations) = keys.remove(0);
        return Ok(Plan::key_with(key, operations, shape::ok));
    }
    Ok(Plan::gather(Gather::Each(keys), |_done, encoder| encoder.ok()))
}

/// Requests on different keys are under way at once, so of several on one key only the last is made.
fn keep_last(keys: &mut Vec<(Key, Vec<Operation>)>) {
    let mut seen = hashbrown::HashSet::with_capacity(keys.len());
    keys.reverse();
    keys.retain(|(key, _)| seen.insert(key.name().clone()));
    keys.reverse();
}

pub(super) fn set_if_absent(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count().is_multiple_of(2) {
        return Err(CommandError::arity("msetnx"));
    }
    if arguments.count() > 3 {
        return Err(CommandError::Text(
            "ERR MSETNX on several keys would have to set all or none, which cannot be promised here; use SET NX on each",
        ));
    }
    set_one_if_absent(arguments)
}

pub(super) fn longest_common_subsequence(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let options = Options::parse(arguments, 3)?;
    let read = || vec![Operation::String(StringOperation::Get)];
    let keys = vec![(arguments.key(1), read()), (arguments.key(2), read())];
    Ok(Plan::gather_with(Gather::Each(keys), move |done, encoder| {
        let mut values = shape::each(done).map(|reply| match reply {
            Ok(Reply::Value(value)) => value.clone(),
            _ => Bytes::new(),
        });
        let (a, b) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        write(&a, &b, &options, encoder);
    }))
}
