//! Actions on lists.
//!
//! The model takes the order of elements from the positions that they were given; that an operation put
//! its element where it says is checked by what is read right after it.

use bytes::Bytes;
use coterie_crdt::Kind;
use coterie_crdt::operation::{ListEnd, ListOperation, OpError, PivotSide, Reply};

use crate::actions::{Action, Meaning, name};
use crate::model::{Content, Effect, Model, Place, View};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(super) fn operation(action: Action) -> ListOperation {
    match action {
        Action::Push(end, n) => ListOperation::Push(end, vec![name(n)]),
        Action::InsertBefore(pivot, n) => {
            ListOperation::Insert { side: PivotSide::Before, pivot: name(pivot), value: name(n) }
        }
        Action::InsertAfter(pivot, n) => {
            ListOperation::Insert { side: PivotSide::After, pivot: name(pivot), value: name(n) }
        }
        Action::Pop(end) => ListOperation::Pop(end),
        Action::SetFirst(n) => ListOperation::Set { index: 0, value: name(n) },
        Action::Elements => ListOperation::Range { start: 0, stop: -1 },
        Action::ListLength => ListOperation::Length,
        other => unreachable!("{other:?} is not on lists"),
    }
}

/// Where the next element goes: elements are numbered in order of their insertion.
fn next(model: &Model) -> Place {
    Place(Kind::Element, u8::try_from(model.positions.len()).expect("lists are short"))
}

/// The elements in order: where each is, and what it reads as.
fn elements(model: &Model, view: &View) -> Vec<(Place, &'static str)> {
    let places = (0..next(model).1).map(|n| Place(Kind::Element, n));
    let mut here: Vec<Place> = places.filter(|&place| model.has(view, place)).collect();
    here.sort_by_key(|place| &model.positions[usize::from(place.1)]);
    let read = |place: Place| match model.winner(view, place).map(|write| write.content) {
        Some(Content::Text(text)) => text,
        other => unreachable!("elements are texts, not {other:?}"),
    };
    here.into_iter().map(|place| (place, read(place))).collect()
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let list = elements(model, view);
    let text = |n: u8| Content::Text(NAMES[usize::from(n)]);
    let insert = |n| vec![Effect::Put(next(model), text(n))];
    let longer = Reply::count(list.len() + 1);
    let (reply, effects) = match action {
        Action::Push(_, n) => (longer, insert(n)),
        Action::InsertBefore(pivot, n) | Action::InsertAfter(pivot, n) => {
            let found = list.iter().any(|(_, text)| *text == NAMES[usize::from(pivot)]);
            match (found, list.is_empty()) {
                (true, _) => (longer, insert(n)),
                (false, true) => (Reply::Integer(0), vec![]),
                (false, false) => (Reply::Integer(-1), vec![]),
            }
        }
        Action::Pop(end) => {
            let popped = if end == ListEnd::Left { list.first() } else { list.last() };
            let removed = popped.map(|&(place, _)| Effect::Remove(place));
            let value = popped.map(|(_, text)| Bytes::from_static(text.as_bytes()));
            (Reply::value(value), removed.into_iter().collect())
        }
        Action::SetFirst(_) if list.is_empty() => return (Err(OpError::NoSuchKey), vec![]),
        Action::SetFirst(n) => (Reply::Done, vec![Effect::Put(list[0].0, text(n))]),
        Action::Elements => {
            let read = |(_, text): &(_, &'static str)| Some(Bytes::from_static(text.as_bytes()));
            (Reply::Values(list.iter().map(read).collect()), vec![])
        }
        Action::ListLength => (Reply::count(list.len()), vec![]),
        other => unreachable!("{other:?} is not on lists"),
    };
    (Ok(reply), effects)
}

/// Whether an insertion made of the list before it the list after it.
pub(crate) fn inserted_as_asked(
    action: Action,
    model: &Model,
    before: &View,
    after: &View,
) -> bool {
    let texts = |view| elements(model, view).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let mut expected = texts(before);
    let named = |n: u8| NAMES[usize::from(n)];
    let index = |list: &[&str], pivot| {
        list.iter().position(|text| *text == named(pivot)).expect("inserted beside it")
    };
    match action {
        Action::Push(ListEnd::Left, n) => expected.insert(0, named(n)),
        Action::Push(ListEnd::Right, n) => expected.push(named(n)),
        Action::InsertBefore(pivot, n) => expected.insert(index(&expected, pivot), named(n)),
        Action::InsertAfter(pivot, n) => expected.insert(index(&expected, pivot) + 1, named(n)),
        _ => return true,
    }
    expected == texts(after)
}
