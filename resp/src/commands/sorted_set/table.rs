//! The table of commands on sorted sets.

use coterie_crdt::Direction;

use super::{algebra, member, pop, range};
use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly],
    categories: &[Category::SortedSet],
    keys: KeySpec::READ,
    group: Group::SortedSet,
    since: "2.0.0",
    complexity: "O(log n + m) with n the number of members, and m of those returned",
    semantics: "Reads members in the order of the scores that a quorum shows.",
    ..Command::BASE
};

const FAST_READ: Command =
    Command { flags: &[Flag::Readonly, Flag::Fast], complexity: "O(1)", ..READ };

const REMOVE: Command = Command {
    flags: &[Flag::Write],
    keys: KeySpec::DELETE,
    semantics: "Removes what it observed: a member whose score is set or incremented concurrently stays with that.",
    ..READ
};

const POP: Command = Command {
    flags: &[Flag::Write, Flag::Fast],
    semantics: "At least once: concurrent ones may return the same member.",
    ..REMOVE
};

const ALGEBRA: Command = Command {
    flags: &[Flag::Readonly, Flag::MovableKeys],
    keys: &[KeySpec::count(1, Access::Read)],
    since: "6.2.0",
    complexity: "O(n log n) with n the number of members of all inputs, which all are read",
    semantics: "Each input is read by itself, not all at one moment.",
    ..READ
};

const STORE: Command = Command {
    flags: &[Flag::Write, Flag::DenyOom, Flag::MovableKeys],
    keys: &[KeySpec::range(1, 1, 1, Access::Overwrite), KeySpec::count(2, Access::Read)],
    semantics: "Each input is read by itself, and the result replaces what was observed where it goes; nothing is \
                stored where one cannot be read.",
    ..ALGEBRA
};

