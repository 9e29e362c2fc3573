//! `COMMAND`: the table, as clients ask for it.

use bytes::Bytes;

use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::glob;
use crate::keys;
use crate::table::{self, Access, Category, Command, Flag, Group, KeySpec, Place, Run};
use crate::users::{CATEGORIES, in_category};

const BASE: Command = Command {
    flags: &[Flag::Loading, Flag::Stale],
    categories: &[Category::Connection],
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(N) in the commands",
    semantics: "Answered by this node alone; all of one version answer the same.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[Command {
    name: "command",
    arity: -1,
    summary: "Describes all commands.",
    subcommands: SUBCOMMANDS,
    run: Run::Desk(|_desk, _arguments, encoder| {
        encoder.array(table::count());
        table::all().for_each(|command| info(command, "", encoder));
        Ok(Step::Done)
    }),
    ..BASE
}];

static SUBCOMMANDS: &[Command] = &[
    Command {
        name: "count",
        arity: 2,
        complexity: "O(1)",
        summary: "Returns how many commands there are.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.count(table::count());
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "docs",
        arity: -2,
        since: "7.0.0",
        summary: "Returns what the commands do.",
        run: Run::Desk(docs),
        ..BASE
    },
    Command {
        name: "getkeys",
        arity: -3,
        summary: "Returns the keys among a command's words.",
        run: Run::Desk(|_desk, arguments, encoder| get_keys(arguments, encoder, false)),
        ..BASE
    },
    Command {
        name: "getkeysandflags",
        arity: -3,
        since: "7.0.0",
        summary: "Returns the keys among a command's words, and what becomes of them.",
        run: Run::Desk(|_desk, arguments, encoder| get_keys(arguments, encoder, true)),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        since: "5.0.0",
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| help("command", encoder)),
        ..BASE
    },
    Command {
        name: "info",
        arity: -2,
        summary: "Describes commands.",
        run: Run::Desk(|_desk, arguments, encoder| {
            if arguments.count() == 2 {
                encoder.array(table::count());
                table::all().for_each(|command| info(command, "", encoder));
                return Ok(Step::Done);
            }
            encoder.array(arguments.count() - 2);
            for name in arguments.from(2) {
                match named(name) {
                    Some((parent, command)) => info(command, parent, encoder),
                    None => encoder.null_array(),
                }
            }
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "list",
        arity: -2,
        since: "7.0.0",
        summary: "Returns the names of commands.",
        run: Run::Desk(list),
        ..BASE
    },
];

/// The lines of a container's `HELP`: its subcommands with what they do.
pub(super) fn help(name: &str, encoder: &mut Encoder<'_>) -> Result<Step, CommandError> {
    let subcommands = table::find(name.as_bytes()).map_or(&[][..], |command| command.subcommands);
    encoder.array(1 + 2 * subcommands.len());
    let upper = name.to_uppercase();
    encoder.simple(&format!("{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for command in subcommands {
        encoder.simple(&command.name.to_uppercase());
        encoder.simple(&format!("    {}", command.summary));
    }
    Ok(Step::Done)
}

/// A command by its full name, with its parent's name.
fn named(name: &[u8]) -> Option<(&'static str, &'static Command)> {
    let (parent, _place, child) = table::named(name)?;
    Some(child.map_or(("", parent), |child| (parent.name, child)))
}

fn list(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let names: Vec<&str> = match arguments.count() {
        2 => table::all().map(|command| command.name).collect(),
        5 if arguments.is(2, "FILTERBY") && arguments.is(3, "PATTERN") => {
            let pattern = arguments.word(4).to_ascii_lowercase();
            let fits = |command: &&Command| glob::matches(&pattern, command.name.as_bytes());
            table::all().filter(fits).map(|command| command.name).collect()
        }
        5 if arguments.is(2, "FILTERBY") && arguments.is(3, "ACLCAT") => {
            let category = arguments.lossy(4).to_lowercase();
            let fits = |command: &&Command| in_category(command, &category);
            table::all().filter(fits).map(|command| command.name).collect()
        }
        5 if arguments.is(2, "FILTERBY") && arguments.is(3, "MODULE") => Vec::new(),
        _ => return Err(CommandError::SYNTAX),
    };
    encoder.bulks(names.iter());
    Ok(Step::Done)
}

fn get_keys(
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
    with_flags: bool,
) -> Result<Step, CommandError> {
    let words: &[Bytes] = arguments.from(2);
    let invalid = CommandError::Text("ERR Invalid command specified");
    let parent = table::find(&words[0]).ok_or(invalid)?;
    let child = words.get(1).and_then(|name| parent.subcommand(name));
    let command = child.unwrap_or(parent);
    if command.keys.is_empty() {
        return Err(CommandError::Text("ERR The command has no key arguments"));
    }
    if !command.takes(words.len()) {
        return Err(CommandError::Text("ERR Invalid number of arguments specified for command"));
    }
    let mut found = Vec::new();
    keys::each(command, words, |index, access| found.push((index, access)));
    if found.is_empty() {
        return Err(CommandError::Text("ERR Invalid arguments specified for command"));
    }
    encoder.array(found.len());
    for (index, access) in found {
        if with_flags {
            encoder.array(2);
        }
        encoder.bulk(&words[index]);
        if with_flags {
            flags_of(access, encoder);
        }
    }
    Ok(Step::Done)
}

fn flags_of(access: Access, encoder: &mut Encoder<'_>) {
    let flags: &[&str] = match access {
        Access::Read => &["RO", "access"],
        Access::Update => &["RW", "access", "update"],
        Access::Insert => &["RW", "insert"],
        Access::Overwrite => &["OW", "update"],
        Access::Delete => &["RW", "delete"],
    };
    encoder.set(flags.len());
    flags.iter().for_each(|flag| encoder.simple(flag));
}

/// What `COMMAND INFO` says of a command.
fn info(command: &Command, parent: &str, encoder: &mut Encoder<'_>) {
    encoder.array(10);
    encoder.bulk(command.full_name(parent).as_bytes());
    encoder.integer(i64::from(command.arity));
    let movable = command.keys.iter().any(|spec| !matches!(spec.place, Place::Range { .. }));
    let movable = movable && !command.has(Flag::MovableKeys);
    encoder.set(command.flags.len() + usize::from(movable));
    command.flags.iter().for_each(|flag| encoder.simple(flag_name(*flag)));
    if movable {
        encoder.simple(flag_name(Flag::MovableKeys));
    }
    let (first, last, step) = match command.keys.first().map(|spec| spec.place) {
        Some(Place::Range { first, last, step }) => (first, last, step),
        Some(Place::Count { .. } | Place::Keyword { .. } | Place::Function(_)) | None => (0, 0, 0),
    };
    encoder.count(first);
    encoder.integer(i64::try_from(last).unwrap_or(0));
    encoder.count(step);
    let categories: Vec<&str> =
        CATEGORIES.into_iter().filter(|category| in_category(command, category)).collect();
    encoder.set(categories.len());
    categories.iter().for_each(|category| encoder.simple(&format!("@{category}")));
    // Hints: none.
    encoder.array(0);
    encoder.array(command.keys.len());
    command.keys.iter().for_each(|spec| key_spec(spec, encoder));
    encoder.array(command.subcommands.len());
    command.subcommands.iter().for_each(|child| info(child, command.name, encoder));
}

fn flag_name(flag: Flag) -> &'static str {
    match flag {
        Flag::Write => "write",
        Flag::Readonly => "readonly",
        Flag::DenyOom => "denyoom",
        Flag::Admin => "admin",
        Flag::Fast => "fast",
        Flag::NoAuth => "no_auth",
        Flag::Loading => "loading",
        Flag::Stale => "stale",
        Flag::NoScript => "noscript",
        Flag::MovableKeys => "movablekeys",
    }
}

fn key_spec(spec: &KeySpec, encoder: &mut Encoder<'_>) {
    encoder.map(3);
    encoder.bulk(b"flags");
    flags_of(spec.access, encoder);
    let number = |name: &str, value: i64, encoder: &mut Encoder<'_>| {
        encoder.bulk(name.as_bytes());
        encoder.integer(value);
    };
    let small = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    encoder.bulk(b"begin_search");
    encoder.map(2);
    encoder.bulk(b"type");
    match spec.place {
        Place::Range { first, .. } | Place::Count { at: first } => {
            encoder.bulk(b"index");
            encoder.bulk(b"spec");
            encoder.map(1);
            number("index", small(first), encoder);
        }
        Place::Keyword { word, from } => {
            encoder.bulk(b"keyword");
            encoder.bulk(b"spec");
            encoder.map(2);
            encoder.bulk(b"keyword");
            encoder.bulk(word.as_bytes());
            number("startfrom", small(from), encoder);
        }
        Place::Function(_) => {
            encoder.bulk(b"unknown");
            encoder.bulk(b"spec");
            encoder.map(0);
        }
    }
    encoder.bulk(b"find_keys");
    encoder.map(2);
    encoder.bulk(b"type");
    match spec.place {
        Place::Range { first, last, step } => {
            encoder.bulk(b"range");
            encoder.bulk(b"spec");
            encoder.map(3);
            // Counted from the first key on.
            let last = i64::try_from(last).unwrap_or(0);
            number("lastkey", if last < 0 { last } else { last - small(first) }, encoder);
            number("keystep", small(step), encoder);
            number("limit", 0, encoder);
        }
        Place::Count { .. } => {
            encoder.bulk(b"keynum");
            encoder.bulk(b"spec");
            encoder.map(3);
            number("keynumidx", 0, encoder);
            number("firstkey", 1, encoder);
            number("keystep", 1, encoder);
        }
        Place::Keyword { .. } => {
            encoder.bulk(b"range");
            encoder.bulk(b"spec");
            encoder.map(3);
            number("lastkey", 0, encoder);
            number("keystep", 1, encoder);
            number("limit", 0, encoder);
        }
        Place::Function(_) => {
            encoder.bulk(b"unknown");
            encoder.bulk(b"spec");
            encoder.map(0);
        }
    }
}

