//! What operations answer, in JSON.

use bytes::Bytes;
use coterie_crdt::operation::{Item, OpError, Reply};
use coterie_crdt::{ContextToken, Score};
use serde_json::{Value as Json, json};

use super::super::problem::Problem;
use super::super::value::{Value, to_header};

fn value(bytes: &Bytes) -> Json {
    serde_json::to_value(Value(bytes.clone())).expect("a value is text or base64")
}

/// A score as a number; infinities, which JSON has not, as text.
fn score(score: Score) -> Json {
    let number = score.get();
    if number == f64::INFINITY {
        json!("inf")
    } else if number == f64::NEG_INFINITY {
        json!("-inf")
    } else {
        json!(number)
    }
}

/// The context token of what was read of a key.
pub(in super::super) fn context_token(
    key: &[u8],
    epoch: u64,
    context: &coterie_crdt::Context,
) -> String {
    to_header(&ContextToken::new(key, epoch, context.clone()).encode())
}

/// A reply, of a key of that name, evaluated under that purge epoch.
pub(in super::super) fn reply_json(reply: &Reply, key: &[u8], epoch: u64) -> Json {
    match reply {
        Reply::Done => json!(true),
        Reply::Nothing => Json::Null,
        Reply::Integer(number) => json!(number),
        Reply::Value(bytes) => value(bytes),
        Reply::Values(values) => values.iter().map(|it| it.as_ref().map(value)).collect(),
        Reply::Pairs(pairs) => {
            pairs.iter().map(|(f, v)| json!({"field": value(f), "value": value(v)})).collect()
        }
        Reply::Entries(entries) => entries
            .iter()
            .map(|(path, v)| {
                json!({"path": path.iter().map(value).collect::<Json>(), "value": value(v)})
            })
            .collect(),
        Reply::Score(number) => score(*number),
        Reply::Scores(scores) => scores.iter().map(|it| it.map(score)).collect(),
        Reply::Scored(members) => {
            members.iter().map(|(m, s)| json!({"member": value(m), "score": score(*s)})).collect()
        }
        Reply::Ranked(rank, number) => json!({"rank": rank, "score": score(*number)}),
        Reply::Integers(numbers) => json!(numbers),
        Reply::Type(shown) => json!(shown.redis_name()),
        Reply::Siblings(values, context) => json!({
            "siblings": values.iter().map(value).collect::<Json>(),
            "context": context_token(key, epoch, context),
        }),
        Reply::Contents(contents) => contents.as_ref().map_or(Json::Null, |contents| {
            let cells: Json = contents
                .cells
                .iter()
                .map(|(address, item)| json!({"path": value(&address.path), "reads": item_json(item)}))
                .collect();
            json!({"cells": cells, "expires_at_millis": contents.deadline})
        }),
        Reply::Registers(registers) => json!(registers),
    }
}

fn item_json(item: &Item) -> Json {
    match item {
        Item::Present => json!(true),
        Item::Value(bytes) => value(bytes),
        Item::Score(number) => score(*number),
        Item::Rank(rank) => json!(rank),
        Item::ValueUntil(bytes, deadline) => {
            json!({"value": value(bytes), "expires_at_millis": deadline})
        }
    }
}

/// An operation that failed and changed nothing.
pub(in super::super) fn error_json(error: &OpError) -> Json {
    serde_json::to_value(Problem::from(error)).expect("a problem is text")
}
