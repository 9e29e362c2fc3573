//! What became of requests, as errors that say what is known.

use coterie_protocol::gather::{Answer, Done, GatherError};
use coterie_wire::{Answered, Listed, Outcome, Refused, Unavailable};

use crate::encoder::Encoder;
use crate::memory::Memory;
use crate::plan::{KeyShape, KeysShape};

/// Answers a command on one key.
pub(crate) fn encode(outcome: &Outcome, shape: &KeyShape, encoder: &mut Encoder<'_>) {
    match answered(outcome) {
        Ok(answered) => shape.encode(answered, encoder),
        Err(text) => encoder.error(&text),
    }
}

/// What a request was answered, or why it was not done.
pub(crate) fn answered(outcome: &Outcome) -> Result<&Answered, String> {
    match outcome {
        Outcome::Done(answered) => Ok(answered),
        Outcome::Refused(refused) => Err(refused_text(refused)),
        Outcome::Unavailable(unavailable) => Err(unavailable_text(*unavailable)),
        Outcome::Unknown { count, .. } => {
            let (have, need) = (count.have, count.need);
            Err(format!(
                "UNKNOWN {have}/{need} owners are known to hold it: it may take effect, now or later"
            ))
        }
    }
}

/// Why a request was not done; `None` where it was.
pub(crate) fn text(outcome: &Outcome) -> Option<String> {
    answered(outcome).err()
}

/// What the first of a request's operations says that failed.
fn failure(outcome: &Outcome) -> Option<String> {
    let replies = &answered(outcome).ok()?.replies;
    replies.iter().find_map(|reply| reply.as_ref().err()).map(ToString::to_string)
}

/// Clients hold as much memory as they may.
pub(crate) fn refused_for_memory(memory: Memory) -> Refused {
    Refused::NoMemory { bytes_max: memory.most as u64 }
}

/// The same as text.
pub(crate) fn no_memory(memory: Memory) -> String {
    refused_text(&refused_for_memory(memory))
}

/// Why nothing was stored: the code says whether trying again may help.
fn refused_text(refused: &Refused) -> String {
    let code = match refused {
        // The operation's text begins with its own.
        Refused::Key(error) => return error.to_string(),
        Refused::DiskFull => "FULL",
        Refused::Busy | Refused::NoMemory { .. } => "BUSY",
        Refused::NotServing => "LOADING",
        Refused::Expired => "UNAVAILABLE",
        Refused::Empty
        | Refused::NoSuchBucket
        | Refused::Level(_)
        | Refused::NeedsStrong
        | Refused::OnlyRegisters
        | Refused::StrongValue { .. }
        | Refused::TooLarge { .. } => "ERR",
    };
    format!("{code} {refused}")
}

fn unavailable_text(unavailable: Unavailable) -> String {
    format!("UNAVAILABLE {unavailable}")
}

/// Why keys were not listed; `None` where they were.
pub(crate) fn listed_text(listed: &Listed) -> Option<String> {
    match listed {
        Listed::Page(_) => None,
        Listed::Refused(refused) => Some(refused_text(refused)),
        Listed::Unavailable(unavailable) => Some(unavailable_text(*unavailable)),
    }
}

/// Answers a command on several keys.
pub(crate) fn encode_gathered(done: &Done, shape: &KeysShape, encoder: &mut Encoder<'_>) {
    match gathered_text(done, shape) {
        Some(text) => encoder.error(&text),
        None => shape.encode(done, encoder),
    }
}

/// The first thing that went wrong, if any did.
fn gathered_text(done: &Done, shape: &KeysShape) -> Option<String> {
    match &done.answer {
        Ok(Answer::Reply(_)) => None,
        Ok(Answer::Each) => each_text(done, shape),
        Err(error @ (GatherError::Failed(_) | GatherError::NotSortable)) => Some(error.to_string()),
        Err(error @ (GatherError::NotRead(item) | GatherError::NotStored(item))) => {
            Some(item_text(done, *item).unwrap_or_else(|| format!("ERR {error}")))
        }
        Err(GatherError::NotRemoved(item)) => {
            let why = item_text(done, *item).unwrap_or_default();
            Some(format!(
                "UNKNOWN it is stored where it was to go, and perhaps also where it was: {why}"
            ))
        }
    }
}

/// Of requests that stand each for itself: how many were not done, and why the first was not.
fn each_text(done: &Done, shape: &KeysShape) -> Option<String> {
    let failed = done.items.iter().filter(|item| !matches!(item.outcome, Outcome::Done(_)));
    let failed_count = failed.clone().count();
    if let Some(first) = failed.clone().next() {
        let text = text(&first.outcome)?;
        let count = done.items.len();
        return Some(if count == 1 {
            text
        } else {
            format!("{text} ({failed_count} of {count} keys; each of the others was done)")
        });
    }
    if matches!(shape, KeysShape::Raw(_)) {
        return None;
    }
    done.items.iter().find_map(|item| failure(&item.outcome))
}

fn item_text(done: &Done, item: usize) -> Option<String> {
    let outcome = &done.items.get(item)?.outcome;
    text(outcome).or_else(|| failure(outcome))
}
