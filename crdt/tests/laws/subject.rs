//! Subjects: the types under test, each with the operations that make its histories.

use bytes::Bytes;
use coterie_crdt::address::nested_segments;
use coterie_crdt::operation::{FlagKind, ListEnd, SetKind};
use coterie_crdt::{Address, Kind};

use crate::actions::{Action, element, nested};
use crate::model::{Model, Place};
use crate::published;
use crate::replica::DEADLINE;
use crate::violation::Violation;

/// An operation, run before or after the deadline that keys get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) action: Action,
    pub(crate) late: bool,
}

/// A type under test.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// What events are made of.
    pub(crate) moves: Vec<Move>,
    /// What end states are read by.
    pub(crate) reads: Vec<Move>,
    /// Whether more than one kind of cells may be live.
    pub(crate) several_kinds: bool,
    /// What is promised of the type, checked on the whole of causal histories.
    pub(crate) published: fn(&Model, &[Move]) -> Result<(), Violation>,
}

impl Subject {
    fn new(name: &'static str, moves: &[Action], reads: &[Action]) -> Self {
        let early = |actions: &[Action]| {
            actions.iter().map(|&action| Move { action, late: false }).collect()
        };
        let (moves, reads) = (early(moves), early(reads));
        Subject { name, moves, reads, several_kinds: false, published: |_, _| Ok(()) }
    }

    fn promises(mut self, published: fn(&Model, &[Move]) -> Result<(), Violation>) -> Self {
        self.published = published;
        self
    }

    /// The same with every operation and reading also after the deadline.
    fn in_time(mut self) -> Self {
        for moves in [&mut self.moves, &mut self.reads] {
            let late: Vec<Move> = moves.iter().map(|m| Move { late: true, ..*m }).collect();
            moves.extend(late);
        }
        self
    }
}

/// Which place of the model an address is. Positions of a list are numbered as they turn up.
pub(crate) fn place(address: &Address, positions: &mut Vec<Bytes>) -> Place {
    let path = &address.path;
    let element = match address.kind {
        Kind::Element => {
            let known = positions.iter().position(|position| position == path);
            let index = known.unwrap_or_else(|| {
                positions.push(path.clone());
                positions.len() - 1
            });
            u8::try_from(index).expect("lists are short")
        }
        Kind::Nested => nested(&nested_segments(path).expect("a nested path")),
        Kind::Sketch => element(path),
        _ => path.first().map_or(0, |byte| byte - b'a'),
    };
    Place(address.kind, element)
}

const KEY_READS: [Action; 2] = [Action::Exists, Action::Type];

pub(crate) fn register() -> Subject {
    use Action::{Delete, Get, GetDelete, GetSiblings, Set};
    Subject::new(
        "register",
        &[Set(0), Set(1), GetDelete, Delete],
        &[Get, GetSiblings, KEY_READS[1]],
    )
    .promises(published::register)
}

pub(crate) fn siblings() -> Subject {
    use Action::{Get, GetDelete, GetSiblings, PutBlindly, PutOverSiblings, Set};
    let moves =
        [PutOverSiblings(0), PutBlindly(0), PutBlindly(1), Set(1), GetDelete, Action::Delete];
    Subject::new("siblings", &moves, &[Get, GetSiblings])
}

pub(crate) fn counter() -> Subject {
    use Action::{Delete, Get, GetDelete, Increment};
    let moves = [Increment(1), Increment(-2), Increment(5), GetDelete, Delete];
    Subject::new("counter", &moves, &[Get, KEY_READS[0]]).promises(published::counter)
}

pub(crate) fn numeric_register() -> Subject {
    use Action::{Get, GetDelete, GetSiblings, Increment, IncrementByTenths, Set, SetNumber};
    let moves = [Increment(1), IncrementByTenths(-5), SetNumber, Set(0), GetDelete, Action::Delete];
    Subject::new("numeric register", &moves, &[Get, GetSiblings])
}

pub(crate) fn set(kind: SetKind) -> Subject {
    use Action::{
        Add, AddBoth, Contains, CountMembers, Delete, Members, Remove, RemoveBoth, Store,
    };
    let mut moves = vec![Add(kind, 0), Add(kind, 1), AddBoth(kind), Delete, Store(kind, 0)];
    if kind != SetKind::GrowOnly {
        moves.extend([Remove(kind, 0), Remove(kind, 1), RemoveBoth(kind)]);
    }
    let (name, published): (_, fn(&Model, &[Move]) -> _) = match kind {
        SetKind::AddWins => ("add-wins set", published::add_wins_set),
        SetKind::RemoveWins => ("remove-wins set", published::remove_wins_set),
        SetKind::GrowOnly => ("grow-only set", published::grow_only_set),
    };
    let reads = [Contains(kind), Members(kind), CountMembers(kind), KEY_READS[0]];
    Subject::new(name, &moves, &reads).promises(published)
}

pub(crate) fn expiry() -> Subject {
    use Action::{Add, Contains, ExpireAt, ExpireTime, Persist, Remove, Set, SetKeepingExpiry};
    let wins = SetKind::AddWins;
    let moves =
        [ExpireAt(DEADLINE), Persist, Set(0), SetKeepingExpiry(0), Add(wins, 0), Remove(wins, 0)];
    let reads = [KEY_READS[0], KEY_READS[1], ExpireTime, Action::Get, Contains(wins)];
    Subject::new("expiry", &moves, &reads).in_time()
}

