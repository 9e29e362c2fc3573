//! Commands on hashes.

mod expiry;
mod field;
mod whole;

pub(super) use expiry::COMMANDS as EXPIRY;

use coterie_crdt::operation::{HashOperation, Operation};

use crate::arguments::{Arguments, CommandError};
use crate::plan::{Plan, Shape};
use crate::table::{Category, Command, Flag, Group, KeySpec, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly, Flag::Fast],
    categories: &[Category::Hash],
    keys: KeySpec::READ,
    group: Group::Hash,
    since: "2.0.0",
    ..Command::BASE
};

const READ_ALL: Command =
    Command { flags: &[Flag::Readonly], complexity: "O(n) with n the number of fields", ..READ };

const WRITE: Command =
    Command { flags: &[Flag::Write, Flag::DenyOom, Flag::Fast], keys: KeySpec::UPDATE, ..READ };

const UPDATE_WINS: &str = "Each field is by itself: of concurrent assignments the latest by stamp is read, and an update \
                           wins over a concurrent removal. A field that is set never expires, unless HEXPIRE says so \
                           concurrently.";
const ADDS: &str = "Concurrent increments all count, and survive a concurrent HDEL that did not observe them. What a field expires \
     by stays.";
const OBSERVED: &str =
    "Removes what it observed: a field that is set concurrently stays with what was set.";
const FIELDS: &str = "Each field is read by itself: of concurrent assignments the latest by stamp.";

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "hset",
        arity: -4,
        keys: KeySpec::UPDATE,
        summary: "Sets fields of a hash; how many are new.",
        semantics: UPDATE_WINS,
        complexity: "O(n) with n the number of fields given",
        run: Run::Data(field::set),
        ..WRITE
    },
    Command {
        name: "hmset",
        arity: -4,
        summary: "Sets fields of a hash: the old name of HSET.",
        semantics: UPDATE_WINS,
        complexity: "O(n) with n the number of fields given",
        run: Run::Data(field::set_many),
        ..WRITE
    },
    Command {
        name: "hsetnx",
        arity: 4,
        keys: KeySpec::INSERT,
        summary: "Sets a field of a hash only where the field is not there.",
        semantics: "The condition is judged on what a read quorum shows, so of concurrent ones several may hold.",
        run: Run::Data(field::set_if_absent),
        ..WRITE
    },
    Command {
        name: "hget",
        arity: 3,
        summary: "Returns the value of a field of a hash.",
        semantics: FIELDS,
        run: Run::Data(field::get),
        ..READ
    },
    Command {
        name: "hmget",
        arity: -3,
        summary: "Returns the values of fields of a hash.",
        semantics: FIELDS,
        complexity: "O(n) with n the number of fields given",
        run: Run::Data(field::get_many),
        ..READ
    },
    Command {
        name: "hdel",
        arity: -3,
        flags: &[Flag::Write, Flag::Fast],
        keys: KeySpec::DELETE,
        summary: "Removes fields of a hash; how many were there.",
        semantics: OBSERVED,
        complexity: "O(n) with n the number of fields given",
        run: Run::Data(field::remove),
        ..WRITE
    },
    Command {
        name: "hgetdel",
        arity: -5,
        since: "8.0.0",
        flags: &[Flag::Write, Flag::Fast],
        keys: KeySpec::DELETE,
        summary: "Returns the values of fields of a hash and removes the fields.",
        semantics: "Removes what it observed; concurrent ones may return the same value.",
        complexity: "O(n) with n the number of fields given",
        run: Run::Data(field::get_delete),
        ..WRITE
    },
    Command {
        name: "hexists",
        arity: 3,
        summary: "Whether a hash has a field.",
        semantics: FIELDS,
        run: Run::Data(field::exists),
        ..READ
    },
    Command {
        name: "hstrlen",
        arity: 3,
        since: "3.2.0",
        summary: "Returns how many bytes the value of a field of a hash has.",
        semantics: FIELDS,
        run: Run::Data(field::length),
        ..READ
    },
    Command {
        name: "hincrby",
        arity: 4,
        summary: "Adds a number to the integer value of a field of a hash; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(field::increment),
        ..WRITE
    },
    Command {
        name: "hincrbyfloat",
        arity: 4,
        since: "2.6.0",
        summary: "Adds a number, which need not be an integer, to the value of a field of a hash; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(field::increment_float),
        ..WRITE
    },
    Command {
        name: "hlen",
        arity: 2,
        summary: "Returns how many fields a hash has.",
        semantics: "Counts what HGETALL reads, and fields that have expired until they are removed, a second later or \
                    more.",
        run: Run::Data(whole::count),
        ..READ
    },
    Command {
        name: "hgetall",
        arity: 2,
        summary: "Returns the fields of a hash with their values.",
        semantics: "The union of what was set and not removed, at one moment of each owner asked.",
        run: Run::Data(whole::all),
        ..READ_ALL
    },
    Command {
        name: "hkeys",
        arity: 2,
        summary: "Returns the fields of a hash.",
        semantics: "Reads what HGETALL reads.",
        run: Run::Data(whole::fields),
        ..READ_ALL
    },
    Command {
        name: "hvals",
        arity: 2,
        summary: "Returns the values of the fields of a hash.",
        semantics: "Reads what HGETALL reads.",
        run: Run::Data(whole::values),
        ..READ_ALL
    },
    Command {
        name: "hrandfield",
        arity: -2,
        since: "6.2.0",
        summary: "Returns fields of a hash chosen at random.",
        semantics: "Chooses among what HGETALL reads.",
        run: Run::Data(whole::random),
        ..READ_ALL
    },
    Command {
        name: "hscan",
        arity: -3,
        since: "2.8.0",
        flags: &[Flag::Readonly],
        summary: "Returns some of the fields of a hash with their values, and where to go on.",
        semantics: "A field that is there all the while is returned at least once.",
        complexity: "O(1) for each call, O(n) for a whole iteration",
        run: Run::Data(whole::scan),
        ..READ
    },
];

/// An operation on the hash that word 1 names.
fn plan(
    arguments: &Arguments<'_>,
    operation: HashOperation,
    shape: Shape,
) -> Result<Plan, CommandError> {
    Ok(Plan::key(arguments.key(1), Operation::Hash(operation), shape))
}
