//! The sequential specification of mergeable keys: a set, a counter, a register and a flag.

use std::collections::{BTreeMap, BTreeSet};

use super::{Specification, Timed};
use crate::{Action, KeyHistory, Level, Name, Part};

/// A key's elements and values, numbered, as far as anything was read of them.
pub(super) struct Mergeable {
    elements: usize,
}

#[derive(Clone, PartialEq)]
pub(super) struct State {
    /// A bit for each element.
    elements: Vec<u64>,
    counter: i128,
    register: Option<usize>,
    flag: bool,
}

#[derive(Clone)]
pub(super) enum Call {
    Add(usize),
    Remove(usize),
    Increment(i64),
    Assign(usize),
    Raise(bool),
    /// What was shown of the parts that were read, elements left out aside.
    Read {
        elements: Option<Vec<u64>>,
        rest: Rest,
        left_out: Vec<u64>,
    },
    /// Shows what nobody wrote, which no state does.
    ReadPhantom,
}

#[derive(Clone)]
pub(super) struct Rest {
    counter: Option<i64>,
    register: Option<Vec<usize>>,
    flag: Option<bool>,
}

/// The specification of a key and its calls.
pub(super) fn of(key: &KeyHistory) -> (Mergeable, Vec<Timed<Call>>) {
    let mut numbers = Numbers::default();
    let mut shown = Shown::default();
    for operation in key.operations.iter().filter(|operation| operation.is_possible()) {
        match &operation.action {
            Action::Add { element } | Action::Remove { element } => numbers.elements.add(element),
            Action::Assign { value } => numbers.values.add(value),
            _ => {}
        }
        if let Some((_, view)) = operation.shown() {
            shown.elements.extend(&view.elements);
            shown.values.extend(&view.register);
        }
    }
    let mut calls = Vec::new();
    for (at, operation) in key.operations.iter().enumerate() {
        let binding = operation.level == Level::Linearizable && operation.is_done();
        let Some(until) = operation.effective_until() else { continue };
        let call = match &operation.action {
            // What was not acknowledged and nobody saw may as well not have happened.
            Action::Add { element } if !binding && !shown.elements.contains(element) => continue,
            Action::Assign { value } if !binding && !shown.values.contains(value) => continue,
            Action::Add { element } => Call::Add(numbers.elements.0[element]),
            Action::Remove { element } => Call::Remove(numbers.elements.0[element]),
            Action::Assign { value } => Call::Assign(numbers.values.0[value]),
            Action::Increment { by } => Call::Increment(*by),
            Action::Enable => Call::Raise(true),
            Action::Disable => Call::Raise(false),
            Action::Read(_) if binding => match operation.shown() {
                Some((part, view)) => numbers.read(part, view),
                None => continue,
            },
            Action::Read(_) | Action::Delete | Action::Strong(_) => continue,
        };
        let returned = binding.then_some(until);
        calls.push(Timed { at, invoked: operation.invoked, returned, call });
    }
    (Mergeable { elements: numbers.elements.0.len() }, calls)
}

#[derive(Default)]
struct Shown<'a> {
    elements: BTreeSet<&'a Name>,
    values: BTreeSet<&'a Name>,
}

#[derive(Default)]
struct Numbering<'a>(BTreeMap<&'a Name, usize>);

impl<'a> Numbering<'a> {
    fn add(&mut self, name: &'a Name) {
        let next = self.0.len();
        self.0.entry(name).or_insert(next);
    }
}

#[derive(Default)]
struct Numbers<'a> {
    elements: Numbering<'a>,
    values: Numbering<'a>,
}

impl Numbers<'_> {
    fn read(&self, part: Part, view: &crate::View) -> Call {
        let asked = |which| part == which || part == Part::Whole;
        let mut elements = vec![0; words(self.elements.0.len())];
        for element in &view.elements {
            let Some(&number) = self.elements.0.get(element) else { return Call::ReadPhantom };
            set(&mut elements, number, true);
        }
        let values = view.register.iter().map(|value| self.values.0.get(value).copied());
        let Some(values) = values.collect::<Option<Vec<usize>>>() else {
            return Call::ReadPhantom;
        };
        let rest = Rest {
            counter: asked(Part::Counter).then_some(view.counter),
            register: asked(Part::Register).then_some(values),
            flag: asked(Part::Flag).then_some(view.flag),
        };
        let left_out = vec![0; elements.len()];
        Call::Read { elements: asked(Part::Set).then_some(elements), rest, left_out }
    }
}

fn words(bits: usize) -> usize {
    bits.div_ceil(64)
}

