//! Commands over all keys of a bucket.

use bytes::Bytes;

use super::scan::{COUNT, counted, cursor};
use crate::arguments::{Arguments, CommandError};
use crate::client::{DATABASES, bucket_of};
use crate::keyspace::{Keyspace, What};
use crate::plan::Plan;
use crate::table::{Category, Command, Flag, Group, Run};

const BASE: Command = Command {
    flags: &[Flag::Readonly],
    categories: &[Category::Keyspace],
    group: Group::Generic,
    complexity: "O(N) in the keys of the bucket",
    semantics: "Every key that is there all the time is seen; one that comes or goes meanwhile may be.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "dbsize",
        arity: 1,
        summary: "Returns how many keys the bucket has, by counting them.",
        run: Run::Data(|arguments| Ok(over(arguments, What::Count, None))),
        ..BASE
    },
    Command {
        name: "flushall",
        arity: -1,
        flags: &[Flag::Write],
        categories: &[Category::Keyspace, Category::Dangerous],
        summary: "Deletes all keys of db0 to db15, one by one.",
        semantics: FLUSH,
        run: Run::Data(|arguments| flush(arguments, (0..DATABASES).map(bucket_of).collect())),
        ..BASE
    },
    Command {
        name: "flushdb",
        arity: -1,
        flags: &[Flag::Write],
        categories: &[Category::Keyspace, Category::Dangerous],
        summary: "Deletes all keys of the bucket, one by one.",
        semantics: FLUSH,
        run: Run::Data(|arguments| flush(arguments, vec![arguments.bucket().clone()])),
        ..BASE
    },
    Command {
        name: "keys",
        arity: 2,
        categories: &[Category::Keyspace, Category::Dangerous],
        summary: "Returns all keys whose names match a pattern.",
        run: Run::Data(|arguments| Ok(over(arguments, What::Keys, Some(arguments.bytes(1))))),
        ..BASE
    },
    Command {
        name: "randomkey",
        arity: 1,
        complexity: "O(1), or O(P) in the partitions where there are few keys",
        summary: "Returns a key drawn at random; one after a large gap of hashes is drawn more often.",
        run: Run::Data(|arguments| Ok(over(arguments, What::Random(arguments.random()), None))),
        ..BASE
    },
    Command {
        name: "scan",
        arity: -2,
        since: "2.8.0",
        complexity: "O(1) a call, O(N) in all",
        summary: "Returns some keys, and a cursor to go on from.",
        semantics: "Every key that is there from the first call to the last is returned, by any node; one that comes or \
                    goes meanwhile may be. A cursor stays good for ever.",
        run: Run::Data(scan),
        ..BASE
    },
];

const FLUSH: &str = "Removes what is seen of every key; what is written meanwhile elsewhere, and not seen, stays. Not atomic.";

fn over(arguments: &Arguments<'_>, what: What, pattern: Option<Bytes>) -> Plan {
    let buckets = vec![arguments.bucket().clone()];
    Plan::Keyspace(Box::new(Keyspace { buckets, what, pattern, shown: None }))
}

fn flush(arguments: &Arguments<'_>, buckets: Vec<Bytes>) -> Result<Plan, CommandError> {
    match arguments.count() {
        1 => {}
        2 if arguments.is(1, "ASYNC") || arguments.is(1, "SYNC") => {}
        _ => return Err(CommandError::SYNTAX),
    }
    let keyspace = Keyspace { buckets, what: What::Flush, pattern: None, shown: None };
    Ok(Plan::Keyspace(Box::new(keyspace)))
}

fn scan(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let cursor = cursor(arguments.word(1))?;
    let (mut count, mut pattern, mut shown) = (COUNT, None, None);
    let mut at = 2;
    while at < arguments.count() {
        let value = arguments.get(at + 1).ok_or(CommandError::SYNTAX)?;
        match () {
            () if arguments.is(at, "COUNT") => count = counted(arguments, at + 1)?,
            () if arguments.is(at, "MATCH") => {
                pattern = (value != &b"*"[..]).then(|| value.clone());
            }
            () if arguments.is(at, "TYPE") => {
                shown = Some(String::from_utf8_lossy(value).to_lowercase());
            }
            () => return Err(CommandError::SYNTAX),
        }
        at += 2;
    }
    let buckets = vec![arguments.bucket().clone()];
    let what = What::Scan { cursor, count };
    Ok(Plan::Keyspace(Box::new(Keyspace { buckets, what, pattern, shown })))
}
