//! When single fields of a hash expire.

use bytes::Bytes;
use coterie_crdt::operation::{Condition, Expire, HashOperation, Reply, SetCondition};

use super::field::counted;
use super::{READ, WRITE, plan};
use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::commands::string::{Unit, invalid_expiry};
use crate::encoder::Encoder;
use crate::plan::Plan;
use crate::table::{Command, Flag, Run};

const GIVEN: &str = "O(n) with n the number of fields given";

const SETS: &str = "Replaces the deadlines that it observed and leaves values: a value set concurrently is kept and \
                    expires by it, and of concurrent deadlines the latest by stamp counts. A field that is removed \
                    concurrently stays removed.";
const READS: &str = "Each field is read by itself: of concurrent deadlines the latest by stamp.";

const EXPIRE: Command =
    Command { arity: -6, since: "7.4.0", semantics: SETS, complexity: GIVEN, ..WRITE };

const TIME: Command =
    Command { arity: -5, since: "7.4.0", semantics: READS, complexity: GIVEN, ..READ };

/// The commands.
pub(in crate::commands) static COMMANDS: &[Command] = &[
    Command {
        name: "hexpire",
        summary: "Sets in how many seconds fields of a hash expire.",
        run: Run::Data(|arguments| expire(arguments, "hexpire", Unit::Seconds)),
        ..EXPIRE
    },
    Command {
        name: "hpexpire",
        summary: "Sets in how many milliseconds fields of a hash expire.",
        run: Run::Data(|arguments| expire(arguments, "hpexpire", Unit::Millis)),
        ..EXPIRE
    },
    Command {
        name: "hexpireat",
        summary: "Sets when fields of a hash expire, in seconds since 1970.",
        run: Run::Data(|arguments| expire(arguments, "hexpireat", Unit::SecondsAt)),
        ..EXPIRE
    },
    Command {
        name: "hpexpireat",
        summary: "Sets when fields of a hash expire, in milliseconds since 1970.",
        run: Run::Data(|arguments| expire(arguments, "hpexpireat", Unit::MillisAt)),
        ..EXPIRE
    },
    Command {
        name: "httl",
        summary: "Returns in how many seconds fields of a hash expire.",
        run: Run::Data(|arguments| {
            plan(arguments, HashOperation::TimeToLive(named(arguments)?), seconds)
        }),
        ..TIME
    },
    Command {
        name: "hpttl",
        summary: "Returns in how many milliseconds fields of a hash expire.",
        run: Run::Data(|arguments| {
            plan(arguments, HashOperation::TimeToLive(named(arguments)?), shape::integers)
        }),
        ..TIME
    },
    Command {
        name: "hexpiretime",
        summary: "Returns when fields of a hash expire, in seconds since 1970.",
        run: Run::Data(|arguments| {
            plan(arguments, HashOperation::ExpireTime(named(arguments)?), seconds)
        }),
        ..TIME
    },
    Command {
        name: "hpexpiretime",
        summary: "Returns when fields of a hash expire, in milliseconds since 1970.",
        run: Run::Data(|arguments| {
            plan(arguments, HashOperation::ExpireTime(named(arguments)?), shape::integers)
        }),
        ..TIME
    },
    Command {
        name: "hpersist",
        arity: -5,
        flags: &[Flag::Write, Flag::Fast],
        summary: "Has fields of a hash never expire.",
        semantics: "Drops the deadlines that it observed: one that is set concurrently stays.",
        run: Run::Data(|arguments| {
            plan(arguments, HashOperation::Persist(named(arguments)?), shape::integers)
        }),
        ..EXPIRE
    },
    Command {
        name: "hgetex",
        arity: -5,
        since: "8.0.0",
        flags: &[Flag::Write, Flag::Fast],
        summary: "Returns the values of fields of a hash and sets when they expire.",
        run: Run::Data(get_expire),
        ..EXPIRE
    },
    Command {
        name: "hsetex",
        since: "8.0.0",
        summary: "Sets fields of a hash and when they expire; 1 if the condition held.",
        semantics: "As HSET and HEXPIRE in one: of concurrent assignments the latest by stamp is read, of concurrent \
                    deadlines the latest counts. The condition is judged on what a read quorum shows, so of \
                    concurrent ones several may hold.",
        run: Run::Data(set_expire),
        ..EXPIRE
    },
];

/// The latest time that Redis lets a field expire at, in milliseconds since 1970.
const AT_MAX: i64 = (1 << 46) - 1;

fn expire(arguments: &Arguments<'_>, command: &str, unit: Unit) -> Result<Plan, CommandError> {
    let at = deadline(arguments, 2, unit, command)?;
    let conditions = [
        ("NX", Condition::IfNever),
        ("XX", Condition::IfAny),
        ("GT", Condition::IfLater),
        ("LT", Condition::IfEarlier),
    ];
    let condition = conditions.into_iter().find(|(word, _)| arguments.is(3, word));
    let from = if condition.is_some() { 4 } else { 3 };
    let condition = condition.map_or(Condition::Always, |(_, condition)| condition);
    let fields = counted(arguments, from, "ERR Parameter `numFields` should be greater than 0")?;
    plan(arguments, HashOperation::ExpireAt { fields, at, condition }, shape::integers)
}

