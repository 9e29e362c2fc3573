//! Commands on lists.

mod element;
mod several;

use coterie_crdt::operation::ListEnd;

use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const READ: Command = Command {
    flags: &[Flag::Readonly],
    categories: &[Category::List],
    keys: KeySpec::READ,
    group: Group::List,
    complexity: "O(n) with n how far the elements are from the nearer end",
    semantics: "All elements inserted and not removed, in the same order everywhere.",
    ..Command::BASE
};

const PUSH: Command = Command {
    flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
    keys: KeySpec::INSERT,
    complexity: "O(n) with n the number of elements given",
    semantics: "Concurrent pushes are all kept, those of one command side by side, in the same order everywhere.",
    ..READ
};

const POP: Command = Command {
    flags: &[Flag::Write, Flag::Fast],
    keys: KeySpec::DELETE,
    complexity: "O(n) with n the number of elements returned",
    semantics: "At least once: concurrent ones may return the same element.",
    ..READ
};

const MOVE: Command = Command {
    flags: &[Flag::Write, Flag::DenyOom],
    keys: &[KeySpec::range(1, 1, 1, Access::Delete), KeySpec::range(2, 2, 1, Access::Insert)],
    complexity: "O(1)",
    semantics: "Stored where it goes before it is removed where it was: for a moment, or after an error, it is in both; \
                concurrent ones may move the same element.",
    ..READ
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "lpush",
        arity: -3,
        summary: "Inserts elements at the left end of a list, one after the other; its length then.",
        run: Run::Data(|arguments| element::push(arguments, ListEnd::Left)),
        ..PUSH
    },
    Command {
        name: "rpush",
        arity: -3,
        summary: "Inserts elements at the right end of a list, one after the other; its length then.",
        run: Run::Data(|arguments| element::push(arguments, ListEnd::Right)),
        ..PUSH
    },
    Command {
        name: "lpushx",
        arity: -3,
        since: "2.2.0",
        summary: "Inserts elements at the left end of a list that is there; its length then.",
        run: Run::Data(|arguments| element::push_if_present(arguments, ListEnd::Left)),
        ..PUSH
    },
    Command {
        name: "rpushx",
        arity: -3,
        since: "2.2.0",
        summary: "Inserts elements at the right end of a list that is there; its length then.",
        run: Run::Data(|arguments| element::push_if_present(arguments, ListEnd::Right)),
        ..PUSH
    },
    Command {
        name: "lpop",
        arity: -2,
        summary: "Removes elements from the left end of a list, and returns them.",
        run: Run::Data(|arguments| element::pop(arguments, ListEnd::Left)),
        ..POP
    },
    Command {
        name: "rpop",
        arity: -2,
        summary: "Removes elements from the right end of a list, and returns them.",
        run: Run::Data(|arguments| element::pop(arguments, ListEnd::Right)),
        ..POP
    },
    Command {
        name: "llen",
        arity: 2,
        flags: &[Flag::Readonly, Flag::Fast],
        complexity: "O(1)",
        summary: "Returns how many elements a list has.",
        semantics: "Counts what LRANGE 0 -1 reads.",
        run: Run::Data(element::length),
        ..READ
    },
    Command {
        name: "lindex",
        arity: 3,
        summary: "Returns the element at an index of a list.",
        run: Run::Data(element::at),
        ..READ
    },
    Command {
        name: "lrange",
        arity: 4,
        summary: "Returns the elements of a list from one index to another.",
        run: Run::Data(element::range),
        ..READ
    },
    Command {
        name: "lpos",
        arity: -3,
        since: "6.0.6",
        complexity: "O(n) with n the number of elements",
        summary: "Returns the index of an element of a list that equals a value.",
        run: Run::Data(element::find),
        ..READ
    },
    Command {
        name: "lset",
        arity: 4,
        flags: &[Flag::Write, Flag::DenyOom],
        keys: KeySpec::UPDATE,
        summary: "Sets the element at an index of a list.",
        semantics: "Sets the element that it observed there, wherever others move it by inserting; of concurrent ones the \
                    latest by stamp is read, and it wins over a concurrent removal.",
        run: Run::Data(element::set),
        ..READ
    },
    Command {
        name: "linsert",
        arity: 5,
        since: "2.2.0",
        flags: &[Flag::Write, Flag::DenyOom],
        keys: KeySpec::INSERT,
        complexity: "O(n) with n the index of the pivot",
        summary: "Inserts an element before or after another one.",
        semantics: "Beside the element that it observed; concurrent ones are all kept.",
        run: Run::Data(element::insert),
        ..READ
    },
    Command {
        name: "lrem",
        arity: 4,
        flags: &[Flag::Write],
        keys: KeySpec::DELETE,
        complexity: "O(n) with n the number of elements",
        summary: "Removes elements that equal a value; how many.",
        semantics: "Removes the elements that it observed; those inserted concurrently stay.",
        run: Run::Data(element::remove),
        ..READ
    },
    Command {
        name: "ltrim",
        arity: 4,
        flags: &[Flag::Write],
        keys: KeySpec::DELETE,
        complexity: "O(n) with n the number of elements removed",
        summary: "Removes all elements but those from one index to another.",
        semantics: "Removes the elements that it observed; those inserted concurrently stay.",
        run: Run::Data(element::trim),
        ..READ
    },
    Command {
        name: "lmove",
        arity: 5,
        since: "6.2.0",
        summary: "Takes an element from an end of one list, inserts it at an end of another and returns it.",
        run: Run::Data(several::transfer),
        ..MOVE
    },
    Command {
        name: "rpoplpush",
        arity: 3,
        since: "1.2.0",
        summary: "Takes an element from the right end of one list, inserts it at the left end of another and returns it.",
        run: Run::Data(several::transfer_right_to_left),
        ..MOVE
    },
    Command {
        name: "lmpop",
        arity: -4,
        since: "7.0.0",
        flags: &[Flag::Write, Flag::MovableKeys],
        keys: &[KeySpec::count(1, Access::Delete)],
        summary: "Removes elements from an end of the first list that has any, and returns them.",
        run: Run::Data(several::pop_first),
        ..POP
    },
];
