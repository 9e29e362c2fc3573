//! Operations of every family, to be evaluated on whatever there is.

use bytes::Bytes;
use coterie_crdt::encoding::{decode_delta, encode_delta};
use coterie_crdt::operation::{
    AddCondition, Condition, Expire, FlagKind, FlagOperation, FlagVerb, HashOperation,
    HyperLogLogOperation, KeyOperation, ListEnd, ListOperation, MapOperation, MapPath, Operation,
    PivotSide, RangeLimit, SetCondition, SetKind, SetOperation, SetVerb, SortedSetOperation,
    SortedSetRange, StringOperation, evaluate_all,
};
use coterie_crdt::{Actor, Actors, Cells, Clock, Context, Direction, Dot, Mint, Score, State};

use crate::{OWN, WALL_MILLIS};

/// Operations of every family, on what the cells above are at.
pub(crate) fn operations() -> Vec<Operation> {
    let [a, b] = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
    let (one, forward) = (Score::new(1.0).expect("a number"), Direction::Forward);
    let path = MapPath::new(vec![a.clone(), b.clone()]).expect("segments");
    let set =
        |get, condition, expire| StringOperation::Set { value: b.clone(), condition, get, expire };
    let increment =
        |condition| SortedSetOperation::Increment { member: a.clone(), by: one, condition };
    let mut operations = Vec::new();
    operations.extend(
        [
            StringOperation::Get,
            StringOperation::GetRange { start: -3, end: -9 },
            set(true, SetCondition::Always, Expire::Keep),
            set(false, SetCondition::IfAbsent, Expire::Never),
            StringOperation::GetSiblings,
            StringOperation::PutSibling { value: a.clone(), replaces: Context::new() },
            StringOperation::IncrementBy(i64::MIN),
            StringOperation::IncrementBy(1),
            StringOperation::IncrementByFloat("-1e20".into()),
            StringOperation::Append(a.clone()),
            StringOperation::SetRange { offset: i64::MAX, value: a.clone() },
            StringOperation::GetExpire(Expire::At(u64::MAX)),
            StringOperation::GetDelete,
        ]
        .map(Operation::String),
    );
    operations.extend(
        [
            HashOperation::Get(vec![a.clone()]),
            HashOperation::IncrementBy { field: a.clone(), by: -1 },
            HashOperation::IncrementByFloat { field: b.clone(), by: "1e20".into() },
            HashOperation::Set(vec![(a.clone(), b.clone())]),
            HashOperation::Remove(vec![a.clone(), b.clone()]),
            HashOperation::All,
            HashOperation::Count,
            HashOperation::ExpireAt {
                fields: vec![a.clone(), b.clone()],
                at: u64::MAX,
                condition: Condition::IfEarlier,
            },
            HashOperation::SetExpire {
                pairs: vec![(a.clone(), b.clone())],
                condition: SetCondition::Always,
                expire: Expire::Keep,
            },
            HashOperation::Persist(vec![a.clone()]),
            HashOperation::RemoveExpired(vec![a.clone(), b.clone()]),
        ]
        .map(Operation::Hash),
    );
    operations.extend(
        [
            MapOperation::Entries(None),
            MapOperation::IncrementBy { path: path.clone(), by: i64::MAX },
            MapOperation::Remove { path, cells_max: 2 },
        ]
        .map(Operation::Map),
    );
    for kind in [SetKind::AddWins, SetKind::RemoveWins, SetKind::GrowOnly] {
        let verbs = [
            SetVerb::Add(vec![a.clone()]),
            SetVerb::Members,
            SetVerb::Count,
            SetVerb::RandomRepeated(u64::MAX),
            SetVerb::Remove(vec![a.clone(), b.clone()]),
            SetVerb::Pop(u64::MAX),
            SetVerb::Store(vec![b.clone()]),
        ];
        operations.extend(verbs.map(|verb| Operation::Set(SetOperation { kind, verb })));
    }
    let ranks = |start, stop| SortedSetRange::Ranks { start, stop };
    operations.extend(
        [
            SortedSetOperation::Scores(vec![a.clone(), b.clone()]),
            increment(AddCondition::Always),
            increment(AddCondition::IfPresentAndLess),
            SortedSetOperation::Add {
                members: vec![(b.clone(), one)],
                condition: AddCondition::IfGreater,
                count_changed: true,
            },
            SortedSetOperation::Rank { member: a.clone(), direction: forward },
            SortedSetOperation::Range {
                range: ranks(-2, i64::MAX),
                direction: Direction::Backward,
                limit: RangeLimit { offset: 1, count: i64::MAX },
            },
            SortedSetOperation::Remove(vec![a.clone()]),
            SortedSetOperation::Count,
            SortedSetOperation::RemoveRange(ranks(i64::MIN, i64::MAX)),
        ]
        .map(Operation::SortedSet),
    );
    operations.extend(
        [
            ListOperation::Push(ListEnd::Left, vec![a.clone()]),
            ListOperation::Push(ListEnd::Right, vec![a.clone(), b.clone()]),
            ListOperation::Insert { side: PivotSide::After, pivot: b.clone(), value: a.clone() },
            ListOperation::Range { start: -2, stop: i64::MAX },
            ListOperation::Trim { start: 1, stop: -2 },
            ListOperation::Set { index: -1, value: b.clone() },
            ListOperation::Remove { count: i64::MIN, value: a.clone() },
            ListOperation::PopMany(ListEnd::Right, u64::MAX),
        ]
        .map(Operation::List),
    );
    operations.extend(
        [
            HyperLogLogOperation::Add(vec![a.clone()]),
            HyperLogLogOperation::Merge(vec![(u16::MAX, u8::MAX), (7, 51)]),
            HyperLogLogOperation::Count(vec![(u16::MAX, u8::MAX)]),
        ]
        .map(Operation::HyperLogLog),
    );
    for kind in [FlagKind::EnableWins, FlagKind::DisableWins] {
        let verbs = [FlagVerb::Read, FlagVerb::Enable, FlagVerb::Disable];
        operations.extend(verbs.map(|verb| Operation::Flag(FlagOperation { kind, verb })));
    }
    operations.extend(
        [
            KeyOperation::Type,
            KeyOperation::Kinds,
            KeyOperation::Contents,
            KeyOperation::TimeToLive,
            KeyOperation::ExpireAt { at: u64::MAX, condition: Condition::IfLater },
            KeyOperation::Persist,
            KeyOperation::RemoveExpired { since_millis: 0 },
            KeyOperation::RemoveTallied(1),
            KeyOperation::Delete,
        ]
        .map(Operation::Key),
    );
    operations
}

/// Evaluates every operation by itself, and all of them one after the other; the deltas join.
pub(crate) fn evaluate_on(cells: &impl Cells, replica: &State, operations: &[Operation]) {
    let unseen = Context::new();
    let known = cells.root().map_or(&unseen, |root| &root.context);
    // An actor that somebody exhausted is not gone on with: the node draws another.
    let next = Actors::new(OWN).next_dot(known).unwrap_or(Dot::new(Actor(77), 1));
    for operations in operations.chunks(1).chain([operations]) {
        let mut clock = Clock::new();
        let mut mint = Mint::new(next, &mut clock, WALL_MILLIS, 7);
        let (replies, delta) = evaluate_all(operations, cells, &mut mint);
        assert_eq!(replies.len(), operations.len());
        let decoded = decode_delta(&encode_delta(&delta).into());
        assert_eq!(decoded.as_ref(), Ok(&delta), "what operations make can be sent");
        replica.clone().join_delta(&delta);
    }
}