fn set(bits: &mut [u64], number: usize, on: bool) {
    let bit = 1 << (number % 64);
    if on {
        bits[number / 64] |= bit;
    } else {
        bits[number / 64] &= !bit;
    }
}

impl Specification for Mergeable {
    type State = State;
    type Call = Call;

    fn initial(&self) -> State {
        let elements = vec![0; words(self.elements)];
        State { elements, counter: 0, register: None, flag: false }
    }

    fn starts(&self, calls: &[Timed<Call>]) -> Vec<State> {
        let mut touched = BTreeSet::new();
        // A value that no call knows stands for all others.
        let mut values = BTreeSet::from([None, Some(usize::MAX >> 2)]);
        for timed in calls {
            match &timed.call {
                Call::Add(element) | Call::Remove(element) => drop(touched.insert(*element)),
                Call::Assign(value) => drop(values.insert(Some(*value))),
                Call::Read { elements, rest, .. } => {
                    let shown = elements.iter().flatten().enumerate();
                    touched.extend(shown.flat_map(|(word, bits)| {
                        (0..64)
                            .filter(move |bit| bits >> bit & 1 == 1)
                            .map(move |bit| 64 * word + bit)
                    }));
                    values.extend(rest.register.iter().flatten().copied().map(Some));
                    if rest.counter.is_some() {
                        return Vec::new();
                    }
                }
                Call::Increment(_) | Call::Raise(_) | Call::ReadPhantom => {}
            }
        }
        if touched.len() > 4 || values.len() > 64 {
            return Vec::new();
        }
        let mut starts = vec![self.initial()];
        for element in touched {
            let mut with = starts.clone();
            with.iter_mut().for_each(|state| set(&mut state.elements, element, true));
            starts.extend(with);
        }
        let flags =
            starts.into_iter().flat_map(|s| [false, true].map(|flag| State { flag, ..s.clone() }));
        flags
            .flat_map(|s| values.iter().map(move |&register| State { register, ..s.clone() }))
            .collect()
    }

    fn step(&self, state: &State, call: &Call) -> Option<State> {
        if let Call::Read { elements, rest, left_out } = call {
            return shows(state, elements.as_deref(), rest, left_out).then(|| state.clone());
        }
        let mut next = state.clone();
        match call {
            Call::Add(element) => set(&mut next.elements, *element, true),
            Call::Remove(element) => set(&mut next.elements, *element, false),
            Call::Increment(by) => next.counter += i128::from(*by),
            Call::Assign(value) => next.register = Some(*value),
            Call::Raise(up) => next.flag = *up,
            Call::Read { .. } | Call::ReadPhantom => return None,
        }
        Some(next)
    }

    fn is_read(&self, call: &Call) -> bool {
        matches!(call, Call::Read { .. } | Call::ReadPhantom)
    }

    fn unanswered(&self, call: &Call) -> Option<Call> {
        (!self.is_read(call)).then(|| call.clone())
    }

    fn parts(&self) -> usize {
        self.elements
    }

    fn project(&self, call: &Call, left_out: &dyn Fn(usize) -> bool) -> Option<Call> {
        match call {
            Call::Add(element) | Call::Remove(element) => {
                (!left_out(*element)).then(|| call.clone())
            }
            Call::Read { elements: Some(elements), rest, left_out: before } => {
                let (mut elements, mut mask) = (elements.clone(), before.clone());
                for element in (0..self.elements).filter(|&element| left_out(element)) {
                    set(&mut elements, element, false);
                    set(&mut mask, element, true);
                }
                let rest = rest.clone();
                Some(Call::Read { elements: Some(elements), rest, left_out: mask })
            }
            _ => Some(call.clone()),
        }
    }

    fn encode(&self, state: &State, words: &mut Vec<u64>) {
        words.extend(&state.elements);
        let counter = state.counter.to_le_bytes();
        let (low, high) = counter.split_at(8);
        words.extend(
            [low, high]
                .map(|half| half.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        );
        words.push(state.register.map_or(0, |value| value as u64 + 1) << 1 | u64::from(state.flag));
    }
}

fn shows(state: &State, elements: Option<&[u64]>, rest: &Rest, left_out: &[u64]) -> bool {
    let mut held = state.elements.iter().zip(left_out).map(|(held, left_out)| held & !left_out);
    elements.is_none_or(|shown| shown.iter().all(|shown| held.next() == Some(*shown)))
        && rest.counter.is_none_or(|shown| i128::from(shown) == state.counter)
        && rest.register.as_ref().is_none_or(|shown| shown.as_slice() == state.register.as_slice())
        && rest.flag.is_none_or(|shown| shown == state.flag)
}
