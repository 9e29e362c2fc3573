//! `COTERIE` and `WAIT`: what a connection is promised, and what Redis has no words for.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::ContextToken;
use coterie_crdt::operation::{Operation, Reply, StringOperation};
use coterie_protocol::session::Guarantee;
use coterie_ring::Level;
use coterie_wire::Levels;

use crate::arguments::{Arguments, CommandError};
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::plan::Plan;
use crate::table::{Access, Category, Command, Flag, Group, KeySpec, Run};

const KEY: &[KeySpec] = &[KeySpec::range(2, 2, 1, Access::Read)];

const BASE: Command = Command {
    flags: &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast],
    categories: &[Category::Connection],
    group: Group::Coterie,
    semantics: "Concerns this connection only.",
    ..Command::BASE
};

/// The commands.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "coterie",
        arity: -2,
        summary: "Says what this connection is promised, and shows what lies behind a key.",
        subcommands: SUBCOMMANDS,
        ..BASE
    },
    Command {
        name: "wait",
        arity: 3,
        flags: &[Flag::NoScript],
        group: Group::Generic,
        since: "3.0.0",
        summary: "Waits until so many other owners hold durably what this connection wrote, or the time has passed.",
        semantics: "Returns how many other owners hold every one of its writes for certain; with more members than a \
                    bucket has replicas, only what was known when each was answered.",
        run: Run::Desk(wait),
        ..BASE
    },
];

static SUBCOMMANDS: &[Command] = &[
    Command {
        name: "bucket",
        arity: -2,
        summary: "Selects the bucket of that name, or returns the one that is selected.",
        run: Run::Desk(bucket),
        ..BASE
    },
    Command {
        name: "consistency",
        arity: -2,
        summary: "Sets how many owners take part: COTERIE CONSISTENCY level [read level], DEFAULT as the bucket says.",
        run: Run::Desk(consistency),
        ..BASE
    },
    Command {
        name: "context",
        arity: 3,
        flags: &[Flag::Readonly],
        keys: KEY,
        summary: "Returns the concurrent values of a string, and the token by which a write replaces just these.",
        semantics: "All values that no write has replaced, oldest first.",
        run: Run::Data(context),
        ..BASE
    },
    Command {
        name: "deadline",
        arity: -2,
        summary: "Sets how many milliseconds a command may take, 0 for the node's default, or returns it.",
        run: Run::Desk(deadline),
        ..BASE
    },
    Command {
        name: "explain",
        arity: 3,
        flags: &[Flag::Readonly],
        keys: KEY,
        summary: "Returns where a key lies, who answered for it, and what.",
        semantics: "What the owners said to this one read.",
        run: Run::Desk(|_desk, arguments, _encoder| Ok(Step::Explain(arguments.key(2)))),
        ..BASE
    },
    Command {
        name: "help",
        arity: 2,
        summary: "Lists the subcommands.",
        run: Run::Desk(|_desk, _arguments, encoder| super::introspection::help("coterie", encoder)),
        ..BASE
    },
    Command {
        name: "resolve",
        arity: 5,
        flags: &[Flag::Write, Flag::DenyOom],
        keys: &[KeySpec::range(2, 2, 1, Access::Overwrite)],
        summary: "COTERIE RESOLVE key token value: replaces the values that the token names, and no others.",
        semantics: "Values written since the token was given stay beside it.",
        run: Run::Data(resolve),
        ..BASE
    },
    Command {
        name: "session",
        arity: -2,
        summary: "Sets what this connection sees: DEFAULT its own writes, MONOTONIC also what it has read once.",
        run: Run::Desk(session),
        ..BASE
    },
];

fn wait(
    _desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    _encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    /// As `WAIT n 0` waits for ever in Redis; here somebody else may wait behind it.
    const FOR_EVER: Duration = Duration::from_secs(60);
    let others = arguments.integer(1)?;
    let millis = arguments
        .integer(2)
        .map_err(|_none| CommandError::Text("ERR timeout is not an integer or out of range"))?;
    let millis =
        u64::try_from(millis).map_err(|_negative| CommandError::Text("ERR timeout is negative"))?;
    let others = usize::try_from(others).unwrap_or(0);
    let at_most = if millis == 0 { FOR_EVER } else { Duration::from_millis(millis).min(FOR_EVER) };
    Ok(Step::Wait { others, at_most })
}

fn bucket(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    match arguments.count() {
        2 => encoder.bulk(&desk.client.bucket),
        3 => {
            let name = arguments.word(2);
            if desk.around.view.policy(name).is_none() {
                return Err(CommandError::Text("ERR there is no such bucket"));
            }
            // A copy: what it was cut from may be much larger.
            desk.client.bucket = Bytes::copy_from_slice(name);
            encoder.ok();
        }
        _ => return Err(CommandError::SYNTAX),
    }
    Ok(Step::Done)
}

fn level_name(level: Option<Level>) -> &'static str {
    level.map_or("default", Level::name)
}