/// The commands.
pub(in crate::commands) static COMMANDS: &[Command] = &[
    Command {
        name: "zadd",
        arity: -4,
        since: "1.2.0",
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        keys: KeySpec::UPDATE,
        complexity: "O(k log n) with k the number of members given",
        summary: "Adds members to a sorted set or sets their scores; how many are new.",
        semantics: "Adding wins over a concurrent removal; of concurrent scores the latest by stamp counts. Conditions \
                    are judged on what a read quorum shows.",
        run: Run::Data(member::add),
        ..READ
    },
    Command {
        name: "zincrby",
        arity: 4,
        since: "1.2.0",
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        keys: KeySpec::UPDATE,
        complexity: "O(log n)",
        summary: "Adds a number to the score of a member; 0 where there is none.",
        semantics: "Concurrent increments all count, and survive a concurrent ZREM that did not observe them.",
        run: Run::Data(member::increment),
        ..READ
    },
    Command {
        name: "zrem",
        arity: -3,
        since: "1.2.0",
        flags: &[Flag::Write, Flag::Fast],
        complexity: "O(k log n) with k the number of members given",
        summary: "Removes members from a sorted set; how many were there.",
        run: Run::Data(member::remove),
        ..REMOVE
    },
    Command {
        name: "zscore",
        arity: 3,
        since: "1.2.0",
        summary: "Returns the score of a member.",
        semantics: "The latest score by stamp, plus the increments since.",
        run: Run::Data(member::score),
        ..FAST_READ
    },
    Command {
        name: "zmscore",
        arity: -3,
        since: "6.2.0",
        complexity: "O(k) with k the number of members given",
        summary: "Returns the scores of members.",
        semantics: "As ZSCORE, for each.",
        run: Run::Data(member::scores),
        ..FAST_READ
    },
    Command {
        name: "zcard",
        arity: 2,
        since: "1.2.0",
        summary: "Returns how many members a sorted set has.",
        semantics: "Counts what ZRANGE 0 -1 reads.",
        run: Run::Data(member::count),
        ..FAST_READ
    },
    Command {
        name: "zrank",
        arity: -3,
        complexity: "O(n) with n the rank",
        summary: "Returns how many members have lower scores.",
        run: Run::Data(|arguments| member::rank(arguments, Direction::Forward)),
        ..FAST_READ
    },
    Command {
        name: "zrevrank",
        arity: -3,
        complexity: "O(n) with n the rank",
        summary: "Returns how many members have higher scores.",
        run: Run::Data(|arguments| member::rank(arguments, Direction::Backward)),
        ..FAST_READ
    },
    Command {
        name: "zrandmember",
        arity: -2,
        since: "6.2.0",
        complexity: "O(n) with n the number of members",
        summary: "Returns members of a sorted set chosen at random.",
        run: Run::Data(member::random),
        ..READ
    },
    Command {
        name: "zscan",
        arity: -3,
        since: "2.8.0",
        complexity: "O(1) for each call, O(n) for a whole iteration",
        summary: "Returns some of the members of a sorted set with their scores, and where to go on.",
        semantics: "A member that is there all the while is returned at least once.",
        run: Run::Data(member::scan),
        ..READ
    },
    Command {
        name: "zcount",
        arity: 4,
        flags: &[Flag::Readonly, Flag::Fast],
        summary: "Counts the members of a sorted set whose scores are within bounds.",
        run: Run::Data(range::count_by_score),
        ..READ
    },
    Command {
        name: "zlexcount",
        arity: 4,
        since: "2.8.9",
        flags: &[Flag::Readonly, Flag::Fast],
        summary: "Counts the members of a sorted set whose names are within bounds.",
        run: Run::Data(range::count_by_name),
        ..READ
    },
    Command {
        name: "zrange",
        arity: -4,
        since: "1.2.0",
        summary: "Returns a range of members by rank, score or name.",
        run: Run::Data(range::range),
        ..READ
    },
    Command {
        name: "zrangebyscore",
        arity: -4,
        since: "1.0.5",
        summary: "Returns the members whose scores are within bounds.",
        run: Run::Data(range::by_score),
        ..READ
    },
    Command {
        name: "zrevrangebyscore",
        arity: -4,
        since: "2.2.0",
        summary: "Returns the members whose scores are within bounds, the highest first.",
        run: Run::Data(range::by_score_reversed),
        ..READ
    },
    Command {
        name: "zrangebylex",
        arity: -4,
        since: "2.8.9",
        summary: "Returns the members whose names are within bounds.",
        run: Run::Data(range::by_name),
        ..READ
    },
    Command {
        name: "zrevrangebylex",
        arity: -4,
        since: "2.8.9",
        summary: "Returns the members whose names are within bounds, the last first.",
        run: Run::Data(range::by_name_reversed),
        ..READ
    },
    Command {
        name: "zrevrange",
        arity: -4,
        since: "1.2.0",
        summary: "Returns a range of members by rank, counted from the highest score.",
        run: Run::Data(range::reversed),
        ..READ
    },
    Command {
        name: "zrangestore",
        arity: -5,
        since: "6.2.0",
        flags: &[Flag::Write, Flag::DenyOom],
        keys: &[KeySpec::range(1, 1, 1, Access::Overwrite), KeySpec::range(2, 2, 1, Access::Read)],
        summary: "Stores a range of members of a sorted set as another.",
        semantics: "What is read replaces what was observed where it goes.",
        run: Run::Data(range::store),
        ..READ
    },
    Command {
        name: "zremrangebyrank",
        arity: 4,
        summary: "Removes a range of members by rank; how many.",
        run: Run::Data(range::remove_by_rank),
        ..REMOVE
    },
    Command {
        name: "zremrangebyscore",
        arity: 4,
        since: "1.2.0",
        summary: "Removes the members whose scores are within bounds; how many.",
        run: Run::Data(range::remove_by_score),
        ..REMOVE
    },
    Command {
        name: "zremrangebylex",
        arity: 4,
        since: "2.8.9",
        summary: "Removes the members whose names are within bounds; how many.",
        run: Run::Data(range::remove_by_name),
        ..REMOVE
    },
    Command {
        name: "zpopmin",
        arity: -2,
        since: "5.0.0",
        summary: "Removes the members with the lowest scores, and returns them.",
        run: Run::Data(|arguments| pop::pop(arguments, Direction::Forward)),
        ..POP
    },
    Command {
        name: "zpopmax",
        arity: -2,
        since: "5.0.0",
        summary: "Removes the members with the highest scores, and returns them.",
        run: Run::Data(|arguments| pop::pop(arguments, Direction::Backward)),
        ..POP
    },
    Command {
        name: "zmpop",
        arity: -4,
        since: "7.0.0",
        flags: &[Flag::Write, Flag::MovableKeys],
        keys: &[KeySpec::count(1, Access::Delete)],
        summary: "Removes members from an end of the first sorted set that has any, and returns them.",
        run: Run::Data(pop::pop_first),
        ..POP
    },
    Command {
        name: "zunion",
        arity: -3,
        summary: "Returns the members of any of some sorted sets.",
        run: Run::Data(algebra::union),
        ..ALGEBRA
    },
    Command {
        name: "zinter",
        arity: -3,
        summary: "Returns the members that all of some sorted sets have.",
        run: Run::Data(algebra::intersection),
        ..ALGEBRA
    },
    Command {
        name: "zdiff",
        arity: -3,
        summary: "Returns the members of the first of some sorted sets that no other has.",
        run: Run::Data(algebra::difference),
        ..ALGEBRA
    },
    Command {
        name: "zintercard",
        arity: -3,
        since: "7.0.0",
        summary: "Returns how many members all of some sorted sets have.",
        run: Run::Data(algebra::intersection_count),
        ..ALGEBRA
    },
    Command {
        name: "zunionstore",
        arity: -4,
        since: "2.0.0",
        summary: "Stores the members of any of some sorted sets as a sorted set.",
        run: Run::Data(algebra::union_store),
        ..STORE
    },
    Command {
        name: "zinterstore",
        arity: -4,
        since: "2.0.0",
        summary: "Stores the members that all of some sorted sets have as a sorted set.",
        run: Run::Data(algebra::intersection_store),
        ..STORE
    },
    Command {
        name: "zdiffstore",
        arity: -4,
        summary: "Stores the members of the first of some sorted sets that no other has as a sorted set.",
        run: Run::Data(algebra::difference_store),
        ..STORE
    },
];
