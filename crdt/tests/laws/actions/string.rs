//! Actions on strings: registers, counters, and both in one.

use bytes::Bytes;
use coterie_crdt::operation::{Expire, OpError, Reply, SetCondition, StringOperation};
use coterie_crdt::{Kind, State};

use crate::actions::{Action, Meaning, siblings_of};
use crate::model::{Content, EXPIRY, Effect, Model, Place, REGISTER, View, members};

/// Texts that are assigned; the last is a number.
pub(super) const TEXTS: [&str; 3] = ["x", "y", "7"];
const NUMBER: usize = 2;

pub(super) fn value(n: u8) -> Bytes {
    Bytes::from_static(TEXTS[usize::from(n)].as_bytes())
}

pub(super) fn operation(action: Action, state: &State) -> StringOperation {
    let set =
        |value, condition, expire| StringOperation::Set { value, condition, get: false, expire };
    match action {
        Action::Get => StringOperation::Get,
        Action::Set(n) => set(value(n), SetCondition::Always, Expire::Never),
        Action::SetKeepingExpiry(n) => set(value(n), SetCondition::Always, Expire::Keep),
        Action::SetIfAbsent(n) => set(value(n), SetCondition::IfAbsent, Expire::Never),
        Action::SetNumber => set(value(2), SetCondition::Always, Expire::Never),
        Action::GetDelete => StringOperation::GetDelete,
        Action::Increment(by) => StringOperation::IncrementBy(by),
        Action::IncrementByTenths(by) => StringOperation::IncrementByFloat(tenths(by as f64)),
        Action::GetSiblings => StringOperation::GetSiblings,
        Action::PutOverSiblings(n) => {
            StringOperation::PutSibling { value: value(n), replaces: siblings_of(state) }
        }
        Action::PutBlindly(n) => {
            StringOperation::PutSibling { value: value(n), replaces: coterie_crdt::Context::new() }
        }
        other => unreachable!("{other:?} is not on strings"),
    }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let text_now = text(model, view, REGISTER);
    let put = |n: u8| Effect::Put(REGISTER, Content::Text(TEXTS[usize::from(n)]));
    let beside =
        |n: u8, over| Effect::PutBeside(REGISTER, Content::Text(TEXTS[usize::from(n)]), over);
    let (reply, effects) = match action {
        Action::Get => (Reply::value(text_now), vec![]),
        Action::GetDelete if text_now.is_some() => {
            (Reply::value(text_now), vec![Effect::Remove(REGISTER)])
        }
        Action::GetDelete => (Reply::Nothing, vec![]),
        Action::Set(n) => (Reply::Done, assign(model, view, put(n), false)),
        Action::SetKeepingExpiry(n) => (Reply::Done, assign(model, view, put(n), true)),
        Action::SetIfAbsent(_) if model.exists(view) => (Reply::Nothing, vec![]),
        Action::SetIfAbsent(n) => (Reply::Done, assign(model, view, put(n), false)),
        Action::SetNumber => {
            let put = Effect::Put(REGISTER, Content::Text(TEXTS[NUMBER]));
            (Reply::Done, assign(model, view, put, false))
        }
        Action::Increment(by) => {
            let before = text_now.map_or(Ok(0), |text| integer(&text));
            match before {
                Err(error) => return (Err(error), vec![]),
                Ok(before) => {
                    (Reply::Integer(before + by), vec![Effect::Add(REGISTER, (by * 10) as f64)])
                }
            }
        }
        Action::IncrementByTenths(by) => {
            let before = text_now.map_or(Ok(0.0), |text| in_tenths(&text).ok_or(OpError::NotFloat));
            match before {
                Err(error) => return (Err(error), vec![]),
                Ok(before) => {
                    let sum = tenths(before + by as f64);
                    (Reply::Value(sum), vec![Effect::Add(REGISTER, by as f64)])
                }
            }
        }
        Action::GetSiblings => return (Ok(siblings(model, view)), vec![]),
        Action::PutOverSiblings(n) => {
            let over = model.set_at(view, REGISTER);
            (Reply::Done, vec![Effect::Reset(REGISTER), beside(n, over)])
        }
        Action::PutBlindly(n) if model.set_at(view, REGISTER) == 0 => {
            (Reply::Done, vec![Effect::Reset(REGISTER), beside(n, 0)])
        }
        Action::PutBlindly(n) => (Reply::Done, vec![beside(n, 0)]),
        other => unreachable!("{other:?} is not on strings"),
    };
    (Ok(reply), effects)
}

/// `SET`: whatever else the key holds goes, and with it the expiry unless that is kept.
fn assign(model: &Model, view: &View, put: Effect, keep: bool) -> Vec<Effect> {
    let place = |write: usize| model.writes[write].place;
    let others = members(view.live).any(|write| {
        !matches!(place(write).0, Kind::Register | Kind::Expiry) && model.has(view, place(write))
    });
    let mut effects = Vec::new();
    if others {
        effects.push(Effect::DeleteKey);
    }
    effects.extend([Effect::Reset(REGISTER), put]);
    let deadline = model.deadline(view).filter(|_| model.exists(view));
    let timed = model.exists(view) && model.set_at(view, EXPIRY) != 0;
    if others && keep && deadline.is_some() {
        effects.push(Effect::Put(EXPIRY, Content::Deadline(deadline)));
    } else if !others && !keep && timed {
        effects.push(Effect::Put(EXPIRY, Content::Deadline(None)));
    }
    effects
}

/// What a register or field reads as: the winner, plus what was added where that is a number.
pub(crate) fn text(model: &Model, view: &View, place: Place) -> Option<Bytes> {
    model.has(view, place).then_some(())?;
    let sum = model.sum(view, place);
    let added = model.at(view, place).any(|write| write.content == Content::Present);
    match model.winner(view, place).map(|write| write.content) {
        Some(Content::Text(text)) => {
            let number = in_tenths(text.as_bytes()).filter(|_| added || sum != 0.0);
            Some(number.map_or(Bytes::from_static(text.as_bytes()), |base| tenths(base + sum)))
        }
        _ => Some(tenths(sum)),
    }
}

fn siblings(model: &Model, view: &View) -> Reply {
    let sum = model.sum(view, REGISTER);
    let read = |write: &&crate::model::Write| match write.content {
        Content::Text(text) => {
            let number = in_tenths(text.as_bytes()).filter(|_| sum != 0.0);
            number.map_or(Bytes::from_static(text.as_bytes()), |base| tenths(base + sum))
        }
        _ => unreachable!("registers are assigned texts"),
    };
    let mut values: Vec<Bytes> = model.assigned(view, REGISTER).iter().map(read).collect();
    if values.is_empty() {
        values.extend(text(model, view, REGISTER));
    }
    Reply::Siblings(values, coterie_crdt::Context::new())
}

pub(super) fn integer(text: &[u8]) -> Result<i64, OpError> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(OpError::NotInteger)
}

/// A number in tenths, if the text is one.
fn in_tenths(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((number * 10.0).round())
}

/// Tenths as text.
fn tenths(tenths: f64) -> Bytes {
    // Adding 0 makes 0 of −0.
    Bytes::from((tenths / 10.0 + 0.0).to_string())
}