fn level(arguments: &Arguments<'_>, index: usize) -> Result<Option<Level>, CommandError> {
    let word = arguments.lossy(index).replace('-', "_");
    if word.eq_ignore_ascii_case("default") {
        return Ok(None);
    }
    Level::named(&word).map(Some).ok_or_else(|| {
        let names = Level::ALL.map(Level::name).join(", ");
        CommandError::Owned(format!("ERR a level is {names} or default"))
    })
}

fn consistency(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    if arguments.count() == 2 {
        let levels = desk.client.levels;
        let policy = desk.around.view.policy(&desk.client.bucket);
        let shown = |asked: Option<Level>, bucket: Option<Level>| level_name(asked.or(bucket));
        encoder.map(2);
        encoder.bulk(b"write");
        encoder.bulk(shown(levels.write, policy.map(|policy| policy.write)).as_bytes());
        encoder.bulk(b"read");
        encoder.bulk(shown(levels.read, policy.map(|policy| policy.read)).as_bytes());
        return Ok(Step::Done);
    }
    let write = level(arguments, 2)?;
    let read = match arguments.count() {
        // A read has to ask somebody.
        3 if write == Some(Level::Any) => Some(Level::One),
        3 => write,
        4 => level(arguments, 3)?,
        _ => return Err(CommandError::SYNTAX),
    };
    if read == Some(Level::Any) {
        return Err(CommandError::Text("ERR a read cannot be at level any"));
    }
    let linearizable = |level| level == Some(Level::Linearizable);
    if linearizable(write) != linearizable(read) {
        return Err(CommandError::Text(
            "ERR linearizable is for reads and writes together: COTERIE CONSISTENCY linearizable",
        ));
    }
    desk.client.levels = Levels { write, read };
    encoder.ok();
    Ok(Step::Done)
}

fn deadline(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    /// Longer than anybody waits, and short enough for requests not to be kept for ever.
    const MILLIS_MAX: u64 = 600_000;
    match arguments.count() {
        2 => {
            let millis = desk.client.time_left(desk.door).as_millis();
            encoder.integer(i64::try_from(millis).unwrap_or(i64::MAX));
        }
        3 => {
            let millis = u64::try_from(arguments.integer(2)?).ok();
            let millis =
                millis.filter(|millis| *millis <= MILLIS_MAX).ok_or(CommandError::Text(
                    "ERR a deadline is from 1 to 600000 milliseconds, or 0 for the node's default",
                ))?;
            desk.client.deadline = (millis > 0).then(|| Duration::from_millis(millis));
            encoder.ok();
        }
        _ => return Err(CommandError::SYNTAX),
    }
    Ok(Step::Done)
}

fn session(
    desk: &mut Desk<'_>,
    arguments: &Arguments<'_>,
    encoder: &mut Encoder<'_>,
) -> Result<Step, CommandError> {
    let guarantee = match () {
        () if arguments.count() == 2 => {
            encoder.bulk(match desk.client.guarantee {
                Guarantee::ReadYourWrites => b"default",
                Guarantee::MonotonicReads => b"monotonic",
            });
            return Ok(Step::Done);
        }
        () if arguments.count() > 3 => return Err(CommandError::SYNTAX),
        () if arguments.is(2, "MONOTONIC") => Guarantee::MonotonicReads,
        () if arguments.is(2, "DEFAULT") => Guarantee::ReadYourWrites,
        () => return Err(CommandError::SYNTAX),
    };
    if guarantee != desk.client.guarantee {
        // What it has written stays promised: the other way round more is kept than has to be.
        let kept = std::mem::take(&mut desk.client.session);
        desk.client.session = kept.with(guarantee);
        desk.client.guarantee = guarantee;
    }
    encoder.ok();
    Ok(Step::Done)
}

fn context(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = vec![Operation::String(StringOperation::GetSiblings)];
    let name = arguments.bytes(2);
    Ok(Plan::key_all(arguments.key(2), operation, move |answered, encoder| {
        match answered.replies.last() {
            Some(Ok(Reply::Siblings(values, context))) => {
                let token = ContextToken::new(&name, answered.seen.1, context.clone());
                encoder.map(2);
                encoder.bulk(b"context");
                encoder.bulk(&token.encode());
                encoder.bulk(b"values");
                encoder.array(values.len());
                values.iter().for_each(|value| encoder.bulk(value));
            }
            Some(Err(error)) => encoder.error(&error.to_string()),
            _ => encoder.null(),
        }
    }))
}

fn resolve(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let replaces = ContextToken::open_of_any_epoch(arguments.word(3), arguments.word(2));
    let replaces = replaces.map_err(|error| CommandError::Owned(format!("ERR {error}")))?;
    let put = StringOperation::PutSibling { value: arguments.bytes(4), replaces };
    Ok(Plan::key(arguments.key(2), Operation::String(put), |_reply, encoder| encoder.ok()))
}
