//! Actions: operations of the crate, with what the naive model says that each answers and does.

mod flag;
mod key;
mod list;
mod map;
mod set;
mod sketch;
mod sorted_set;
mod string;

pub(crate) use list::inserted_as_asked;
pub(crate) use map::nested;
pub(crate) use sketch::element;
pub(crate) use string::text;

use bytes::Bytes;
use coterie_crdt::operation::{FlagKind, ListEnd, OpError, Operation, Reply, SetKind};
use coterie_crdt::{Cells, Kind, Shown, State};

use crate::model::{Effect, Model, Place, REGISTER, View};

/// One operation on the key of a history. Elements and texts are numbered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Delete,
    Exists,
    Type,
    ExpireAt(u64),
    ExpireTime,
    Persist,
    Get,
    Set(u8),
    SetKeepingExpiry(u8),
    SetIfAbsent(u8),
    SetNumber,
    GetDelete,
    Increment(i64),
    IncrementByTenths(i64),
    GetSiblings,
    PutOverSiblings(u8),
    PutBlindly(u8),
    Add(SetKind, u8),
    AddBoth(SetKind),
    Remove(SetKind, u8),
    RemoveBoth(SetKind),
    Store(SetKind, u8),
    Contains(SetKind),
    Members(SetKind),
    CountMembers(SetKind),
    FieldSet(u8, u8),
    FieldIncrement(u8, i64),
    FieldRemove(u8),
    Fields,
    FieldsNamed,
    CountFields,
    FieldSetUntil(u8, u64),
    FieldExpireAt(u8, u64),
    FieldPersist(u8),
    FieldRemoveExpired(u8),
    FieldExpireTimes,
    NestedSet(u8, u8),
    NestedIncrement(u8, i64),
    NestedRemove(u8),
    SubmapRemove,
    Nested,
    Submap,
    ScoreSet(u8, i64),
    ScoreIncrement(u8, i64),
    ScoreRemove(u8),
    Scores,
    Ranked,
    CountScored,
    Enable(FlagKind),
    Disable(FlagKind),
    ReadFlag(FlagKind),
    Push(ListEnd, u8),
    InsertBefore(u8, u8),
    InsertAfter(u8, u8),
    Pop(ListEnd),
    SetFirst(u8),
    Elements,
    ListLength,
    SketchAdd(u8),
    SketchMerge(u8, u8),
    Registers,
}

/// Which module an action belongs to.
enum Family {
    Key,
    String,
    Set,
    Map,
    SortedSet,
    Flag,
    List,
    Sketch,
}

/// What the model says of an action: its reply, and what it does.
pub(crate) type Meaning = (Result<Reply, OpError>, Vec<Effect>);

impl Action {
    fn family(self) -> Family {
        use Action as A;
        match self {
            A::Delete | A::Exists | A::Type | A::ExpireAt(_) | A::ExpireTime | A::Persist => {
                Family::Key
            }
            A::Get
            | A::Set(_)
            | A::SetKeepingExpiry(_)
            | A::SetIfAbsent(_)
            | A::SetNumber
            | A::GetDelete
            | A::Increment(_)
            | A::IncrementByTenths(_)
            | A::GetSiblings
            | A::PutOverSiblings(_)
            | A::PutBlindly(_) => Family::String,
            A::Add(..)
            | A::AddBoth(_)
            | A::Remove(..)
            | A::RemoveBoth(_)
            | A::Store(..)
            | A::Contains(_)
            | A::Members(_)
            | A::CountMembers(_) => Family::Set,
            A::FieldSet(..)
            | A::FieldIncrement(..)
            | A::FieldRemove(_)
            | A::Fields
            | A::FieldsNamed
            | A::CountFields
            | A::FieldSetUntil(..)
            | A::FieldExpireAt(..)
            | A::FieldPersist(_)
            | A::FieldRemoveExpired(_)
            | A::FieldExpireTimes
            | A::NestedSet(..)
            | A::NestedIncrement(..)
            | A::NestedRemove(_)
            | A::SubmapRemove
            | A::Nested
            | A::Submap => Family::Map,
            A::ScoreSet(..)
            | A::ScoreIncrement(..)
            | A::ScoreRemove(_)
            | A::Scores
            | A::Ranked
            | A::CountScored => Family::SortedSet,
            A::Enable(_) | A::Disable(_) | A::ReadFlag(_) => Family::Flag,
            A::Push(..)
            | A::InsertBefore(..)
            | A::InsertAfter(..)
            | A::Pop(_)
            | A::SetFirst(_)
            | A::Elements
            | A::ListLength => Family::List,
            A::SketchAdd(_) | A::SketchMerge(..) | A::Registers => Family::Sketch,
        }
    }

