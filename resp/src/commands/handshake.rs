//! Commands that a client begins with, and ends with.

use bytes::Bytes;

use crate::arguments::{Arguments, CommandError, parse_integer};
use crate::client::{Client, DATABASES};
use crate::desk::{Desk, Step};
use crate::encoder::{Encoder, Protocol};
use crate::table::{Category, Command, Flag, Group, Run};
use crate::users::DEFAULT;

/// The version of Redis whose replies these are.
pub(crate) const REDIS_VERSION: &str = "7.2.4";

const BASE: Command = Command {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast],
    categories: &[Category::Connection],
    group: Group::Connection,
    semantics: "Concerns this connection only.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "auth",
        arity: -2,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth],
        summary: "Says who the client is.",
        run: Run::Desk(auth),
        ..BASE
    },
    Command {
        name: "echo",
        arity: 2,
        flags: &[Flag::Loading, Flag::Stale, Flag::Fast],
        summary: "Returns the given string.",
        run: Run::Desk(|_desk, arguments, encoder| {
            encoder.bulk(arguments.word(1));
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "hello",
        arity: -1,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth],
        since: "6.0.0",
        summary: "Chooses the version of the protocol, and may say who the client is and what it is called.",
        run: Run::Desk(hello),
        ..BASE
    },
    Command {
        name: "ping",
        arity: -1,
        flags: &[Flag::Loading, Flag::Stale, Flag::Fast],
        summary: "Returns PONG, or the given string.",
        run: Run::Desk(ping),
        ..BASE
    },
    Command {
        name: "quit",
        arity: -1,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth],
        summary: "Closes the connection.",
        run: Run::Desk(|_desk, _arguments, encoder| {
            encoder.ok();
            Ok(Step::Close)
        }),
        ..BASE
    },
    Command {
        name: "reset",
        arity: 1,
        flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::NoAuth],
        since: "6.2.0",
        summary: "Sets the connection back to what it was when it was made. It still sees what it wrote.",
        run: Run::Desk(|desk, _arguments, encoder| {
            desk.client.reset(&desk.door.users);
            encoder.simple("RESET");
            Ok(Step::Done)
        }),
        ..BASE
    },
    Command {
        name: "select",
        arity: 2,
        flags: &[Flag::Loading, Flag::Stale, Flag::Fast],
        summary: "Selects one of the buckets db0 to db15.",
        run: Run::Desk(select),
        ..BASE
    },
];

fn ping(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    match arguments.count() {
        1 => encoder.simple("PONG"),
        2 => encoder.bulk(arguments.word(1)),
        _ => return Err(CommandError::arity("ping")),
    }
    Ok(Step::Done)
}

fn select(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    desk.client.select(database(arguments, 1)?);
    encoder.ok();
    Ok(Step::Done)
}

/// The number of a bucket that the word at `index` says.
///
/// # Errors
/// Redis's.
pub(super) fn database(arguments: &Arguments<'_>, index: usize) -> Result<u8, CommandError> {
    let number = u8::try_from(arguments.integer(index)?).ok();
    let number = number.filter(|number| *number < DATABASES);
    number.ok_or(CommandError::Text("ERR DB index is out of range"))
}

const WRONG_PASS: CommandError =
    CommandError::Text("WRONGPASS invalid username-password pair or user is disabled.");

/// Logs in, or leaves things as they are.
fn log_in(desk: &mut Desk<'_>, name: &[u8], secret: &[u8]) -> Result<(), CommandError> {
    let user = desk.door.users.authenticate(name, secret).ok_or(WRONG_PASS)?;
    desk.client.user = Some(user.clone());
    Ok(())
}

fn auth(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    match arguments.count() {
        2 if desk.door.users.without_secret().is_some() => {
            return Err(CommandError::Text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => log_in(desk, DEFAULT.as_bytes(), arguments.word(1))?,
        3 => log_in(desk, arguments.word(1), arguments.word(2))?,
        _ => return Err(CommandError::SYNTAX),
    }
    encoder.ok();
    Ok(Step::Done)
}

fn hello(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let mut protocol = desk.client.protocol;
    if let Some(version) = arguments.get(1) {
        let version = parse_integer(version)
            .ok_or(CommandError::Text("ERR Protocol version is not an integer or out of range"))?;
        protocol = match version {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(CommandError::Text("NOPROTO unsupported protocol version")),
        };
    }
    let (mut credentials, mut name) = (None, None);
    let mut at = 2;
    while at < arguments.count() {
        let left = arguments.count() - at;
        if arguments.is(at, "AUTH") && left > 2 {
            credentials = Some((arguments.word(at + 1), arguments.word(at + 2)));
            at += 3;
        } else if arguments.is(at, "SETNAME") && left > 1 {
            name = Some(client_name(arguments.word(at + 1))?);
            at += 2;
        } else {
            let option = arguments.lossy(at);
            return Err(CommandError::Owned(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if let Some((user, secret)) = credentials {
        log_in(desk, user, secret)?;
    }
    if desk.client.user.is_none() {
        return Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = name {
        desk.client.name = name;
    }
    desk.client.protocol = protocol;
    encoder.speak(protocol);
    encode_hello(desk.client, encoder);
    Ok(Step::Done)
}

fn encode_hello(client: &Client, encoder: &mut Encoder<'_>) {
    encoder.map(7);
    let mut text = |name: &str, value: &str| {
        encoder.bulk(name.as_bytes());
        encoder.bulk(value.as_bytes());
    };
    text("server", "redis");
    text("version", REDIS_VERSION);
    encoder.bulk(b"proto");
    encoder.integer(match client.protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    });
    encoder.bulk(b"id");
    encoder.count(client.id);
    let mut text = |name: &str, value: &str| {
        encoder.bulk(name.as_bytes());
        encoder.bulk(value.as_bytes());
    };
    text("mode", "standalone");
    text("role", "master");
    encoder.bulk(b"modules");
    encoder.array(0);
}

/// A name that a client may give itself: visible characters without spaces. Kept as a copy, as it stays for long.
pub(super) fn client_name(name: &[u8]) -> Result<Bytes, CommandError> {
    if name.len() > 256 {
        return Err(CommandError::Text("ERR a client's name has at most 256 bytes"));
    }
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(Bytes::copy_from_slice(name))
    } else {
        Err(CommandError::Text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}
