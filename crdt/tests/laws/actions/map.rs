//! Actions on hashes and maps with nested paths.

use bytes::Bytes;
use coterie_crdt::operation::{
    Condition, Expire, HashOperation, MapOperation, MapPath, OpError, Operation, Reply,
    SetCondition,
};
use coterie_crdt::{DRIFT_MILLIS_MAX, Kind};

use crate::actions::{Action, Meaning, name, string};
use crate::model::{Content, Effect, Model, Place, View};

/// The nested paths of the histories: two under `a`, two under `b`.
const PATHS: [[&str; 2]; 4] = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]];

fn path(segments: &[&'static str]) -> MapPath {
    MapPath::new(segments.iter().map(|s| Bytes::from_static(s.as_bytes())).collect())
        .expect("it has segments")
}

/// The number of a nested path.
pub(crate) fn nested(segments: &[Bytes]) -> u8 {
    let found = (0..).zip(PATHS).find(|(_, path)| path[..] == segments[..]);
    found.expect("one of the paths").0
}

pub(super) fn operation(action: Action) -> Operation {
    let at = |n: u8| path(&PATHS[usize::from(n)]);
    match action {
        Action::FieldSet(n, t) => {
            Operation::Hash(HashOperation::Set(vec![(name(n), string::value(t))]))
        }
        Action::FieldIncrement(n, by) => {
            Operation::Hash(HashOperation::IncrementBy { field: name(n), by })
        }
        Action::FieldRemove(n) => Operation::Hash(HashOperation::Remove(vec![name(n)])),
        Action::Fields => Operation::Hash(HashOperation::All),
        Action::FieldsNamed => Operation::Hash(HashOperation::Get(vec![name(0), name(1)])),
        Action::CountFields => Operation::Hash(HashOperation::Count),
        Action::FieldSetUntil(n, at) => Operation::Hash(HashOperation::SetExpire {
            pairs: vec![(name(n), string::value(2))],
            condition: SetCondition::Always,
            expire: Expire::At(at),
        }),
        Action::FieldExpireAt(n, at) => Operation::Hash(HashOperation::ExpireAt {
            fields: vec![name(n)],
            at,
            condition: Condition::Always,
        }),
        Action::FieldPersist(n) => Operation::Hash(HashOperation::Persist(vec![name(n)])),
        Action::FieldRemoveExpired(n) => {
            Operation::Hash(HashOperation::RemoveExpired(vec![name(n)]))
        }
        Action::FieldExpireTimes => {
            Operation::Hash(HashOperation::ExpireTime((0..6).map(name).collect()))
        }
        Action::NestedSet(n, t) => {
            Operation::Map(MapOperation::Set { path: at(n), value: string::value(t) })
        }
        Action::NestedIncrement(n, by) => {
            Operation::Map(MapOperation::IncrementBy { path: at(n), by })
        }
        Action::NestedRemove(n) => {
            Operation::Map(MapOperation::Remove { path: at(n), cells_max: 9 })
        }
        Action::SubmapRemove => {
            Operation::Map(MapOperation::Remove { path: path(&["a"]), cells_max: 9 })
        }
        Action::Nested => Operation::Map(MapOperation::Entries(None)),
        Action::Submap => Operation::Map(MapOperation::Entries(Some(path(&["a"])))),
        other => unreachable!("{other:?} is not on maps"),
    }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View, now: u64) -> Meaning {
    let field = |n| Place(Kind::Field, n);
    let nested = |n| Place(Kind::Nested, n);
    let expired = |place| model.has_expired(view, place, now);
    let read = |place| string::text(model, view, place).filter(|_| !expired(place));
    let set = |place, t: u8| {
        let put = Effect::Put(place, Content::Text(string::TEXTS[usize::from(t)]));
        (Reply::flag(read(place).is_none()), vec![Effect::Reset(place), put])
    };
    let increment = |place, by: i64| -> Meaning {
        match read(place).map_or(Ok(0), |text| string::integer(&text)) {
            Err(_) => (Err(OpError::FieldNotInteger), vec![]),
            Ok(before) => {
                let left = expired(place).then_some(Effect::Remove(place));
                let add = Effect::Add(place, (by * 10) as f64);
                (Ok(Reply::Integer(before + by)), left.into_iter().chain([add]).collect())
            }
        }
    };
    let remove = |places: Vec<Place>| {
        let left = places.iter().filter(|&&p| model.has(view, p) || expired(p));
        let effects = left.map(|&place| Effect::Remove(place)).collect();
        let there = places.iter().filter(|&&p| model.has(view, p) && !expired(p));
        (Reply::count(there.count()), effects)
    };
    let until = |place, at| {
        let put = |over| Effect::PutBeside(place, Content::Deadline(Some(at)), over);
        match read(place) {
            None if expired(place) => (-2, vec![Effect::Remove(place)]),
            None => (-2, vec![]),
            Some(_) if at <= now => (2, vec![Effect::Remove(place)]),
            Some(_) => (1, vec![put(model.deadlines_at(view, place))]),
        }
    };
    let entries = |paths: std::ops::Range<u8>| {
        let named =
            |n: u8| PATHS[usize::from(n)].map(|s| Bytes::from_static(s.as_bytes())).to_vec();
        let nested = paths.filter_map(move |n| Some((named(n), read(nested(n))?)));
        Reply::Entries(nested.collect())
    };
    let (reply, effects) = match action {
        Action::FieldSet(n, t) => set(field(n), t),
        Action::FieldIncrement(n, by) => return increment(field(n), by),
        Action::FieldRemove(n) => remove(vec![field(n)]),
        Action::Fields => {
            let pairs = (0..6).filter_map(|n| Some((name(n), read(field(n))?)));
            (Reply::Pairs(pairs.collect()), vec![])
        }
        Action::FieldsNamed => (Reply::Values(vec![read(field(0)), read(field(1))]), vec![]),
        Action::CountFields => (Reply::count(model.count(view, Kind::Field)), vec![]),
        Action::FieldSetUntil(n, at) if at <= now => (Reply::flag(true), remove(vec![field(n)]).1),
        Action::FieldSetUntil(n, at) => {
            let deadline = Effect::PutBeside(field(n), Content::Deadline(Some(at)), 0);
            (Reply::flag(true), set(field(n), 2).1.into_iter().chain([deadline]).collect())
        }
        Action::FieldExpireAt(n, at) => {
            let (answer, effects) = until(field(n), at);
            (Reply::Integers(vec![answer]), effects)
        }
        Action::FieldPersist(n) => {
            let deadlines = model.deadlines_at(view, field(n));
            let (answer, effects) = match read(field(n)) {
                None => until(field(n), now),
                Some(_) if deadlines == 0 => (-1, vec![]),
                Some(_) => (1, vec![Effect::Drop(deadlines)]),
            };
            (Reply::Integers(vec![answer]), effects)
        }
        Action::FieldRemoveExpired(n) => {
            let gone = model.has_expired(view, field(n), now.saturating_sub(2 * DRIFT_MILLIS_MAX));
            let removed = gone.then_some(Effect::Remove(field(n)));
            (Reply::flag(gone), removed.into_iter().collect())
        }
        Action::FieldExpireTimes => {
            let time = |n| match (read(field(n)), model.deadline_of(view, field(n))) {
                (None, _) => -2,
                (Some(_), None) => -1,
                (Some(_), Some(at)) => i64::try_from(at).expect("deadlines are small"),
            };
            (Reply::Integers((0..6).map(time).collect()), vec![])
        }
        Action::NestedSet(n, t) => set(nested(n), t),
        Action::NestedIncrement(n, by) => return increment(nested(n), by),
        Action::NestedRemove(n) => remove(vec![nested(n)]),
        // The field `a` and all that is under it.
        Action::SubmapRemove => remove(vec![field(0), nested(0), nested(1)]),
        Action::Nested => {
            let fields = (0..6).filter_map(|n| Some((vec![name(n)], read(field(n))?)));
            let Reply::Entries(nested) = entries(0..4) else { unreachable!("entries") };
            (Reply::Entries(fields.chain(nested).collect()), vec![])
        }
        Action::Submap => (entries(0..2), vec![]),
        other => unreachable!("{other:?} is not on maps"),
    };
    (Ok(reply), effects)
}
