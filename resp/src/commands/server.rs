//! Commands about the node.

use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::facts::{Query, Told};
use crate::table::{Category, Command, Flag, Group, Run};

const FLAGS: &[Flag] = &[Flag::Loading, Flag::Stale, Flag::Fast];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];

pub(super) const BASE: Command = Command {
    flags: FLAGS,
    group: Group::Server,
    semantics: "Answered by this node alone.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "config",
        arity: -2,
        flags: ADMIN,
        since: "2.0.0",
        summary: "Shows and sets parameters.",
        subcommands: CONFIG,
        ..BASE
    },
    Command {
        name: "debug",
        arity: -2,
        flags: ADMIN,
        summary: "Refused unless the node is configured to allow it; then it does nothing.",
        run: Run::Desk(|desk, _arguments, encoder| {
            if !desk.door.settings.debug {
                return Err(CommandError::Text(
                    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
                     run it from a local connection, otherwise you need to set this option in the configuration \
                     file, and then restart the server.",
                ));
            }
            encoder.ok();
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "info",
        arity: -1,
        categories: &[Category::Dangerous],
        summary: "Returns facts about the node, by section.",
        run: Run::Desk(super::info::info),
        ..BASE
    },
    Command {
        name: "latency",
        arity: -2,
        flags: ADMIN,
        since: "2.8.13",
        summary: "Events that took long; use the metrics of the node for more.",
        subcommands: LATENCY,
        ..BASE
    },
    Command {
        name: "lolwut",
        arity: -1,
        since: "5.0.0",
        summary: "Returns a greeting.",
        run: Run::Desk(|desk, _arguments, encoder| {
            let version = &desk.door.settings.version;
            encoder.verbatim(&format!("Coterie {version}: a small group that gossips.\n"));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "memory",
        arity: -2,
        flags: &[Flag::Readonly],
        since: "4.0.0",
        summary: "How much memory things take.",
        subcommands: super::object::MEMORY,
        ..BASE
    },
    Command {
        name: "role",
        arity: 1,
        categories: &[Category::Dangerous],
        since: "2.8.12",
        summary: "Returns master: every node takes writes.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.array(3);
            encoder.bulk(b"master");
            encoder.integer(0);
            encoder.array(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "shutdown",
        arity: -1,
        flags: ADMIN,
        summary: "Refused: a node is stopped by what started it.",
        run: Run::Desk(|_desk, _arguments, _encoder| {
            Err(CommandError::Text(
                "ERR SHUTDOWN is not allowed over this door; stop the node by what started it",
            ))
        }),
        ..BASE
    },
    Command {
        name: "slowlog",
        arity: -2,
        flags: ADMIN,
        since: "2.2.12",
        summary: "Commands that took long.",
        subcommands: SLOWLOG,
        ..BASE
    },
    Command {
        name: "time",
        arity: 1,
        since: "2.6.0",
        summary: "Returns the node's time.",
        run: Run::Desk(|desk, _arguments, encoder| {
            let millis = desk.around.wall_millis;
            encoder.array(2);
            encoder.bulk((millis / 1_000).to_string().as_bytes());
            encoder.bulk((millis % 1_000 * 1_000).to_string().as_bytes());
            Ok(Step::Done)
        }),
        ..BASE
    },
];

static CONFIG: &[Command] = &[
    Command {
        name: "get",
        arity: -3,
        flags: ADMIN,
        since: "2.0.0",
        summary: "Returns parameters whose names match.",
        run: Run::Desk(|desk, arguments, encoder| {
            let mut found: Vec<(&str, &str)> = Vec::new();
            for pattern in arguments.from(2) {
                found.extend(desk.door.parameters.matching(pattern));
            }
            found.sort_unstable();
            found.dedup();
            encoder.map(found.len());
            for (name, value) in found {
                encoder.bulk(name.as_bytes());
                encoder.bulk(value.as_bytes());
            }
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        flags: FLAGS,
        since: "5.0.0",
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("config", encoder)),
        ..BASE
    },
    Command {
        name: "resetstat",
        arity: 2,
        flags: ADMIN,
        since: "2.0.0",
        summary: "Begins to count anew.",
        run: Run::Desk(|_desk, _arguments, _encoder| Ok(Step::ask_to(Query::ResetStatistics))),
        ..BASE
    },
    Command {
        name: "rewrite",
        arity: 2,
        flags: ADMIN,
        since: "2.8.0",
        summary: "Refused: a node does not write its own configuration.",
        run: Run::Desk(|_desk, _arguments, _encoder| {
            Err(CommandError::Text("ERR The server is running without a config file"))
        }),
        ..BASE
    },
    Command {
        name: "set",
        arity: -4,
        flags: ADMIN,
        since: "2.0.0",
        summary: "Sets parameters of this node until it stops: timeout and slowlog-log-slower-than.",
        run: Run::Desk(|desk, arguments, _encoder| {
            if arguments.count() % 2 == 1 {
                return Err(CommandError::arity("config|set"));
            }
            let mut trial = desk.door.parameters.clone();
            let mut pairs = Vec::new();
            for at in (2..arguments.count()).step_by(2) {
                let (name, value) = (arguments.lossy(at), arguments.lossy(at + 1));
                let set = trial.set(&name, &value);
                set.map_err(|error| CommandError::Owned(format!("ERR {error}")))?;
                pairs.push((name.into_owned(), value.into_owned()));
            }
            Ok(Step::ask_to(Query::Configure(pairs)))
        }),
        ..BASE
    },
];

static LATENCY: &[Command] = &[
    Command {
        name: "doctor",
        arity: 2,
        flags: ADMIN,
        summary: "Says where to look.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.verbatim("Latency histograms are among the metrics of this node: /metrics.\n");
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("latency", encoder)),
        ..BASE
    },
    Command {
        name: "histogram",
        arity: -2,
        flags: ADMIN,
        since: "7.0.0",
        summary: "Returns no histograms: they are among the metrics of the node.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.map(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "history",
        arity: 3,
        flags: ADMIN,
        summary: "Returns no events.",
        run: Run::Desk(no_events),
        ..BASE
    },
    Command {
        name: "latest",
        arity: 2,
        flags: ADMIN,
        summary: "Returns no events.",
        run: Run::Desk(no_events),
        ..BASE
    },
    Command {
        name: "reset",
        arity: -2,
        flags: ADMIN,
        summary: "Returns 0, as no events are kept.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.integer(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
];

static SLOWLOG: &[Command] = &[
    Command {
        name: "get",
        arity: -2,
        flags: ADMIN,
        summary: "Returns the latest commands that took long.",
        run: Run::Desk(slow),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("slowlog", encoder)),
        ..BASE
    },
    Command {
        name: "len",
        arity: 2,
        flags: ADMIN,
        summary: "Returns how many are remembered.",
        run: Run::Desk(|_desk, _arguments, _encoder| {
            Ok(Step::ask(Query::Slow(usize::MAX), |told, encoder| match told {
                Told::Slow(slow) => encoder.count(slow.len()),
                _ => encoder.integer(0),
            }))
        }),
        ..BASE
    },
    Command {
        name: "reset",
        arity: 2,
        flags: ADMIN,
        summary: "Forgets them.",
        run: Run::Desk(|_desk, _arguments, _encoder| Ok(Step::ask_to(Query::ForgetSlow))),
        ..BASE
    },
];

/// What is accepted, and does nothing here.
pub(super) fn accepted(
    _desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    encoder.ok();
    Ok(Step::Done)
}

fn no_events(
    _desk: &mut Desk<'_>,
    _arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    encoder.array(0);
    Ok(Step::Done)
}

fn slow(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let count = match arguments.get(2) {
        None => 10,
        Some(_) => match arguments.integer(2)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_negative| {
                CommandError::Text("ERR count should be greater than or equal to -1")
            })?,
        },
    };
    Ok(Step::ask(Query::Slow(count), |told, encoder| {
        let Told::Slow(slow) = told else { return encoder.array(0) };
        encoder.array(slow.len());
        for command in slow {
            encoder.array(6);
            encoder.count(command.number);
            encoder.count(command.wall_millis / 1_000);
            encoder.count(command.took.as_micros());
            encoder.array(1);
            encoder.bulk(command.name.as_bytes());
            encoder.bulk(command.address.to_string().as_bytes());
            encoder.bulk(&command.client);
        }
    }))
}
