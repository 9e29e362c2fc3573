//! Actions on sets.

use bytes::Bytes;
use coterie_crdt::Kind;
use coterie_crdt::operation::{Reply, SetKind, SetOperation, SetVerb};

use crate::actions::{Action, Meaning, name};
use crate::model::{Content, Effect, Model, Place, View};

pub(super) fn kind(kind: SetKind) -> Kind {
    match kind {
        SetKind::AddWins => Kind::Member,
        SetKind::RemoveWins => Kind::GuardedMember,
        SetKind::GrowOnly => Kind::GrowOnlyMember,
    }
}

pub(super) fn operation(action: Action) -> SetOperation {
    let both = || vec![name(0), name(1)];
    let (kind, verb) = match action {
        Action::Add(kind, n) => (kind, SetVerb::Add(vec![name(n)])),
        Action::AddBoth(kind) => (kind, SetVerb::Add(both())),
        Action::Remove(kind, n) => (kind, SetVerb::Remove(vec![name(n)])),
        Action::RemoveBoth(kind) => (kind, SetVerb::Remove(both())),
        Action::Store(kind, n) => (kind, SetVerb::Store(vec![name(n)])),
        Action::Contains(kind) => (kind, SetVerb::Contains(both())),
        Action::Members(kind) => (kind, SetVerb::Members),
        Action::CountMembers(kind) => (kind, SetVerb::Count),
        other => unreachable!("{other:?} is not on sets"),
    };
    SetOperation { kind, verb }
}

pub(super) fn meaning(action: Action, model: &Model, view: &View) -> Meaning {
    let has = |kind, n| model.has(view, Place(kind, n));
    let (reply, effects) = match action {
        Action::Add(set, n) => add(model, view, set, &[n]),
        Action::AddBoth(set) => add(model, view, set, &[0, 1]),
        Action::Remove(set, n) => remove(model, view, set, &[n]),
        Action::RemoveBoth(set) => remove(model, view, set, &[0, 1]),
        Action::Store(set, n) => {
            let put = Effect::Put(Place(kind(set), n), Content::Present);
            (Reply::Integer(1), vec![Effect::DeleteKey, put])
        }
        Action::Contains(set) => {
            let found = [0, 1].map(|n| i64::from(has(kind(set), n)));
            (Reply::Integers(found.to_vec()), vec![])
        }
        Action::Members(set) => {
            let here = (0..6).filter(|&n| has(kind(set), n));
            let here: Vec<Option<Bytes>> = here.map(|n| Some(name(n))).collect();
            (Reply::Values(here), vec![])
        }
        Action::CountMembers(set) => (Reply::count(model.count(view, kind(set))), vec![]),
        other => unreachable!("{other:?} is not on sets"),
    };
    (Ok(reply), effects)
}

fn add(model: &Model, view: &View, set: SetKind, elements: &[u8]) -> (Reply, Vec<Effect>) {
    let places = elements.iter().map(|&n| Place(kind(set), n));
    let new = places.clone().filter(|&place| !model.has(view, place)).count();
    (Reply::count(new), places.map(|place| Effect::Put(place, Content::Present)).collect())
}

fn remove(model: &Model, view: &View, set: SetKind, elements: &[u8]) -> (Reply, Vec<Effect>) {
    let places = elements.iter().map(|&n| Place(kind(set), n));
    let there: Vec<Place> = places.clone().filter(|&place| model.has(view, place)).collect();
    let effects = match set {
        SetKind::RemoveWins => places.map(|p| Effect::Put(p, Content::Removed)).collect(),
        SetKind::AddWins | SetKind::GrowOnly => there.iter().map(|&p| Effect::Remove(p)).collect(),
    };
    (Reply::count(there.len()), effects)
}
