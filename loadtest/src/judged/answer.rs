//! Actions of the checkers in the words of Redis, and its replies in theirs.

use coterie_check::{Action, Answer, Before, Condition, Name, Part, Strong, View};

use crate::reply::Reply;

/// What a key holds; its name says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Set,
    Counter,
    Register,
}

impl Held {
    /// By a key's name, which is `check-RUN-HELD-NUMBER`.
    pub(crate) fn by(key: &Name) -> Held {
        let word = key.as_bytes().split(|byte| *byte == b'-').nth(2).unwrap_or_default();
        match word {
            b"set" | b"linearizable" => Held::Set,
            b"counter" => Held::Counter,
            _ => Held::Register,
        }
    }
}

/// An action as a command.
pub(crate) fn words(key: &Name, action: &Action) -> Vec<Vec<u8>> {
    let key = key.as_bytes();
    let words: Vec<&[u8]> = match action {
        Action::Add { element } => vec![b"SADD", key, element.as_bytes()],
        Action::Remove { element } => vec![b"SREM", key, element.as_bytes()],
        Action::Increment { by } => {
            return vec![b"INCRBY".to_vec(), key.to_vec(), by.to_string().into_bytes()];
        }
        Action::Assign { value } => vec![b"SET", key, value.as_bytes()],
        Action::Strong(Strong::Set { value, condition: Condition::IfAbsent }) => {
            vec![b"SET", key, value.as_bytes(), b"NX"]
        }
        Action::Strong(Strong::Set { value, .. }) => vec![b"SET", key, value.as_bytes()],
        Action::Delete | Action::Strong(Strong::Delete) => vec![b"DEL", key],
        Action::Read(Part::Set) => vec![b"SMEMBERS", key],
        _ => vec![b"GET", key],
    };
    words.into_iter().map(<[u8]>::to_vec).collect()
}

/// A reply in the words of the checkers; nothing if it makes no sense.
pub(crate) fn answer(action: &Action, reply: &Reply<'_>) -> Option<Answer> {
    let mut view = View::default();
    match (action, reply) {
        (Action::Read(Part::Set), Reply::Array(members)) => {
            for member in members {
                let Reply::Bulk(member) = member else { return None };
                view.elements.push(Name::from(*member));
            }
        }
        (Action::Read(Part::Counter), Reply::Null) => {}
        (Action::Read(Part::Counter), Reply::Bulk(text)) => {
            view.counter = std::str::from_utf8(text).ok()?.parse().ok()?;
        }
        (Action::Read(Part::Register), Reply::Null) => {}
        (Action::Read(Part::Register), Reply::Bulk(value)) => {
            view.register.push(Name::from(*value));
        }
        (Action::Strong(Strong::Get), Reply::Null) => return Some(Answer::Held(None)),
        (Action::Strong(Strong::Get), Reply::Bulk(value)) => {
            return Some(Answer::Held(Some(Name::from(*value))));
        }
        (Action::Strong(Strong::Set { .. }), Reply::Null | Reply::Status(_)) => {
            let applied = *reply != Reply::Null;
            return Some(Answer::Set { applied, before: Before::NotAsked });
        }
        (Action::Strong(Strong::Delete), Reply::Integer(count)) => {
            return Some(Answer::Deleted(*count > 0));
        }
        (Action::Read(_) | Action::Strong(_), _) => return None,
        (_, Reply::Status(_) | Reply::Integer(_)) => return Some(Answer::Stored),
        _ => return None,
    }
    Some(Answer::Shown(view))
}
