//! Commands on sets.

mod algebra;
mod member;

use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly, Flag::Fast],
    categories: &[Category::Set],
    keys: KeySpec::READ,
    group: Group::Set,
    ..Command::BASE
};

const WRITE: Command = Command { flags: &[Flag::Write, Flag::Fast], keys: KeySpec::DELETE, ..READ };

const ALGEBRA: Command = Command {
    flags: &[Flag::Readonly],
    keys: KeySpec::READ_ALL,
    complexity: "O(n) with n the number of members of all sets, which all are read",
    semantics: "Each set is read by itself, not all at one moment.",
    ..READ
};

const STORE: Command = Command {
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::range(1, 1, 1, Access::Overwrite), KeySpec::range(2, -1, 1, Access::Read)],
    semantics: "Each set is read by itself, and the result replaces what was observed where it goes; nothing is stored \
                where one cannot be read.",
    ..ALGEBRA
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "sadd",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        keys: KeySpec::INSERT,
        summary: "Adds members to a set; how many are new.",
        semantics: "Adding wins: a member that is added and removed concurrently stays.",
        complexity: "O(n) with n the number of members given",
        run: Run::Data(member::add),
        ..READ
    },
    Command {
        name: "srem",
        arity: -3,
        summary: "Removes members from a set; how many were there.",
        semantics: "Removes the adds that it observed; one that is concurrent stays.",
        complexity: "O(n) with n the number of members given",
        run: Run::Data(member::remove),
        ..WRITE
    },
    Command {
        name: "sismember",
        arity: 3,
        summary: "Whether a set has a member.",
        semantics: "Whether an add was seen that no removal observed.",
        run: Run::Data(member::contains),
        ..READ
    },
    Command {
        name: "smismember",
        arity: -3,
        since: "6.2.0",
        summary: "Which of some members a set has.",
        semantics: "As SISMEMBER, for each.",
        complexity: "O(n) with n the number of members given",
        run: Run::Data(member::contains_many),
        ..READ
    },
    Command {
        name: "scard",
        arity: 2,
        summary: "Returns how many members a set has.",
        semantics: "Counts what SMEMBERS reads.",
        run: Run::Data(member::count),
        ..READ
    },
    Command {
        name: "smembers",
        arity: 2,
        flags: &[Flag::Readonly],
        summary: "Returns the members of a set.",
        semantics: "The union of what was added and not removed.",
        complexity: "O(n) with n the number of members",
        run: Run::Data(member::members),
        ..READ
    },
    Command {
        name: "spop",
        arity: -2,
        summary: "Removes members of a set chosen at random, and returns them.",
        semantics: "At least once: concurrent ones may return the same member.",
        complexity: "O(n) with n the number of members",
        run: Run::Data(member::pop),
        ..WRITE
    },
    Command {
        name: "srandmember",
        arity: -2,
        flags: &[Flag::Readonly],
        summary: "Returns members of a set chosen at random.",
        semantics: "Chooses among what SMEMBERS reads.",
        complexity: "O(n) with n the number of members",
        run: Run::Data(member::random),
        ..READ
    },
    Command {
        name: "smove",
        arity: 4,
        keys: &[KeySpec::range(1, 1, 1, Access::Delete), KeySpec::range(2, 2, 1, Access::Insert)],
        summary: "Moves a member from one set to another.",
        semantics: "Added where it goes before it is removed where it was: for a moment, or after an error, it is in both.",
        run: Run::Data(member::transfer),
        ..WRITE
    },
    Command {
        name: "sscan",
        arity: -3,
        since: "2.8.0",
        flags: &[Flag::Readonly],
        summary: "Returns some of the members of a set, and where to go on.",
        semantics: "A member that is there all the while is returned at least once.",
        complexity: "O(1) for each call, O(n) for a whole iteration",
        run: Run::Data(member::scan),
        ..READ
    },
    Command {
        name: "sunion",
        arity: -2,
        summary: "Returns the members of any of some sets.",
        run: Run::Data(algebra::union),
        ..ALGEBRA
    },
    Command {
        name: "sinter",
        arity: -2,
        summary: "Returns the members that all of some sets have.",
        run: Run::Data(algebra::intersection),
        ..ALGEBRA
    },
    Command {
        name: "sdiff",
        arity: -2,
        summary: "Returns the members of the first of some sets that no other has.",
        run: Run::Data(algebra::difference),
        ..ALGEBRA
    },
    Command {
        name: "sintercard",
        arity: -3,
        since: "7.0.0",
        flags: &[Flag::Readonly, Flag::MovableKeys],
        keys: &[KeySpec::count(1, Access::Read)],
        summary: "Returns how many members all of some sets have.",
        run: Run::Data(algebra::intersection_count),
        ..ALGEBRA
    },
    Command {
        name: "sunionstore",
        arity: -3,
        summary: "Stores the members of any of some sets as a set.",
        run: Run::Data(algebra::union_store),
        ..STORE
    },
    Command {
        name: "sinterstore",
        arity: -3,
        summary: "Stores the members that all of some sets have as a set.",
        run: Run::Data(algebra::intersection_store),
        ..STORE
    },
    Command {
        name: "sdiffstore",
        arity: -3,
        summary: "Stores the members of the first of some sets that no other has as a set.",
        run: Run::Data(algebra::difference_store),
        ..STORE
    },
];