fn docs(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let wanted: Vec<(&str, &Command)> = if arguments.count() == 2 {
        table::all().map(|command| ("", command)).collect()
    } else {
        arguments.from(2).iter().filter_map(|name| named(name)).collect()
    };
    encoder.map(wanted.len());
    wanted.iter().for_each(|(parent, command)| doc(command, parent, encoder));
    Ok(Step::Done)
}

fn doc(command: &Command, parent: &str, encoder: &mut Encoder<'_>) {
    encoder.bulk(command.full_name(parent).as_bytes());
    let more = usize::from(!command.subcommands.is_empty());
    encoder.map(4 + more);
    let texts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", group_name(command.group)),
        ("complexity", command.complexity),
    ];
    for (name, text) in texts {
        encoder.bulk(name.as_bytes());
        encoder.bulk(text.as_bytes());
    }
    if more > 0 {
        encoder.bulk(b"subcommands");
        encoder.map(command.subcommands.len());
        command.subcommands.iter().for_each(|child| doc(child, command.name, encoder));
    }
}

/// The group in the word of Redis.
fn group_name(group: Group) -> &'static str {
    match group {
        Group::Generic => "generic",
        Group::String => "string",
        Group::Hash => "hash",
        Group::Set => "set",
        Group::SortedSet => "sorted-set",
        Group::List => "list",
        Group::HyperLogLog => "hyperloglog",
        Group::Geo => "geo",
        Group::Connection => "connection",
        Group::Server => "server",
        Group::Cluster => "cluster",
        Group::Coterie => "coterie",
    }
}
