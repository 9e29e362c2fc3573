//! Commands on keys whatever their type.

mod dump;
mod expiry;
mod key;
mod sort;

use coterie_protocol::gather::There;

use super::string::Unit;
use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Place, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly, Flag::Fast],
    categories: &[Category::Keyspace],
    keys: KeySpec::READ,
    group: Group::Generic,
    ..Command::BASE
};

const EXPIRE: Command = Command {
    arity: -3,
    flags: &[Flag::Write, Flag::Fast],
    keys: KeySpec::UPDATE,
    semantics: "Of concurrent expiries the latest by stamp counts. An expired key reads as absent everywhere.",
    ..READ
};

const TIME: Command = Command { arity: 2, semantics: "Reads the latest expiry by stamp.", ..READ };

const DELETE: Command = Command {
    arity: -2,
    flags: &[Flag::Write],
    keys: KeySpec::DELETE_ALL,
    complexity: "O(n) with n the number of keys, whatever they hold",
    semantics: "Removes all that it observed of each key: what is added concurrently stays. Each key is deleted for \
                itself.",
    ..READ
};

const MOVE: Command = Command {
    arity: 3,
    flags: &[Flag::Write],
    keys: &[KeySpec::range(1, 1, 1, Access::Delete), KeySpec::range(2, 2, 1, Access::Overwrite)],
    complexity: "O(n) with n the number of elements, which all are copied",
    semantics: "Stored under the new name before it is deleted under the old one: for a moment, or after an error, it is \
                under both.",
    ..READ
};

