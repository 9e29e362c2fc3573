//! Keys as payloads of bytes, in Redis's own format.

use coterie_crdt::operation::{KeyOperation, Operation, Reply};

use crate::arguments::{Arguments, CommandError};
use crate::commands::shape;
use crate::plan::Plan;
use crate::rdb::{self, Malformed};

pub(super) fn dump(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let operation = Operation::Key(KeyOperation::Contents);
    Ok(Plan::key(arguments.key(1), operation, |reply, encoder| match reply {
        Reply::Contents(None) => encoder.null(),
        Reply::Contents(Some(contents)) => match rdb::dump(contents) {
            Ok(payload) => encoder.bulk(&payload),
            Err(no_form) => encoder.error(&format!("ERR {no_form}")),
        },
        _ => shape::unexpected(encoder),
    }))
}

pub(super) fn restore(arguments: &Arguments<'_>) -> Result<Plan, CommandError> {
    let (mut replace, mut is_absolute) = (false, false);
    // How often or how long ago it was used is not kept here. Redis takes one of both.
    let (mut has_idle_time, mut has_frequency) = (false, false);
    let mut at = 4;
    while at < arguments.count() {
        if arguments.is(at, "REPLACE") {
            replace = true;
        } else if arguments.is(at, "ABSTTL") {
            is_absolute = true;
        } else if arguments.is(at, "IDLETIME") && at + 1 < arguments.count() && !has_frequency {
            at += 1;
            has_idle_time = true;
            if arguments.integer(at)? < 0 {
                return Err(CommandError::Text("ERR Invalid IDLETIME value, must be >= 0"));
            }
        } else if arguments.is(at, "FREQ") && at + 1 < arguments.count() && !has_idle_time {
            at += 1;
            has_frequency = true;
            if !(0..=255).contains(&arguments.integer(at)?) {
                return Err(CommandError::Text("ERR Invalid FREQ value, must be >= 0 and <= 255"));
            }
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    let time = arguments.integer(2)?;
    let time = u64::try_from(time)
        .map_err(|_negative| CommandError::Text("ERR Invalid TTL value, must be >= 0"))?;
    let mut contents = rdb::restore(arguments.word(3)).map_err(|malformed| {
        CommandError::Text(match malformed {
            Malformed::Sealed => "ERR DUMP payload version or checksum are wrong",
            Malformed::Contents => "ERR Bad data format",
            Malformed::TooLarge => "ERR DUMP payload unpacks to more than is allowed",
        })
    })?;
    let begins = if is_absolute { 0 } else { arguments.wall_millis() };
    contents.deadline = (time > 0).then(|| begins.saturating_add(time));
    let store = KeyOperation::Store { contents: Box::new(contents), replace };
    Ok(Plan::key(arguments.key(1), Operation::Key(store), |reply, encoder| match reply {
        Reply::Integer(1) => encoder.ok(),
        Reply::Integer(_) => encoder.error("BUSYKEY Target key name already exists."),
        _ => shape::unexpected(encoder),
    }))
}