/// A key whose cells outside the root have tallies, which a write to it takes back once it has expired.
pub(crate) fn expiring_hash() -> Subject {
    use Action::{ExpireAt, ExpireTime, FieldIncrement, FieldRemove, FieldSet, Fields};
    let moves = [
        ExpireAt(DEADLINE),
        FieldSet(0, 2),
        FieldIncrement(0, 1),
        FieldIncrement(1, 1),
        FieldRemove(0),
    ];
    Subject::new("expiring hash", &moves, &[KEY_READS[0], ExpireTime, Fields]).in_time()
}

/// A hash whose fields expire one by one.
pub(crate) fn hash_of_expiring_fields() -> Subject {
    use Action::{
        CountFields, FieldExpireAt, FieldExpireTimes, FieldIncrement, FieldPersist, FieldRemove,
        FieldRemoveExpired, FieldSet, FieldSetUntil, Fields, FieldsNamed,
    };
    let moves = [
        FieldSet(0, 2),
        FieldIncrement(0, 1),
        FieldSetUntil(0, DEADLINE),
        FieldExpireAt(0, DEADLINE),
        FieldPersist(0),
        FieldRemove(0),
        FieldRemoveExpired(0),
        Action::Delete,
    ];
    let reads = [Fields, FieldsNamed, CountFields, FieldExpireTimes, KEY_READS[0], KEY_READS[1]];
    Subject::new("hash with expiring fields", &moves, &reads).in_time()
}

pub(crate) fn kinds() -> Subject {
    use Action::{Add, Contains, Delete, Increment, Remove, Set};
    let moves = [
        Set(0),
        Action::SetIfAbsent(0),
        Increment(1),
        Add(SetKind::AddWins, 0),
        Add(SetKind::RemoveWins, 0),
        Remove(SetKind::AddWins, 0),
        Delete,
    ];
    let reads = [
        KEY_READS[0],
        KEY_READS[1],
        Action::Get,
        Contains(SetKind::AddWins),
        Contains(SetKind::RemoveWins),
    ];
    Subject { several_kinds: true, ..Subject::new("kinds", &moves, &reads) }
}

pub(crate) fn hash() -> Subject {
    use Action::{CountFields, Delete, FieldIncrement, FieldRemove, FieldSet, Fields, FieldsNamed};
    let moves = [
        FieldSet(0, 2),
        FieldSet(0, 0),
        FieldSet(1, 2),
        FieldIncrement(0, 1),
        FieldRemove(0),
        FieldRemove(1),
        Delete,
    ];
    let reads = [Fields, FieldsNamed, CountFields, KEY_READS[0]];
    Subject::new("hash", &moves, &reads).promises(published::hash)
}

pub(crate) fn map() -> Subject {
    use Action::{
        FieldSet, Nested, NestedIncrement, NestedRemove, NestedSet, Submap, SubmapRemove,
    };
    let moves = [
        NestedSet(0, 2),
        NestedSet(1, 0),
        NestedIncrement(0, 1),
        NestedRemove(0),
        SubmapRemove,
        FieldSet(0, 1),
        Action::Delete,
    ];
    Subject::new("nested map", &moves, &[Nested, Submap, KEY_READS[0]]).promises(published::map)
}

pub(crate) fn sorted_set() -> Subject {
    use Action::{CountScored, Delete, Ranked, ScoreIncrement, ScoreRemove, ScoreSet, Scores};
    let moves = [
        ScoreSet(0, 1),
        ScoreSet(0, 3),
        ScoreSet(1, 2),
        ScoreIncrement(0, 2),
        ScoreIncrement(0, -4),
        ScoreRemove(0),
        Delete,
    ];
    Subject::new("sorted set", &moves, &[Scores, Ranked, CountScored, KEY_READS[0]])
        .promises(published::sorted_set)
}

pub(crate) fn flag(kind: FlagKind) -> Subject {
    use Action::{Delete, Disable, Enable, ReadFlag};
    let (name, published): (_, fn(&Model, &[Move]) -> _) = match kind {
        FlagKind::EnableWins => ("enable-wins flag", published::enable_wins_flag),
        FlagKind::DisableWins => ("disable-wins flag", published::disable_wins_flag),
    };
    let moves = [Enable(kind), Disable(kind), Delete];
    Subject::new(name, &moves, &[ReadFlag(kind), KEY_READS[0]]).promises(published)
}

pub(crate) fn list() -> Subject {
    use Action::{Delete, Elements, InsertBefore, ListLength, Pop, Push, SetFirst};
    let moves = [
        Push(ListEnd::Left, 0),
        Push(ListEnd::Right, 0),
        Push(ListEnd::Right, 1),
        InsertBefore(0, 1),
        Pop(ListEnd::Left),
        SetFirst(1),
        Delete,
    ];
    Subject::new("list", &moves, &[Elements, ListLength, KEY_READS[1]])
}

pub(crate) fn sketch() -> Subject {
    use Action::{Delete, Registers, SketchAdd, SketchMerge};
    let moves = [SketchAdd(0), SketchAdd(1), SketchMerge(0, 40), SketchMerge(0, 50), Delete];
    Subject::new("HyperLogLog", &moves, &[Registers, KEY_READS[1]])
}

/// Which elements of `kind` an address may be of, for reading promises.
pub(crate) fn elements(kind: Kind) -> [Place; 2] {
    [Place(kind, 0), Place(kind, 1)]
}
