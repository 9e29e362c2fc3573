//! What is promised of each type, straight from its definition: who observed whom, and nothing else.
//!
//! Only on histories in which whoever received an event had received what that depends on, and for all
//! of their events together.

use coterie_crdt::Kind;

use crate::actions::{Action, text};
use crate::model::{Model, Place, REGISTER};
use crate::subject::{Move, elements};
use crate::violation::{Violation, ensure};

/// Whether event `of` was observed by an event for which `by` holds.
fn observed(model: &Model, moves: &[Move], of: usize, by: impl Fn(Action) -> bool) -> bool {
    let mut events = model.events.iter().zip(moves);
    events.any(|(event, m)| event.received & (1 << of) != 0 && by(m.action))
}

/// Indexes of the events for which `which` holds.
fn events(moves: &[Move], which: impl Fn(Action) -> bool) -> impl Iterator<Item = usize> {
    moves.iter().enumerate().filter(move |(_, m)| which(m.action)).map(|(index, _)| index)
}

fn adds(action: Action, n: u8) -> bool {
    match action {
        Action::Add(_, m)
        | Action::Store(_, m)
        | Action::FieldSet(m, _)
        | Action::FieldIncrement(m, _)
        | Action::NestedSet(m, _)
        | Action::NestedIncrement(m, _)
        | Action::ScoreSet(m, _)
        | Action::ScoreIncrement(m, _) => m == n,
        Action::AddBoth(_) => true,
        _ => false,
    }
}

fn removes(action: Action, n: u8) -> bool {
    match action {
        Action::Remove(_, m)
        | Action::FieldRemove(m)
        | Action::NestedRemove(m)
        | Action::ScoreRemove(m) => m == n,
        Action::Delete | Action::RemoveBoth(_) | Action::Store(..) | Action::SubmapRemove => true,
        _ => false,
    }
}

fn is(law: &'static str, place: Place, model: &Model, expected: bool) -> Result<(), Violation> {
    let view = model.view((1 << model.events.len()) - 1);
    ensure(model.has(&view, place) == expected, law, || format!("{place:?}"))
}

/// An element is there if some write of it was observed by no removal.
fn writes_win(kind: Kind, model: &Model, moves: &[Move]) -> Result<(), Violation> {
    for (place, n) in elements(kind).into_iter().zip([0, 1]) {
        let there = events(moves, |action| of(action, kind) && adds(action, n))
            .any(|add| !observed(model, moves, add, |by| of(by, kind) && removes(by, n)));
        is("a write wins over removals that did not observe it", place, model, there)?;
    }
    Ok(())
}

/// Whether an action is on elements of a kind: a map has its fields and what is deeper.
fn of(action: Action, kind: Kind) -> bool {
    match action {
        Action::FieldSet(..) | Action::FieldIncrement(..) | Action::FieldRemove(_) => {
            kind == Kind::Field
        }
        Action::NestedSet(..) | Action::NestedIncrement(..) | Action::NestedRemove(_) => {
            kind == Kind::Nested
        }
        _ => true,
    }
}

pub(crate) fn add_wins_set(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    writes_win(Kind::Member, model, moves)
}

pub(crate) fn grow_only_set(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    writes_win(Kind::GrowOnlyMember, model, moves)
}

pub(crate) fn hash(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    writes_win(Kind::Field, model, moves)
}

/// Removing a submap removes what was observed under it.
pub(crate) fn map(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    writes_win(Kind::Nested, model, moves)
}

pub(crate) fn sorted_set(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    writes_win(Kind::Scored, model, moves)
}

/// A member is there if it was added, and every removal of it was observed by another write to it.
pub(crate) fn remove_wins_set(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    for (place, n) in elements(Kind::GuardedMember).into_iter().zip([0, 1]) {
        let writes = |action| adds(action, n) || removes(action, n);
        let whole = |action| matches!(action, Action::Delete | Action::Store(..));
        let last = |event: &usize| !observed(model, moves, *event, writes);
        let added = events(moves, |action| adds(action, n)).any(|add| last(&add));
        let removed = events(moves, |action| removes(action, n) && !whole(action));
        let removed = removed.filter(last).count() > 0;
        is("a removal wins over adds that did not observe it", place, model, added && !removed)?;
    }
    Ok(())
}

/// What is read was assigned, and no assignment or removal observed it.
pub(crate) fn register(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    let assigns = |action| matches!(action, Action::Set(_));
    let last: Vec<&[u8]> = events(moves, assigns)
        .filter(|&assignment| !observed(model, moves, assignment, |_| true))
        .map(|assignment| match moves[assignment].action {
            Action::Set(0) => &b"x"[..],
            _ => b"y",
        })
        .collect();
    let view = model.view((1 << model.events.len()) - 1);
    let read = text(model, &view, REGISTER);
    let holds = match &read {
        None => last.is_empty(),
        Some(read) => last.contains(&&read[..]),
    };
    ensure(holds, "an assignment wins that no other observed", || format!("{read:?} of {last:?}"))
}

/// The sum of all increments but those that a reset observed.
pub(crate) fn counter(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    let resets = |action| matches!(action, Action::Delete | Action::GetDelete);
    let amounts = moves.iter().enumerate().filter_map(|(event, m)| match m.action {
        Action::Increment(by) if !observed(model, moves, event, resets) => Some(by),
        _ => None,
    });
    let amounts: Vec<i64> = amounts.collect();
    let view = model.view((1 << model.events.len()) - 1);
    let expected =
        (!amounts.is_empty()).then(|| amounts.iter().sum::<i64>().to_string().into_bytes());
    let read = text(model, &view, REGISTER);
    ensure(read.as_deref() == expected.as_deref(), "increments add up but for those reset", || {
        format!("{read:?} of {amounts:?}")
    })
}

/// A flag is enabled if some enabling was observed by no disabling.
pub(crate) fn enable_wins_flag(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    let disables = |action| matches!(action, Action::Disable(_) | Action::Delete);
    let enabled = events(moves, |action| matches!(action, Action::Enable(_)))
        .any(|enabling| !observed(model, moves, enabling, disables));
    is("enabling wins", Place(Kind::EnableFlag, 0), model, enabled)
}

/// A flag is enabled if it was, and every disabling was observed by what came after it.
pub(crate) fn disable_wins_flag(model: &Model, moves: &[Move]) -> Result<(), Violation> {
    let last = |event: &usize| !observed(model, moves, *event, |_| true);
    let enabled = events(moves, |action| matches!(action, Action::Enable(_))).any(|e| last(&e));
    let disabled = events(moves, |action| matches!(action, Action::Disable(_))).any(|e| last(&e));
    is("disabling wins", Place(Kind::DisableFlag, 0), model, enabled && !disabled)
}