/// The fields of a command that names nothing else.
fn named(arguments: &Arguments<'_>) -> Result<Vec<Bytes>, CommandError> {
    counted(arguments, 2, "ERR Number of fields must be a positive integer")
}

fn get_expire(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (mut expire, mut at) = (None, 2);
    while !arguments.is(at, "FIELDS") {
        let unit = unit(arguments, at);
        if unit.is_none() && !arguments.is(at, "PERSIST") {
            return Err(unknown(arguments, at));
        }
        if expire.is_some() {
            return Err(CommandError::Text(
                "ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified",
            ));
        }
        expire = Some(match unit {
            Some(unit) => until(arguments, &mut at, unit, "hgetex")?,
            None => Expire::Never,
        });
        at += 1;
    }
    let fields = listed(arguments, at, 1, "hgetex")?.to_vec();
    let operation = match expire {
        Some(expire) => HashOperation::GetExpire { fields, expire },
        None => HashOperation::Get(fields),
    };
    plan(arguments, operation, shape::values)
}

fn set_expire(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (mut expire, mut condition, mut at) = (None, SetCondition::Always, 2);
    while !arguments.is(at, "FIELDS") {
        let conditions = [("FNX", SetCondition::IfAbsent), ("FXX", SetCondition::IfPresent)];
        let (unit, keeps) = (unit(arguments, at), arguments.is(at, "KEEPTTL"));
        if let Some((_, said)) = conditions.into_iter().find(|(word, _)| arguments.is(at, word)) {
            if condition != SetCondition::Always {
                return Err(CommandError::Text(
                    "ERR Only one of FXX or FNX arguments can be specified",
                ));
            }
            condition = said;
        } else if unit.is_none() && !keeps {
            return Err(unknown(arguments, at));
        } else if expire.is_some() {
            return Err(CommandError::Text(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ));
        } else {
            expire = Some(match unit {
                Some(unit) => until(arguments, &mut at, unit, "hsetex")?,
                None => Expire::Keep,
            });
        }
        at += 1;
    }
    let pairs = listed(arguments, at, 2, "hsetex")?.chunks_exact(2);
    let pairs = pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let expire = expire.unwrap_or(Expire::Never);
    plan(arguments, HashOperation::SetExpire { pairs, condition, expire }, shape::integer)
}

/// What the option at `at` says of the word after it.
fn unit(arguments: &Arguments<'_>, at: usize) -> Option<Unit> {
    let units = [
        ("EX", Unit::Seconds),
        ("PX", Unit::Millis),
        ("EXAT", Unit::SecondsAt),
        ("PXAT", Unit::MillisAt),
    ];
    units.into_iter().find(|(word, _)| arguments.is(at, word)).map(|(_, unit)| unit)
}

/// What the option at `at` asks for; `at` goes on to its number.
fn until(
    arguments: &Arguments<'_>,
    at: &mut usize,
    unit: Unit,
    command: &str,
) -> Result<Expire, CommandError> {
    *at += 1;
    if *at == arguments.count() {
        return Err(CommandError::Text("ERR missing expire time"));
    }
    deadline(arguments, *at, unit, command).map(Expire::At)
}

fn unknown(arguments: &Arguments<'_>, at: usize) -> CommandError {
    if at >= arguments.count() {
        return CommandError::Text("ERR missing FIELDS argument");
    }
    CommandError::Owned(format!("ERR unknown argument: {}", arguments.lossy(at)))
}

/// The words after FIELDS, which is at `at`, and their number; so many of them belong to each field.
fn listed<'a>(
    arguments: &Arguments<'a>,
    at: usize,
    words_each: usize,
    command: &str,
) -> Result<&'a [Bytes], CommandError> {
    let words = arguments.from(at + 2);
    if words.len() < words_each {
        return Err(CommandError::arity(command));
    }
    let count = arguments.integer_as::<u32>(at + 1).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::Text("ERR invalid number of fields"))? as usize;
    if count.checked_mul(words_each) != Some(words.len()) {
        return Err(CommandError::arity(command));
    }
    Ok(words)
}

/// The time that the word at `index` says, in milliseconds since 1970.
fn deadline(
    arguments: &Arguments<'_>,
    index: usize,
    unit: Unit,
    command: &str,
) -> Result<u64, CommandError> {
    let number = arguments.integer(index)?;
    if number < 0 {
        return Err(CommandError::Text("ERR invalid expire time, must be >= 0"));
    }
    let at = unit.at(number, arguments.wall_millis()).filter(|at| *at <= AT_MAX);
    at.and_then(|at| u64::try_from(at).ok()).ok_or_else(|| invalid_expiry(command))
}

/// Milliseconds as seconds, rounded up as Redis does for fields; what is negative says that there are none.
fn seconds(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integers(times) => {
            encoder.array(times.len());
            for millis in times {
                let seconds =
                    if *millis < 0 { *millis } else { millis.saturating_add(999) / 1_000 };
                encoder.integer(seconds);
            }
        }
        _ => shape::unexpected(encoder),
    }
}
