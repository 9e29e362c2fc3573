//! Commands on strings.

mod expiry;
mod number;
mod several;
mod value;

use expiry::Lifetime;
pub(super) use expiry::{Unit, invalid as invalid_expiry};

use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly, Flag::Fast],
    categories: &[Category::String],
    keys: KeySpec::READ,
    group: Group::String,
    ..Command::BASE
};

const WRITE: Command =
    Command { flags: &[Flag::Write, Flag::DenyOom], keys: KeySpec::UPDATE, ..READ };

const FAST_WRITE: Command = Command { flags: &[Flag::Write, Flag::DenyOom, Flag::Fast], ..WRITE };

const SET: Command = Command { keys: KeySpec::OVERWRITE, ..WRITE };

const LATEST: &str = "Replaces what it observed; of concurrent ones the latest by stamp is read. Increments that it \
                      did not observe add to it.";
const CONDITIONAL: &str = "The condition is judged on what a read quorum shows, so of concurrent ones several may hold; \
                           in a strong bucket exactly one does.";
const ADDS: &str =
    "Concurrent increments all count. The sum answered is the one known where it was made.";
const PARTIAL: &str = "Replaces the whole value that it observed: of concurrent ones the latest by stamp is read, the others are lost.";

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "get",
        arity: 2,
        summary: "Returns the string value of a key.",
        semantics: "Of values written concurrently the latest by stamp is read, plus the increments since.",
        run: Run::Data(value::get),
        ..READ
    },
    Command {
        name: "set",
        arity: -3,
        summary: "Sets the string value of a key, whatever its type.",
        semantics: "Replaces what it observed; of concurrent ones the latest by stamp is read. NX and XX are judged on \
                    what a read quorum shows; in a strong bucket exactly one of concurrent NX holds.",
        run: Run::Data(value::set),
        ..SET
    },
    Command {
        name: "setnx",
        arity: 3,
        summary: "Sets the string value of a key only where the key is not there.",
        semantics: CONDITIONAL,
        run: Run::Data(value::set_if_absent),
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        ..SET
    },
    Command {
        name: "setex",
        arity: 4,
        since: "2.0.0",
        summary: "Sets the string value of a key, and in how many seconds it expires.",
        semantics: LATEST,
        run: Run::Data(|arguments| value::set_expiring(arguments, "setex", Unit::Seconds)),
        ..SET
    },
    Command {
        name: "psetex",
        arity: 4,
        since: "2.6.0",
        summary: "Sets the string value of a key, and in how many milliseconds it expires.",
        semantics: LATEST,
        run: Run::Data(|arguments| value::set_expiring(arguments, "psetex", Unit::Millis)),
        ..SET
    },
    Command {
        name: "getset",
        arity: 3,
        summary: "Sets the string value of a key and returns the one that was there.",
        semantics: "As SET; concurrent ones may return the same earlier value, but in a strong bucket.",
        run: Run::Data(value::get_set),
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        ..SET
    },
    Command {
        name: "getdel",
        arity: 2,
        since: "6.2.0",
        summary: "Returns the string value of a key and deletes the key.",
        semantics: "Deletes what it observed; concurrent ones may return the same value, but in a strong bucket.",
        flags: &[Flag::Write, Flag::Fast],
        keys: KeySpec::DELETE,
        run: Run::Data(value::get_delete),
        ..READ
    },
    Command {
        name: "getex",
        arity: -2,
        since: "6.2.0",
        summary: "Returns the string value of a key and sets when it expires.",
        semantics: "Of concurrent expiries the latest by stamp counts.",
        flags: &[Flag::Write, Flag::Fast],
        keys: KeySpec::UPDATE,
        run: Run::Data(value::get_expire),
        ..READ
    },
    Command {
        name: "append",
        arity: 3,
        since: "2.0.0",
        summary: "Appends to the string value of a key, or makes the key.",
        semantics: PARTIAL,
        complexity: "O(n) with n the length of the value",
        run: Run::Data(value::append),
        ..FAST_WRITE
    },
    Command {
        name: "strlen",
        arity: 2,
        since: "2.2.0",
        summary: "Returns how many bytes the string value of a key has.",
        semantics: "Reads what GET reads.",
        run: Run::Data(value::length),
        ..READ
    },
    Command {
        name: "getrange",
        arity: 4,
        since: "2.4.0",
        summary: "Returns a part of the string value of a key.",
        semantics: "Reads what GET reads.",
        complexity: "O(n) with n the length of what is returned",
        flags: &[Flag::Readonly],
        run: Run::Data(value::get_range),
        ..READ
    },
    Command {
        name: "substr",
        arity: 4,
        summary: "Returns a part of the string value of a key: the old name of GETRANGE.",
        semantics: "Reads what GET reads.",
        complexity: "O(n) with n the length of what is returned",
        flags: &[Flag::Readonly],
        run: Run::Data(value::get_range),
        ..READ
    },
    Command {
        name: "setrange",
        arity: 4,
        since: "2.2.0",
        summary: "Overwrites a part of the string value of a key, from an offset on.",
        semantics: PARTIAL,
        complexity: "O(n) with n the length of the value",
        run: Run::Data(value::set_range),
        ..WRITE
    },
    Command {
        name: "incr",
        arity: 2,
        summary: "Adds one to the integer value of a key; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(number::increment),
        ..FAST_WRITE
    },
    Command {
        name: "decr",
        arity: 2,
        summary: "Takes one from the integer value of a key; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(number::decrement),
        ..FAST_WRITE
    },
    Command {
        name: "incrby",
        arity: 3,
        summary: "Adds a number to the integer value of a key; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(number::increment_by),
        ..FAST_WRITE
    },
    Command {
        name: "decrby",
        arity: 3,
        summary: "Takes a number from the integer value of a key; 0 where there is none.",
        semantics: ADDS,
        run: Run::Data(number::decrement_by),
        ..FAST_WRITE
    },
    Command {
        name: "incrbyfloat",
        arity: 3,
        since: "2.6.0",
        summary: "Adds a number, which need not be an integer, to the value of a key; 0 where there is none.",
        semantics: "Concurrent increments all count, exactly: sums are of decimals with 17 places.",
        run: Run::Data(number::increment_by_float),
        ..FAST_WRITE
    },
    Command {
        name: "mget",
        arity: -2,
        keys: KeySpec::READ_ALL,
        summary: "Returns the string values of keys.",
        semantics: "Each key is read for itself, not all at one moment.",
        complexity: "O(n) with n the number of keys",
        run: Run::Data(several::get),
        ..READ
    },
    Command {
        name: "mset",
        arity: -3,
        since: "1.0.1",
        keys: &[KeySpec::range(1, -1, 2, Access::Overwrite)],
        summary: "Sets the string values of keys.",
        semantics: "Each key is set for itself, as by SET: others may see some set before the rest, and an error may \
                    leave some set.",
        complexity: "O(n) with n the number of keys",
        run: Run::Data(several::set),
        ..SET
    },
    Command {
        name: "msetnx",
        arity: -3,
        since: "1.0.1",
        keys: &[KeySpec::range(1, -1, 2, Access::Overwrite)],
        summary: "Sets the string value of a key only where it is not there; of one key only.",
        semantics: "All or none of several keys cannot be promised, so several are refused; one is as by SETNX.",
        run: Run::Data(several::set_if_absent),
        ..SET
    },
    Command {
        name: "lcs",
        arity: -3,
        since: "7.0.0",
        keys: &[KeySpec::range(1, 2, 1, Access::Read)],
        summary: "Finds the longest common subsequence of two string values.",
        semantics: "Each key is read for itself, not both at one moment.",
        complexity: "O(n·m) with n and m the lengths of the values, which together are bounded",
        flags: &[Flag::Readonly],
        run: Run::Data(several::longest_common_subsequence),
        ..READ
    },
];
