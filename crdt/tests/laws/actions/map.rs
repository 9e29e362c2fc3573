//! Actions on hashes and maps with nested paths.

use bytes::Bytes;
use coterie_crdt::Kind;
use coterie_crdt::operation::{HashOperation, MapOperation, MapPath, OpError, Operation, Reply};

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

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let field = |n| Place(Kind::Field, n);
    let nested = |n| Place(Kind::Nested, n);
    let read = |place| string::text(model, view, place);
    let set = |place, t: u8| {
        let put = Effect::Put(place, Content::Text(string::TEXTS[usize::from(t)]));
        (Reply::flag(read(place).is_none()), vec![Effect::Reset(place), put])
    };
    let increment = |place, by: i64| -> Meaning {
        match read(place).map_or(Ok(0), |text| string::integer(&text)) {
            Err(_) => (Err(OpError::FieldNotInteger), vec![]),
            Ok(before) => {
                (Ok(Reply::Integer(before + by)), vec![Effect::Add(place, (by * 10) as f64)])
            }
        }
    };
    let remove = |places: Vec<Place>| {
        let there: Vec<Place> = places.into_iter().filter(|&p| model.has(view, p)).collect();
        let effects = there.iter().map(|&place| Effect::Remove(place)).collect();
        (Reply::count(there.len()), effects)
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