    /// The operation under test. Writes over siblings name those that `state` shows.
    pub(crate) fn operation(self, state: &State) -> Operation {
        match self.family() {
            Family::Key => Operation::Key(key::operation(self)),
            Family::String => Operation::String(string::operation(self, state)),
            Family::Set => Operation::Set(set::operation(self)),
            Family::Map => map::operation(self),
            Family::SortedSet => Operation::SortedSet(sorted_set::operation(self)),
            Family::Flag => Operation::Flag(flag::operation(self)),
            Family::List => Operation::List(list::operation(self)),
            Family::Sketch => Operation::HyperLogLog(sketch::operation(self)),
        }
    }

    /// What the model says where a reader sees `view`.
    pub(crate) fn meaning(self, model: &Model, view: &View, now: u64) -> Meaning {
        let shown = shown(model, view);
        if self.works_on().is_some_and(|own| shown != own && shown != Shown::Nothing) {
            let string = shown == Shown::String && matches!(self.family(), Family::Sketch);
            let error = if string { OpError::NotHyperLogLog } else { OpError::WrongType };
            return (Err(error), Vec::new());
        }
        match self.family() {
            Family::Key => key::meaning(self, model, view, now),
            Family::String => string::meaning(self, model, view),
            Family::Set => set::meaning(self, model, view),
            Family::Map => map::meaning(self, model, view, now),
            Family::SortedSet => sorted_set::meaning(self, model, view),
            Family::Flag => flag::meaning(self, model, view),
            Family::List => list::meaning(self, model, view),
            Family::Sketch => sketch::meaning(self, model, view),
        }
    }

    /// The type that it expects the key to be, unless it works on any.
    fn works_on(self) -> Option<Shown> {
        use Action as A;
        match (self.family(), self) {
            (Family::Key, _)
            | (_, A::Set(_) | A::SetKeepingExpiry(_) | A::SetIfAbsent(_) | A::SetNumber)
            | (_, A::Store(..) | A::FieldRemoveExpired(_)) => None,
            (Family::String, _) => Some(Shown::String),
            (
                _,
                A::Add(kind, _)
                | A::AddBoth(kind)
                | A::Remove(kind, _)
                | A::RemoveBoth(kind)
                | A::Contains(kind)
                | A::Members(kind)
                | A::CountMembers(kind),
            ) => Some(set::kind(kind).shown_as()),
            (Family::Set, _) => unreachable!("every action on sets has a kind"),
            (Family::Map, _) => Some(Shown::Hash),
            (Family::SortedSet, _) => Some(Shown::SortedSet),
            (Family::Flag, _) => Some(Shown::Flag),
            (Family::List, _) => Some(Shown::List),
            (Family::Sketch, _) => Some(Shown::HyperLogLog),
        }
    }

    /// Which of the two elements or texts it names, as a set of bits. Both play the same part, so a
    /// history and its mirror image are one.
    pub(crate) fn elements(self) -> u8 {
        use Action as A;
        match self {
            A::Set(n)
            | A::SetKeepingExpiry(n)
            | A::SetIfAbsent(n)
            | A::PutOverSiblings(n)
            | A::PutBlindly(n)
            | A::Add(_, n)
            | A::Remove(_, n)
            | A::Store(_, n)
            | A::FieldSet(n, _)
            | A::FieldIncrement(n, _)
            | A::FieldRemove(n)
            | A::FieldSetUntil(n, _)
            | A::FieldExpireAt(n, _)
            | A::FieldPersist(n)
            | A::FieldRemoveExpired(n)
            | A::NestedSet(n, _)
            | A::NestedIncrement(n, _)
            | A::NestedRemove(n)
            | A::ScoreSet(n, _)
            | A::ScoreIncrement(n, _)
            | A::ScoreRemove(n)
            | A::Push(_, n)
            | A::SetFirst(n) => 1 << n,
            A::InsertBefore(m, n) | A::InsertAfter(m, n) => 1 << m | 1 << n,
            A::AddBoth(_) | A::RemoveBoth(_) => 3,
            _ => 0,
        }
    }

    /// Whether it may have to know which of several kinds are live, which partial states cannot tell.
    pub(crate) fn asks_what_exists(self) -> bool {
        self.works_on().is_none()
    }
}

/// The name of an element.
pub(crate) fn name(element: u8) -> Bytes {
    Bytes::from_static([b"a", b"b", b"c", b"d", b"e", b"f"][usize::from(element)])
}

/// What a client sees the key as: the first kind that is there.
pub(crate) fn shown(model: &Model, view: &View) -> Shown {
    if model.has(view, REGISTER) {
        return Shown::String;
    }
    let found = crate::model::members(view.live)
        .map(|write| model.writes[write].place)
        .filter(|place| place.0 != Kind::Expiry && model.has(view, *place))
        .min();
    found.map_or(Shown::Nothing, |Place(kind, _)| kind.shown_as())
}

/// The context that a client got from a replica for the siblings it read.
fn siblings_of(state: &State) -> coterie_crdt::Context {
    let dots = state.root().map(|root| root.register.dots().to_vec()).unwrap_or_default();
    dots.into_iter().map(|(dot, _)| dot).collect()
}
