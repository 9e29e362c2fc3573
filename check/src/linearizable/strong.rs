//! The sequential specification of a strong bucket's key: one value, or none.

use std::collections::BTreeSet;

use super::{Specification, Timed};
use crate::{Action, Answer, Before, Condition, Name, Operation, Strong};

/// A compare-and-set register.
pub(super) struct Register;

/// An action, with its answer if there was one.
#[derive(Clone)]
pub(super) struct Call {
    action: Strong,
    answer: Option<Answer>,
}

/// The call of an operation, unless it cannot have had an effect and says nothing.
pub(super) fn call(at: usize, operation: &Operation) -> Option<Timed<Call>> {
    let Action::Strong(action) = &operation.action else { return None };
    let until = operation.effective_until()?;
    let call = Call { action: action.clone(), answer: operation.answer().cloned() };
    let returned = operation.is_done().then_some(until);
    (returned.is_some() || call.action != Strong::Get).then_some(Timed {
        at,
        invoked: operation.invoked,
        returned,
        call,
    })
}

impl Specification for Register {
    type State = Option<Name>;
    type Call = Call;

    fn initial(&self) -> Option<Name> {
        None
    }

    fn starts(&self, calls: &[Timed<Call>]) -> Vec<Option<Name>> {
        // A value that no call knows stands for all others, as long as nobody counts.
        let mut starts = BTreeSet::from([None, Some(Name::from("\0another"))]);
        for timed in calls {
            match &timed.call.action {
                Strong::Increment { .. } => return Vec::new(),
                Strong::Set { value, condition } => {
                    starts.insert(Some(value.clone()));
                    if let Condition::IfEqual(expected) = condition {
                        starts.insert(Some(expected.clone()));
                    }
                }
                Strong::Get | Strong::GetDelete | Strong::Delete => {}
            }
            if let Some(
                Answer::Held(Some(value)) | Answer::Set { before: Before::Value(value), .. },
            ) = &timed.call.answer
            {
                starts.insert(Some(value.clone()));
            }
        }
        starts.into_iter().collect()
    }

    fn step(&self, state: &Option<Name>, call: &Call) -> Option<Option<Name>> {
        let (next, answer) = apply(state, call);
        call.answer.as_ref().is_none_or(|given| *given == answer).then_some(next)
    }

    fn is_read(&self, call: &Call) -> bool {
        let read = call.action == Strong::Get;
        read || matches!(
            call.answer,
            Some(
                Answer::Set { applied: false, .. }
                    | Answer::NotANumber
                    | Answer::Deleted(false)
                    | Answer::Held(None)
            )
        )
    }

    fn unanswered(&self, call: &Call) -> Option<Call> {
        let action = call.action.clone();
        (action != Strong::Get).then_some(Call { action, answer: None })
    }

    fn parts(&self) -> usize {
        0
    }

    fn project(&self, call: &Call, _left_out: &dyn Fn(usize) -> bool) -> Option<Call> {
        Some(call.clone())
    }

    fn encode(&self, state: &Option<Name>, words: &mut Vec<u64>) {
        let Some(value) = state else { return };
        words.push(value.as_bytes().len() as u64);
        for chunk in value.as_bytes().chunks(8) {
            words.push(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
}

/// What a call does, and what it answers where the client asked for all.
fn apply(state: &Option<Name>, call: &Call) -> (Option<Name>, Answer) {
    match &call.action {
        Strong::Get => (state.clone(), Answer::Held(state.clone())),
        Strong::GetDelete => (None, Answer::Held(state.clone())),
        Strong::Delete => (None, Answer::Deleted(state.is_some())),
        Strong::Set { value, condition } => {
            let applied = match condition {
                Condition::Always => true,
                Condition::IfAbsent => state.is_none(),
                Condition::IfPresent => state.is_some(),
                Condition::IfEqual(expected) => state.as_ref() == Some(expected),
            };
            let next = if applied { Some(value.clone()) } else { state.clone() };
            let before = match (state, &call.answer) {
                (_, Some(Answer::Set { before: Before::NotAsked, .. })) => Before::NotAsked,
                (None, _) => Before::Nothing,
                (Some(value), _) => Before::Value(value.clone()),
            };
            (next, Answer::Set { applied, before })
        }
        Strong::Increment { by } => {
            let sum = match state {
                None => Some(*by),
                Some(value) => number(value).and_then(|held| held.checked_add(*by)),
            };
            match sum {
                Some(sum) => (Some(Name::from(sum.to_string().as_str())), Answer::Number(sum)),
                None => (state.clone(), Answer::NotANumber),
            }
        }
    }
}

/// The number that a value is, if it is written as Redis writes numbers.
fn number(value: &Name) -> Option<i64> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
