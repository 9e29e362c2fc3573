//! Commands on strings.

use coterie_crdt::operation::{Expire, Operation, Reply, SetCondition, StringOperation};

use crate::arguments::{Arguments, CommandError};
use crate::encoder::Encoder;
use crate::plan::Plan;
use crate::table::{Category, Command, Flag, Group, KeySpec, Run};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "get",
        arity: 2,
        flags: &[Flag::Readonly, Flag::Fast],
        categories: &[Category::String],
        keys: KeySpec::READ,
        group: Group::String,
        summary: "Returns the string value of a key.",
        semantics: "Of values written concurrently the latest by stamp is read; a sum is read as it is known here.",
        run: Run::Data(get),
        ..Command::BASE
    },
    Command {
        name: "set",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::String],
        keys: KeySpec::OVERWRITE,
        group: Group::String,
        summary: "Sets the string value of a key, whatever its type.",
        semantics: "Replaces what it observed; of concurrent ones the latest by stamp is read. Increments that it did \
                    not observe add to it.",
        run: Run::Data(set),
        ..Command::BASE
    },
];

fn get(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = Operation::String(StringOperation::Get);
    Ok(Plan::key(arguments.key(1), operation, value_or_null))
}

fn set(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let operation = Operation::String(StringOperation::Set {
        value: arguments.bytes(2),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    });
    Ok(Plan::key(arguments.key(1), operation, |_reply, encoder| encoder.ok()))
}

/// A value as a bulk string, or nothing.
fn value_or_null(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Value(value) => encoder.bulk(value),
        Reply::Integer(value) => encoder.integer(*value),
        _ => encoder.null(),
    }
}