const SORT: Command = Command {
    arity: -2,
    categories: &[
        Category::Keyspace,
        Category::List,
        Category::Set,
        Category::SortedSet,
        Category::Dangerous,
    ],
    complexity: "O(n log n) with n the number of elements, which all are read",
    semantics: "Sorts what is read of one key; other keys are not looked at (BY and GET with a pattern are refused).",
    ..READ
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "del",
        summary: "Deletes keys; how many were there.",
        run: Run::Data(key::delete),
        ..DELETE
    },
    Command {
        name: "unlink",
        since: "4.0.0",
        flags: &[Flag::Write, Flag::Fast],
        summary: "Deletes keys; how many were there. Here DEL does no more than this.",
        run: Run::Data(key::delete),
        ..DELETE
    },
    Command {
        name: "exists",
        arity: -2,
        keys: KeySpec::READ_ALL,
        complexity: "O(n) with n the number of keys",
        summary: "Returns how many of some keys are there; one named twice counts twice.",
        semantics: "Each key is read for itself, not all at one moment.",
        run: Run::Data(key::exists),
        ..READ
    },
    Command {
        name: "touch",
        arity: -2,
        since: "3.2.1",
        keys: KeySpec::READ_ALL,
        complexity: "O(n) with n the number of keys",
        summary: "Returns how many of some keys are there. No time of access is kept.",
        semantics: "Each key is read for itself, not all at one moment.",
        run: Run::Data(key::exists),
        ..READ
    },
    Command {
        name: "type",
        arity: 2,
        summary: "Returns the type of what a key holds.",
        semantics: "Where concurrent writes left several types, the one that is visible.",
        run: Run::Data(key::kind),
        ..READ
    },
    Command {
        name: "rename",
        summary: "Renames a key, replacing one of the new name.",
        run: Run::Data(|arguments| key::rename(arguments, There::Replaced)),
        ..MOVE
    },
    Command {
        name: "renamenx",
        flags: &[Flag::Write, Flag::Fast],
        keys: &[KeySpec::range(1, 1, 1, Access::Delete), KeySpec::range(2, 2, 1, Access::Insert)],
        summary: "Renames a key, if there is none of the new name.",
        run: Run::Data(|arguments| key::rename(arguments, There::Kept)),
        ..MOVE
    },
    Command {
        name: "copy",
        arity: -3,
        since: "6.2.0",
        flags: &[Flag::Write, Flag::DenyOom],
        keys: &[KeySpec::range(1, 1, 1, Access::Read), KeySpec::range(2, 2, 1, Access::Overwrite)],
        summary: "Copies what a key holds to another key of the same bucket.",
        semantics: "What is read of one key replaces what was observed under the other, or is stored where nothing was.",
        run: Run::Data(key::copy),
        ..MOVE
    },
    Command {
        name: "dump",
        arity: 2,
        since: "2.6.0",
        flags: &[Flag::Readonly],
        complexity: "O(n) with n the number of elements, which all are read",
        summary: "Returns what a key holds in Redis's own format, without its expiry.",
        semantics: "As GET and its like read. HyperLogLogs, flags and nested maps have no form in the format, and are refused.",
        run: Run::Data(dump::dump),
        ..READ
    },
    Command {
        name: "restore",
        arity: -4,
        since: "2.6.0",
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::Keyspace, Category::Dangerous],
        keys: &[KeySpec::range(1, 1, 1, Access::Overwrite)],
        complexity: "O(n) with n the number of elements",
        summary: "Stores what DUMP gave, here or at a Redis up to 7.2, under a key.",
        semantics: "As COPY: it replaces what was observed under the key, or is stored where nothing was. What is \
                    stored merges with concurrent writes like any other.",
        run: Run::Data(dump::restore),
        ..READ
    },
    Command {
        name: "expire",
        summary: "Sets in how many seconds a key expires.",
        run: Run::Data(|arguments| expiry::expire(arguments, "expire", Unit::Seconds)),
        ..EXPIRE
    },
    Command {
        name: "pexpire",
        since: "2.6.0",
        summary: "Sets in how many milliseconds a key expires.",
        run: Run::Data(|arguments| expiry::expire(arguments, "pexpire", Unit::Millis)),
        ..EXPIRE
    },
    Command {
        name: "expireat",
        since: "1.2.0",
        summary: "Sets when a key expires, in seconds since 1970.",
        run: Run::Data(|arguments| expiry::expire(arguments, "expireat", Unit::SecondsAt)),
        ..EXPIRE
    },
    Command {
        name: "pexpireat",
        since: "2.6.0",
        summary: "Sets when a key expires, in milliseconds since 1970.",
        run: Run::Data(|arguments| expiry::expire(arguments, "pexpireat", Unit::MillisAt)),
        ..EXPIRE
    },
    Command {
        name: "persist",
        arity: 2,
        since: "2.2.0",
        summary: "Makes a key never expire.",
        run: Run::Data(expiry::persist),
        ..EXPIRE
    },
    Command {
        name: "ttl",
        summary: "Returns in how many seconds a key expires; -1 for never, -2 where it is not there.",
        run: Run::Data(expiry::time_to_live_in_seconds),
        ..TIME
    },
    Command {
        name: "pttl",
        since: "2.6.0",
        summary: "Returns in how many milliseconds a key expires; -1 for never, -2 where it is not there.",
        run: Run::Data(expiry::time_to_live),
        ..TIME
    },
    Command {
        name: "expiretime",
        since: "7.0.0",
        summary: "Returns when a key expires, in seconds since 1970; -1 for never, -2 where it is not there.",
        run: Run::Data(expiry::expire_time_in_seconds),
        ..TIME
    },
    Command {
        name: "pexpiretime",
        since: "7.0.0",
        summary: "Returns when a key expires, in milliseconds since 1970; -1 for never, -2 where it is not there.",
        run: Run::Data(expiry::expire_time),
        ..TIME
    },
    Command {
        name: "sort",
        flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
        keys: &[
            KeySpec::range(1, 1, 1, Access::Read),
            KeySpec { place: Place::Function(sort::stored_at), access: Access::Overwrite },
        ],
        summary: "Sorts the elements of a list, set or sorted set, and returns or stores them.",
        run: Run::Data(sort::sort),
        ..SORT
    },
    Command {
        name: "sort_ro",
        since: "7.0.0",
        flags: &[Flag::Readonly],
        summary: "Sorts the elements of a list, set or sorted set, and returns them.",
        run: Run::Data(sort::sort_only),
        ..SORT
    },
];
