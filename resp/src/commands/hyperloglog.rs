//! Commands on HyperLogLogs.

use coterie_crdt::operation::{HyperLogLogOperation, Operation, Registers, Reply};
use coterie_crdt::sketch::Sketch;
use coterie_protocol::gather::{Command as Gather, Done};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::encoder::Encoder;
use crate::plan::Plan;
use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const WRITE: Command = Command {
    flags: &[Flag::Write, Flag::DenyOom],
    categories: &[Category::HyperLogLog],
    keys: KeySpec::INSERT,
    group: Group::HyperLogLog,
    since: "2.8.9",
    semantics: "Concurrent ones come to the union; a deletion removes what it observed.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "pfadd",
        arity: -2,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        summary: "Adds elements to a HyperLogLog; whether its estimate may have changed.",
        complexity: "O(n) with n the number of elements given",
        run: Run::Data(add),
        ..WRITE
    },
    Command {
        name: "pfcount",
        arity: -2,
        flags: &[Flag::Readonly],
        keys: KeySpec::READ_ALL,
        summary: "Returns about how many distinct elements HyperLogLogs have seen together; standard error 0.81 %.",
        semantics: "Of several keys each is read by itself, not all at one moment.",
        complexity: "O(n) with n the number of keys; up to 16,384 registers are read of each",
        run: Run::Data(count),
        ..WRITE
    },
    Command {
        name: "pfmerge",
        arity: -2,
        keys: &[KeySpec::range(1, 1, 1, Access::Insert), KeySpec::range(2, -1, 1, Access::Read)],
        summary: "Merges HyperLogLogs into one.",
        complexity: "O(n) with n the number of keys; up to 16,384 registers are read of each",
        run: Run::Data(merge),
        ..WRITE
    },
];

fn add(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = HyperLogLogOperation::Add(arguments.from(2).to_vec());
    Ok(Plan::key(arguments.key(1), Operation::HyperLogLog(operation), shape::integer))
}

fn count(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    if arguments.count() == 2 {
        let operation = HyperLogLogOperation::Count(Registers::new());
        return Ok(Plan::key(arguments.key(1), Operation::HyperLogLog(operation), shape::integer));
    }
    let read = || vec![Operation::HyperLogLog(HyperLogLogOperation::Registers)];
    let keys = arguments.from(1).iter().map(|word| (arguments.key_of(word), read())).collect();
    Ok(Plan::gather(Gather::Each(keys), estimate))
}

fn estimate(done: &Done, encoder: &mut Encoder<'_>) {
    let mut sketch = Sketch::new();
    for reply in shape::each(done) {
        match reply {
            Ok(Reply::Registers(registers)) => {
                registers.iter().for_each(|(index, rank)| sketch.raise(*index, *rank));
            }
            _ => return shape::unexpected(encoder),
        }
    }
    encoder.count(sketch.estimate());
}

fn merge(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let keys = arguments.from(2).iter().map(|word| arguments.key_of(word)).collect();
    let command = Gather::Merge { keys, into: arguments.key(1) };
    Ok(Plan::gather(command, |done, encoder| shape::answer(done, encoder, shape::ok)))
}
