//! `CLIENT`: what the node knows of connections, and what they may be set to.

use std::time::Duration;

use bytes::Bytes;

use super::handshake::client_name;
use crate::arguments::{Arguments, CommandError};
use crate::client::{Replies, database_of};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::facts::{ClientFacts, KillFilter, Query, Told};
use crate::table::{Category, Command, Flag, Group, Run};

const FLAGS: &[Flag] = &[Flag::NoScript, Flag::Loading, Flag::Stale];
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];

const BASE: Command = Command {
    flags: FLAGS,
    categories: &[Category::Connection],
    group: Group::Connection,
    semantics: "Concerns connections of this node only.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[Command {
    name: "client",
    arity: -2,
    since: "2.4.0",
    summary: "What the node knows of connections, and what they may be set to.",
    subcommands: SUBCOMMANDS,
    ..BASE
}];

static SUBCOMMANDS: &[Command] = &[
    Command {
        name: "caching",
        arity: 3,
        since: "6.0.0",
        summary: "Refused, as nothing is tracked.",
        run: Run::Desk(|_desk, _arguments, _encoder| {
            Err(CommandError::Text(
                "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
                 enabled",
            ))
        }),
        ..BASE
    },
    Command {
        name: "getname",
        arity: 2,
        since: "2.6.9",
        summary: "Returns the connection's name.",
        run: Run::Desk(|desk, _arguments, encoder| {
            let name = &desk.client.name;
            encoder.bulk_or_null((!name.is_empty()).then_some(&name[..]));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "getredir",
        arity: 2,
        since: "6.0.0",
        summary: "Returns -1, as nothing is tracked.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.integer(-1);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        since: "5.0.0",
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("client", encoder)),
        ..BASE
    },
    Command {
        name: "id",
        arity: 2,
        since: "5.0.0",
        summary: "Returns the connection's number.",
        run: Run::Desk(|desk, _arguments, encoder| {
            encoder.count(desk.client.id);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "info",
        arity: 2,
        since: "6.2.0",
        summary: "Returns what the node knows of this connection.",
        run: Run::Desk(|desk, _arguments, encoder| {
            encoder.verbatim(&(line(&desk.facts) + "\n"));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "kill",
        arity: -3,
        flags: ADMIN,
        summary: "Closes connections.",
        since: "2.4.0",
        run: Run::Desk(kill),
        ..BASE
    },
    Command {
        name: "list",
        arity: -2,
        flags: ADMIN,
        summary: "Returns what the node knows of all its connections.",
        since: "2.4.0",
        run: Run::Desk(list),
        ..BASE
    },
    Command {
        name: "no-evict",
        arity: 3,
        flags: ADMIN,
        since: "7.0.0",
        summary: "Accepted; no connection is closed because memory runs short.",
        run: Run::Desk(on_or_off),
        ..BASE
    },
    Command {
        name: "no-touch",
        arity: 3,
        since: "7.2.0",
        summary: "Accepted; reads change nothing of a key here.",
        run: Run::Desk(on_or_off),
        ..BASE
    },
    Command {
        name: "pause",
        arity: -3,
        flags: ADMIN,
        since: "3.0.0",
        summary: "Holds all connections of this node back for a time; WRITE holds back reads, too.",
        run: Run::Desk(pause),
        ..BASE
    },
    Command {
        name: "reply",
        arity: 3,
        since: "3.2.0",
        summary: "Says whether the connection wants replies.",
        run: Run::Desk(reply),
        ..BASE
    },
    Command {
        name: "setinfo",
        arity: 4,
        since: "7.2.0",
        summary: "Says what library the client is, and its version.",
        run: Run::Desk(set_info),
        ..BASE
    },
    Command {
        name: "setname",
        arity: 3,
        since: "2.6.9",
        summary: "Gives the connection a name.",
        run: Run::Desk(|desk, arguments, encoder| {
            desk.client.name = client_name(arguments.word(2))?;
            encoder.ok();
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "tracking",
        arity: -3,
        since: "6.0.0",
        summary: "OFF is accepted; nothing is tracked, so ON is refused.",
        run: Run::Desk(|_desk, arguments, encoder| {
            if arguments.is(2, "OFF") {
                encoder.ok();
                return Ok(Step::Done);
            }
            Err(CommandError::Text("ERR client side caching is not supported"))
        }),
        ..BASE
    },
    Command {
        name: "trackinginfo",
        arity: 2,
        since: "6.2.0",
        summary: "Returns that nothing is tracked.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.map(3);
            encoder.bulk(b"flags");
            encoder.set(1);
            encoder.bulk(b"off");
            encoder.bulk(b"redirect");
            encoder.integer(-1);
            encoder.bulk(b"prefixes");
            encoder.array(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "unblock",
        arity: -3,
        flags: ADMIN,
        since: "5.0.0",
        summary: "Returns 0, as no connection ever blocks.",
        run: Run::Desk(|_desk, arguments, encoder| {
            arguments.integer(2)?;
            encoder.integer(0);
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "unpause",
        arity: 2,
        flags: ADMIN,
        since: "6.2.0",
        summary: "Ends a pause.",
        run: Run::Desk(|_desk, _arguments, _encoder| Ok(Step::ask_to(Query::Pause(None)))),
        ..BASE
    },
];

/// `ON` or `OFF`, which here is the same.
fn on_or_off(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    if !arguments.is(2, "ON") && !arguments.is(2, "OFF") {
        return Err(CommandError::SYNTAX);
    }
    encoder.ok();
    Ok(Step::Done)
}

fn pause(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let millis = arguments.integer_as(2);
    let millis =
        millis.ok_or(CommandError::Text("ERR timeout is not an integer or out of range"))?;
    let mode = arguments.count() == 3 || arguments.is(3, "WRITE") || arguments.is(3, "ALL");
    if !mode || arguments.count() > 4 {
        return Err(CommandError::Text("ERR CLIENT PAUSE mode must be WRITE or ALL"));
    }
    let until = desk.around.now + Duration::from_millis(millis);
    Ok(Step::ask_to(Query::Pause(Some(until))))
}

fn reply(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    desk.client.replies = match () {
        () if arguments.is(2, "ON") => {
            encoder.ok();
            Replies::On
        }
        () if arguments.is(2, "OFF") => Replies::Off,
        () if arguments.is(2, "SKIP") && desk.client.replies == Replies::Off => Replies::Off,
        () if arguments.is(2, "SKIP") => Replies::SkipNext,
        () => return Err(CommandError::SYNTAX),
    };
    Ok(Step::Done)
}

fn set_info(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let value = client_name(arguments.word(3)).map_err(|_refused| {
        let option = arguments.lossy(2).to_lowercase();
        CommandError::Owned(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        ))
    })?;
    match () {
        () if arguments.is(2, "LIB-NAME") => desk.client.library_name = value,
        () if arguments.is(2, "LIB-VER") => desk.client.library_version = value,
        () => {
            let option = arguments.lossy(2);
            return Err(CommandError::Owned(format!("ERR Unrecognized option '{option}'")));
        }
    }
    encoder.ok();
    Ok(Step::Done)
}

fn kill(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    if arguments.count() == 3 {
        let address = arguments.lossy(2).into_owned();
        return Ok(Step::ask(Query::Kill(vec![KillFilter::Address(address)]), |told, encoder| {
            match told {
                Told::Count(0) => encoder.error("ERR No such client"),
                _ => encoder.ok(),
            }
        }));
    }
    let (mut filters, mut skip_me) = (Vec::new(), true);
    for at in (2..arguments.count()).step_by(2) {
        let value = arguments.get(at + 1).ok_or(CommandError::SYNTAX)?;
        let number = || arguments.integer_as::<u64>(at + 1);
        let text = String::from_utf8_lossy(value).into_owned();
        filters.push(match () {
            () if arguments.is(at, "ID") => {
                let id = number().filter(|id| *id > 0);
                let text = "ERR client-id should be greater than 0";
                KillFilter::Id(id.ok_or(CommandError::Text(text))?)
            }
            () if arguments.is(at, "ADDR") => KillFilter::Address(text),
            () if arguments.is(at, "LADDR") => KillFilter::LocalAddress(text),
            () if arguments.is(at, "USER") => {
                if desk.door.users.get(value).is_none() {
                    return Err(CommandError::Owned(format!("ERR No such user '{text}'")));
                }
                KillFilter::User(text)
            }
            () if arguments.is(at, "MAXAGE") => {
                let seconds = number().ok_or(CommandError::NOT_INTEGER)?;
                KillFilter::OlderThan(Duration::from_secs(seconds))
            }
            () if arguments.is(at, "SKIPME") => {
                skip_me = match &value.to_ascii_lowercase()[..] {
                    b"yes" => true,
                    b"no" => false,
                    _ => return Err(CommandError::SYNTAX),
                };
                continue;
            }
            () if arguments.is(at, "TYPE") => match &value.to_ascii_lowercase()[..] {
                b"normal" => continue,
                b"master" | b"slave" | b"replica" | b"pubsub" => KillFilter::None,
                _ => {
                    return Err(CommandError::Owned(format!("ERR Unknown client type '{text}'")));
                }
            },
            () => return Err(CommandError::SYNTAX),
        });
    }
    if skip_me {
        filters.push(KillFilter::Not(desk.client.id));
    }
    Ok(Step::ask_count(Query::Kill(filters)))
}

fn list(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let mut ids: Option<Vec<u64>> = None;
    match () {
        () if arguments.count() == 2 => {}
        () if arguments.is(2, "TYPE") && arguments.count() == 4 => {
            match &arguments.word(3).to_ascii_lowercase()[..] {
                b"normal" => {}
                b"master" | b"slave" | b"replica" | b"pubsub" => ids = Some(Vec::new()),
                _ => {
                    let kind = arguments.lossy(3);
                    return Err(CommandError::Owned(format!("ERR Unknown client type '{kind}'")));
                }
            }
        }
        () if arguments.is(2, "ID") && arguments.count() > 3 => {
            let wanted = (3..arguments.count()).map(|at| arguments.integer_as(at));
            let wanted: Option<Vec<u64>> = wanted.collect();
            ids = Some(wanted.ok_or(CommandError::Text("ERR Invalid client ID"))?);
        }
        () => return Err(CommandError::SYNTAX),
    }
    Ok(Step::ask(Query::Clients, move |told, encoder| {
        let Told::Clients(clients) = told else { return encoder.error("ERR no clients were told") };
        let wanted = clients.iter().filter(|c| ids.as_ref().is_none_or(|ids| ids.contains(&c.id)));
        let lines: String = wanted.map(|client| line(client) + "\n").collect();
        encoder.verbatim(&lines);
    }))
}

/// A connection as a line, in the words of Redis.
fn line(client: &ClientFacts) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let database = database_of(&client.bucket);
    let database = database.map_or_else(|| text(&client.bucket), |number| number.to_string());
    format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags=N db={database} sub=0 psub=0 ssub=0 multi=-1 \
         watch=0 qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={} events=r \
         cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local_address,
        text(&client.name),
        client.age.as_secs(),
        client.idle.as_secs(),
        client.input_bytes,
        client.under_way,
        client.output_bytes,
        client.input_bytes + client.output_bytes,
        client.command,
        client.user,
        client.protocol,
        text(&client.library_name),
        text(&client.library_version),
    )
}
