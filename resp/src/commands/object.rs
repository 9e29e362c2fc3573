//! `OBJECT` and `MEMORY`: what a key is inside, in the words of Redis.

use coterie_crdt::Shown;
use coterie_crdt::operation::{KeyOperation, Operation, Reply, StringOperation};
use coterie_wire::Answered;

use crate::arguments::{Arguments, CommandError, parse_integer};
use crate::desk::Step;
use crate::encoder::Encoder;
use crate::plan::Plan;
use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const KEY: &[KeySpec] = &[KeySpec::range(2, 2, 1, Access::Read)];

const BASE: Command = Command {
    flags: &[Flag::Readonly],
    categories: &[Category::Keyspace],
    group: Group::Generic,
    since: "2.2.3",
    semantics: "Names of Redis for what a key is; here every type is kept the same way.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[Command {
    name: "object",
    arity: -2,
    summary: "What a key is inside.",
    subcommands: OBJECT,
    ..BASE
}];

static OBJECT: &[Command] = &[
    Command {
        name: "encoding",
        arity: 3,
        keys: KEY,
        summary: "Returns how Redis would keep such a value.",
        run: Run::Data(|arguments| {
            let operations = vec![
                Operation::Key(KeyOperation::Type),
                Operation::Key(KeyOperation::Kinds),
                Operation::String(StringOperation::Get),
            ];
            Ok(Plan::key_all(arguments.key(2), operations, encoding))
        }),
        ..BASE
    },
    Command {
        name: "freq",
        arity: 3,
        keys: KEY,
        since: "4.0.0",
        summary: "Refused, as in a Redis that does not evict by frequency.",
        run: Run::Data(|arguments| {
            there(arguments, |encoder| {
                encoder.error(
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                     when switching between policies at runtime LRU and LFU data will take some time to adjust.",
                );
            })
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("object", encoder)),
        ..BASE
    },
    Command {
        name: "idletime",
        arity: 3,
        keys: KEY,
        summary: "Returns 0: when a key was last read is not kept.",
        run: Run::Data(|arguments| there(arguments, |encoder| encoder.integer(0))),
        ..BASE
    },
    Command {
        name: "refcount",
        arity: 3,
        keys: KEY,
        summary: "Returns 1.",
        run: Run::Data(|arguments| there(arguments, |encoder| encoder.integer(1))),
        ..BASE
    },
];

/// The subcommands of `MEMORY`.
pub(super) static MEMORY: &[Command] = &[
    Command {
        name: "doctor",
        arity: 2,
        flags: &[],
        group: Group::Server,
        since: "4.0.0",
        summary: "Says where to look.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder
                .verbatim("What memory is used for is among the metrics of this node: /metrics.\n");
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        flags: &[],
        group: Group::Server,
        since: "4.0.0",
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("memory", encoder)),
        ..BASE
    },
    Command {
        name: "purge",
        arity: 2,
        flags: &[],
        group: Group::Server,
        since: "4.0.0",
        summary: "Does nothing: memory goes back by itself.",
        run: Run::Desk(super::server::accepted),
        ..BASE
    },
    Command {
        name: "usage",
        arity: -3,
        keys: KEY,
        group: Group::Server,
        since: "4.0.0",
        summary: "Returns about how many bytes the rows of a key take, by the number of its elements.",
        run: Run::Data(usage),
        ..BASE
    },
];

/// An answer where the key is there, else nothing.
fn there(arguments: &Arguments<'_>, answer: fn(&mut Encoder<'_>)) -> Result<Plan, CommandError> {
    let exists = vec![Operation::Key(KeyOperation::Exists)];
    Ok(Plan::key_with(arguments.key(2), exists, move |reply, encoder| match reply {
        Reply::Integer(0) => encoder.null(),
        _ => answer(encoder),
    }))
}

fn encoding(answered: &Answered, encoder: &mut Encoder<'_>) {
    let elements = match answered.replies.get(1) {
        Some(Ok(Reply::Integers(kinds))) => kinds.chunks(2).filter_map(|pair| pair.get(1)).sum(),
        _ => 0_i64,
    };
    let small = elements <= 128;
    let shown = match answered.replies.first() {
        Some(Ok(Reply::Type(shown))) => *shown,
        Some(Err(error)) => return encoder.error(&error.to_string()),
        _ => Shown::Nothing,
    };
    let name = match shown {
        Shown::Nothing => return encoder.null(),
        Shown::String => match answered.replies.get(2) {
            Some(Ok(Reply::Value(value))) if parse_integer(value).is_some() => "int",
            Some(Ok(Reply::Value(value))) if value.len() <= 44 => "embstr",
            _ => "raw",
        },
        Shown::HyperLogLog => "raw",
        Shown::Hash | Shown::Set | Shown::RemoveWinsSet | Shown::GrowOnlySet if small => "listpack",
        Shown::SortedSet | Shown::List if small => "listpack",
        Shown::Hash | Shown::Set | Shown::RemoveWinsSet | Shown::GrowOnlySet => "hashtable",
        Shown::List => "quicklist",
        Shown::SortedSet => "skiplist",
        Shown::Flag => "raw",
    };
    encoder.bulk(name.as_bytes());
}

/// Bytes that a root takes, and a cell with a short path.
const ROOT_BYTES: i64 = 160;
const CELL_BYTES: i64 = 96;

fn usage(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    match arguments.count() {
        3 => {}
        5 if arguments.is(3, "SAMPLES") => {
            arguments.count_at(4)?;
        }
        _ => return Err(CommandError::SYNTAX),
    }
    let operations = vec![
        Operation::Key(KeyOperation::Kinds),
        Operation::String(StringOperation::Length),
        Operation::Key(KeyOperation::Exists),
    ];
    let name = i64::try_from(arguments.word(2).len()).unwrap_or(i64::MAX);
    Ok(Plan::key_all(arguments.key(2), operations, move |answered, encoder| {
        if matches!(answered.replies.last(), Some(Ok(Reply::Integer(0)))) {
            return encoder.null();
        }
        let cells: i64 = match answered.replies.first() {
            Some(Ok(Reply::Integers(kinds))) => {
                kinds.chunks(2).filter_map(|pair| pair.get(1)).sum()
            }
            Some(Err(error)) => return encoder.error(&error.to_string()),
            _ => 0,
        };
        let value = match answered.replies.get(1) {
            Some(Ok(Reply::Integer(length))) => *length,
            _ => 0,
        };
        encoder.integer(ROOT_BYTES + name * (1 + cells) + CELL_BYTES * cells + value);
    }))
}
