//! Keys deleted, looked at, renamed and copied.

use bytes::Bytes;
use coterie_crdt::operation::{KeyOperation, Operation, Reply};
use coterie_protocol::gather::{Command as Gather, Original, There};

use crate::arguments::{Arguments, CommandError};
use crate::client::bucket_of;
use crate::commands::handshake::database;
use crate::commands::shape;
use crate::plan::Plan;

pub(super) fn delete(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    // Requests are under way at once, so that two on one key might both find it there.
    let mut seen = hashbrown::HashSet::new();
    let several = arguments.count() > 2;
    let words = arguments.from(1).iter().filter(|word| !several || seen.insert((*word).clone()));
    Ok(each(arguments, words.cloned().collect(), &KeyOperation::Delete))
}

pub(super) fn exists(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    Ok(each(arguments, arguments.from(1).to_vec(), &KeyOperation::Exists))
}

/// The same on each key, and the sum of what is answered.
fn each(arguments: &Arguments<'_>, words: Vec<Bytes>, operation: &KeyOperation) -> Plan {
    let operation = Operation::Key(operation.clone());
    if let [word] = &*words {
        return Plan::key(arguments.key_of(word), operation, shape::integer);
    }
    let keys = words.iter().map(|word| (arguments.key_of(word), vec![operation.clone()]));
    Plan::gather(Gather::Each(keys.collect()), shape::sum)
}

pub(super) fn kind(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = Operation::Key(KeyOperation::Type);
    Ok(Plan::key(arguments.key(1), operation, |reply, encoder| match reply {
        Reply::Type(shown) => encoder.simple(shown.redis_name()),
        _ => shape::unexpected(encoder),
    }))
}

pub(super) fn rename(arguments: &Arguments<'_>, there: There) -> Result<Plan, CommandError> {
    let (from, to) = (arguments.key(1), arguments.key(2));
    let command = Gather::Copy { from, to, there, original: Original::Deleted };
    Ok(match there {
        There::Replaced => Plan::gather(command, |done, encoder| {
            shape::answer(done, encoder, shape::ok);
        }),
        There::Kept => Plan::gather(command, |done, encoder| {
            shape::answer(done, encoder, shape::integer);
        }),
    })
}

pub(super) fn copy(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let mut there = There::Kept;
    let mut at = 3;
    while at < arguments.count() {
        if arguments.is(at, "REPLACE") {
            there = There::Replaced;
        } else if arguments.is(at, "DB") && at + 1 < arguments.count() {
            if *arguments.bucket() != bucket_of(database(arguments, at + 1)?) {
                let text = "ERR COPY to another database is not possible here";
                return Err(CommandError::Text(text));
            }
            at += 1;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    let (from, to) = (arguments.key(1), arguments.key(2));
    if from == to {
        return Err(CommandError::Text("ERR source and destination objects are the same"));
    }
    let command = Gather::Copy { from, to, there, original: Original::Stays };
    Ok(Plan::gather(command, |done, encoder| shape::answer(done, encoder, shape::integer)))
}
