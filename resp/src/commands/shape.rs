//! Shapes that many commands have, and what is read of a command on several keys.

use bytes::Bytes;
use coterie_crdt::Score;
use coterie_crdt::operation::{OpError, Operation, Reply};
use coterie_protocol::gather::{Answer, Done};
use coterie_wire::{Key, Outcome};

use crate::arguments::CommandError;
use crate::encoder::{Encoder, Protocol};
use crate::plan::Plan;

/// `OK`, whatever was answered.
pub(super) fn ok(_reply: &Reply, encoder: &mut Encoder<'_>) {
    encoder.ok();
}

/// A count, length or sum.
pub(super) fn integer(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integer(value) => encoder.integer(*value),
        _ => unexpected(encoder),
    }
}

/// An index or rank, or nothing.
pub(super) fn integer_or_null(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integer(value) => encoder.integer(*value),
        Reply::Nothing => encoder.null(),
        _ => unexpected(encoder),
    }
}

/// Whether a conditional write was done: 1 or 0.
pub(super) fn was_done(reply: &Reply, encoder: &mut Encoder<'_>) {
    encoder.integer(i64::from(*reply == Reply::Done));
}

/// The one flag or number of a list of one.
pub(super) fn only_integer(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integers(values) => encoder.integer(values.first().copied().unwrap_or(0)),
        _ => unexpected(encoder),
    }
}

/// Numbers.
pub(super) fn integers(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Integers(values) => {
            encoder.array(values.len());
            values.iter().for_each(|value| encoder.integer(*value));
        }
        _ => unexpected(encoder),
    }
}

/// A value, or nothing.
pub(super) fn value(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Value(value) => encoder.bulk(value),
        Reply::Nothing => encoder.null(),
        _ => unexpected(encoder),
    }
}

/// The one value of a list of at most one, or nothing.
pub(super) fn only_value(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Values(values) => match values.first() {
            Some(value) => encoder.bulk_or_null(value.as_deref()),
            None => encoder.null(),
        },
        _ => unexpected(encoder),
    }
}

/// Values, with nothing where none is; no array where there is no key to have any.
pub(super) fn values(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Values(values) => {
            encoder.array(values.len());
            values.iter().for_each(|value| encoder.bulk_or_null(value.as_deref()));
        }
        Reply::Nothing => encoder.null_array(),
        _ => unexpected(encoder),
    }
}

/// Distinct values in no order.
pub(super) fn members(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Values(values) => {
            encoder.set(values.len());
            values.iter().for_each(|value| encoder.bulk_or_null(value.as_deref()));
        }
        _ => unexpected(encoder),
    }
}

/// A score, or nothing.
pub(super) fn score(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Score(score) => encoder.double(score.get()),
        Reply::Nothing => encoder.null(),
        _ => unexpected(encoder),
    }
}

/// The names of scored members.
pub(super) fn scored_names(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Scored(members) => {
            encoder.bulks(members.iter().map(|(member, _)| member));
        }
        _ => unexpected(encoder),
    }
}

/// Members with their scores: pairs in RESP3, one after the other in RESP2.
pub(super) fn scored(reply: &Reply, encoder: &mut Encoder<'_>) {
    match reply {
        Reply::Scored(members) => {
            pairs(encoder, members, |encoder, score| encoder.double(score.get()));
        }
        _ => unexpected(encoder),
    }
}

/// Members each with what is beside it: pairs in RESP3, one after the other in RESP2.
pub(super) fn pairs<T>(
    encoder: &mut Encoder<'_>,
    pairs: &[(Bytes, T)],
    beside: impl Fn(&mut Encoder<'_>, &T),
) {
    let nested = encoder.protocol() == Protocol::Resp3;
    encoder.array(if nested { pairs.len() } else { 2 * pairs.len() });
    for (name, other) in pairs {
        if nested {
            encoder.array(2);
        }
        encoder.bulk(name);
        beside(encoder, other);
    }
}

/// Members with their scores, in pairs whatever the protocol.
pub(super) fn scored_pairs(encoder: &mut Encoder<'_>, members: &[(Bytes, Score)]) {
    encoder.array(members.len());
    for (member, score) in members {
        encoder.array(2);
        encoder.bulk(member);
        encoder.double(score.get());
    }
}

/// What was answered is not what the operation answers: another version of the store said it.
pub(super) fn unexpected(encoder: &mut Encoder<'_>) {
    encoder.error("ERR the store answered something that this command cannot show");
}

/// What Redis complains about only where there is a key: the key is looked at with `probe`, and where that finds
/// nothing the answer is `missing`.
pub(super) fn error_if_there(
    key: Key,
    probe: Operation,
    error: CommandError,
    missing: fn(&mut Encoder<'_>),
) -> Plan {
    Plan::key_with(key, vec![probe], move |reply, encoder| {
        if is_nothing(reply) { missing(encoder) } else { encoder.error(error.text()) }
    })
}

/// Whether an operation that reads or pops found nothing.
pub(super) fn is_nothing(reply: &Reply) -> bool {
    match reply {
        Reply::Nothing => true,
        Reply::Values(values) => values.is_empty(),
        Reply::Pairs(pairs) => pairs.is_empty(),
        Reply::Scored(members) => members.is_empty(),
        _ => false,
    }
}

/// What the last operation of each request answered, in the order in which they were asked.
pub(super) fn each(done: &Done) -> impl Iterator<Item = Result<&Reply, OpError>> {
    done.items.iter().filter_map(|item| match &item.outcome {
        Outcome::Done(answered) => {
            answered.replies.last().map(|reply| reply.as_ref().map_err(|error| *error))
        }
        Outcome::Refused(_) | Outcome::Unavailable(_) | Outcome::Unknown { .. } => None,
    })
}

/// The sum of what each request answered.
pub(super) fn sum(done: &Done, encoder: &mut Encoder<'_>) {
    let mut sum = 0;
    for reply in each(done) {
        match reply {
            Ok(Reply::Integer(value)) => sum += value,
            _ => return unexpected(encoder),
        }
    }
    encoder.integer(sum);
}

/// The one reply of a command on several keys, in the shape of a reply.
pub(super) fn answer(
    done: &Done,
    encoder: &mut Encoder<'_>,
    shape: impl Fn(&Reply, &mut Encoder<'_>),
) {
    match &done.answer {
        Ok(Answer::Reply(reply)) => shape(reply, encoder),
        Ok(Answer::Each) | Err(_) => unexpected(encoder),
    }
}
