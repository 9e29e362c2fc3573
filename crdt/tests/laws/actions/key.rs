//! Actions on a key whatever its type.

use coterie_crdt::operation::{Condition, KeyOperation, Reply};

use crate::actions::{Action, Meaning, shown};
use crate::model::{Content, EXPIRY, Effect, Model, View};

pub(super) fn operation(action: Action) -> KeyOperation {
    match action {
        Action::Delete => KeyOperation::Delete,
        Action::Exists => KeyOperation::Exists,
        Action::Type => KeyOperation::Type,
        Action::ExpireAt(at) => KeyOperation::ExpireAt { at, condition: Condition::Always },
        Action::ExpireTime => KeyOperation::ExpireTime,
        Action::Persist => KeyOperation::Persist,
        other => unreachable!("{other:?} is not on any key"),
    }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View, now: u64) -> Meaning {
    let exists = model.exists(view);
    let deadline = model.deadline(view);
    let (reply, effects) = match action {
        Action::Delete if exists => (Reply::flag(true), vec![Effect::DeleteKey]),
        Action::Exists => (Reply::flag(exists), vec![]),
        Action::Type => (Reply::Type(shown(model, view)), vec![]),
        Action::ExpireAt(at) if exists && at <= now => (Reply::flag(true), vec![Effect::DeleteKey]),
        Action::ExpireAt(at) if exists => {
            let put = Effect::Put(EXPIRY, Content::Deadline(Some(at)));
            (Reply::flag(true), vec![put])
        }
        Action::ExpireTime => {
            let millis = deadline.map_or(-1, |at| i64::try_from(at).expect("deadlines are small"));
            (Reply::Integer(if exists { millis } else { -2 }), vec![])
        }
        Action::Persist if exists && deadline.is_some() => {
            (Reply::flag(true), vec![Effect::Put(EXPIRY, Content::Deadline(None))])
        }
        _ => (Reply::flag(false), vec![]),
    };
    (Ok(reply), effects)
}
