//! Operations, replies and errors within messages: round trips, and bytes from anywhere.

use std::fmt::Debug;
use std::num::NonZeroI64;
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::operation::{
    AddCondition, Condition, Contents, Expire, FlagKind, FlagOperation, FlagVerb, HashOperation,
    HyperLogLogOperation, Item, KeyOperation, Limited, ListEnd, ListOperation, MapOperation,
    MapPath, OpError, Operation, PivotSide, RangeLimit, Reply, SetCondition, SetKind, SetOperation,
    SetVerb, SortedSetOperation, SortedSetRange, StringOperation,
};
use coterie_crdt::{
    Actor, Address, AddressRange, COUNTED_KINDS, Clock, Context, Direction, Dot, Footprint,
    HybridTime, Kind, Mint, Need, Score, Shown, State,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("writes to memory")
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn list() -> impl Strategy<Value = Vec<Bytes>> {
    prop::collection::vec(bytes(), 0..4)
}

fn score() -> impl Strategy<Value = Score> {
    any::<f64>().prop_filter_map("NaN", Score::new)
}

fn context() -> impl Strategy<Value = Context> {
    let dot = (0..4u64, 1..9u64).prop_map(|(actor, sequence)| Dot::new(Actor(actor), sequence));
    prop::collection::vec(dot, 0..6).prop_map(|dots| dots.into_iter().collect())
}

fn address() -> impl Strategy<Value = Address> {
    let kinds = COUNTED_KINDS.into_iter().chain([Kind::Register, Kind::Expiry]);
    (select(kinds.collect::<Vec<_>>()), bytes()).prop_map(|(kind, path)| {
        Address::new(kind, if kind.is_single() { Bytes::new() } else { path })
    })
}

fn range() -> impl Strategy<Value = AddressRange> {
    (select(COUNTED_KINDS.to_vec()), bytes(), prop::option::of(bytes())).prop_map(
        |(kind, from, more)| {
            let to = more.map(|more| [from.clone(), more].concat().into());
            AddressRange { kind, from, to }
        },
    )
}

fn footprint() -> impl Strategy<Value = Footprint> {
    let needs = select(vec![Need::Counts, Need::ScoreOrder, Need::ListOrder]);
    let derived = prop::collection::vec(needs, 0..3);
    let (cells, ranges) =
        (prop::collection::vec(address(), 0..4), prop::collection::vec(range(), 0..3));
    (cells, ranges, derived, any::<bool>()).prop_map(|(cells, ranges, derived, tallied)| {
        let (cells, ranges, derived) = (cells.into(), ranges.into(), derived.into());
        Footprint { cells, ranges, derived, tallied }
    })
}

/// What the operations and replies below are made of.
#[derive(Clone, Debug)]
struct Parts {
    a: Bytes,
    list: Vec<Bytes>,
    number: i64,
    score: Score,
    context: Context,
}

fn parts() -> impl Strategy<Value = Parts> {
    (bytes(), list(), any::<i64>(), score(), context())
        .prop_map(|(a, list, number, score, context)| Parts { a, list, number, score, context })
}

fn contents(parts: &Parts) -> Contents {
    let Parts { a, list, number, score, .. } = parts.clone();
    let mut cells = vec![
        (Address::REGISTER, Item::Value(a.clone())),
        (Address::new(Kind::Field, a.clone()), Item::ValueUntil(a.clone(), number.unsigned_abs())),
        (Address::new(Kind::Scored, a), Item::Score(score)),
        (Address::new(Kind::Sketch, vec![0, 7]), Item::Rank(51)),
        (Address::new(Kind::EnableFlag, ""), Item::Present),
    ];
    cells.extend(list.into_iter().map(|m| (Address::new(Kind::Member, m), Item::Present)));
    cells.sort_by(|one, other| one.0.cmp(&other.0));
    cells.dedup_by(|one, other| one.0 == other.0);
    Contents { cells, deadline: Some(number.unsigned_abs()) }
}

/// At least one of every variant.
fn operations(parts: &Parts) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    operations.extend(key(parts).map(Operation::Key));
    operations.extend(string(parts).map(Operation::String));
    operations.extend(hash(parts).map(Operation::Hash));
    operations.extend(map(parts).map(Operation::Map));
    for kind in [FlagKind::EnableWins, FlagKind::DisableWins] {
        let verbs = [FlagVerb::Enable, FlagVerb::Disable, FlagVerb::Read];
        operations.extend(verbs.map(|verb| Operation::Flag(FlagOperation { kind, verb })));
    }
    for kind in [SetKind::AddWins, SetKind::RemoveWins, SetKind::GrowOnly] {
        let verbs = set(parts).map(|verb| SetOperation { kind, verb });
        operations.extend(verbs.map(Operation::Set));
    }
    operations.extend(sorted_set(parts).map(Operation::SortedSet));
    operations.extend(positional(parts).map(Operation::List));
    let registers = vec![(7, 51), (u16::MAX, u8::MAX)];
    let sketch = [
        HyperLogLogOperation::Add(parts.list.clone()),
        HyperLogLogOperation::Count(registers.clone()),
        HyperLogLogOperation::Registers,
        HyperLogLogOperation::Merge(registers),
    ];
    operations.extend(sketch.map(Operation::HyperLogLog));
    operations
}

fn key(parts: &Parts) -> impl Iterator<Item = KeyOperation> {
    let conditions = [
        Condition::Always,
        Condition::IfNever,
        Condition::IfAny,
        Condition::IfLater,
        Condition::IfEarlier,
        Condition::IfAnyAndEarlier,
    ];
    let at = parts.number.unsigned_abs();
    let expire = conditions.map(|condition| KeyOperation::ExpireAt { at, condition });
    let store = KeyOperation::Store { contents: Box::new(contents(parts)), replace: true };
    let others = [
        KeyOperation::Delete,
        KeyOperation::Exists,
        KeyOperation::Type,
        KeyOperation::TimeToLive,
        KeyOperation::ExpireTime,
        KeyOperation::Persist,
        KeyOperation::Contents,
        store,
        KeyOperation::RemoveExpired { since_millis: 1_000 },
        KeyOperation::RemoveTallied(7),
        KeyOperation::Kinds,
    ];
    expire.into_iter().chain(others)
}

fn string(parts: &Parts) -> impl Iterator<Item = StringOperation> {
    let Parts { a, number, context, .. } = parts.clone();
    let conditions = [SetCondition::Always, SetCondition::IfAbsent, SetCondition::IfPresent];
    let expires = [Expire::Keep, Expire::Never, Expire::At(number.unsigned_abs())];
    let value = a.clone();
    let set = conditions.into_iter().zip(expires).map(move |(condition, expire)| {
        StringOperation::Set { value: value.clone(), condition, get: true, expire }
    });
    let others = [
        StringOperation::Get,
        StringOperation::GetRange { start: number, end: -1 },
        StringOperation::Length,
        StringOperation::GetDelete,
        StringOperation::GetExpire(Expire::Never),
        StringOperation::Append(a.clone()),
        StringOperation::SetRange { offset: number, value: a.clone() },
        StringOperation::IncrementBy(number),
        StringOperation::IncrementByFloat(a.clone()),
        StringOperation::GetSiblings,
        StringOperation::PutSibling { value: a, replaces: context },
    ];
    set.chain(others)
}

fn hash(parts: &Parts) -> impl Iterator<Item = HashOperation> {
    let Parts { a, list, number, .. } = parts.clone();
    let pairs: Vec<_> = list.iter().map(|field| (field.clone(), a.clone())).collect();
    let expire = Expire::At(number.unsigned_abs());
    let condition = SetCondition::IfAbsent;
    let count = number.unsigned_abs();
    [
        HashOperation::Get(list.clone()),
        HashOperation::All,
        HashOperation::Fields,
        HashOperation::Values,
        HashOperation::Count,
        HashOperation::Contains(a.clone()),
        HashOperation::Length(a.clone()),
        HashOperation::Set(pairs.clone()),
        HashOperation::SetIfAbsent { field: a.clone(), value: a.clone() },
        HashOperation::Remove(list.clone()),
        HashOperation::GetDelete(list.clone()),
        HashOperation::IncrementBy { field: a.clone(), by: number },
        HashOperation::IncrementByFloat { field: a.clone(), by: a.clone() },
        HashOperation::Random(count),
        HashOperation::RandomRepeated(count),
        HashOperation::Scan { after: Some(a), count: 9 },
        HashOperation::ExpireAt { fields: list.clone(), at: count, condition: Condition::IfLater },
        HashOperation::TimeToLive(list.clone()),
        HashOperation::ExpireTime(list.clone()),
        HashOperation::Persist(list.clone()),
        HashOperation::GetExpire { fields: list.clone(), expire: Expire::Never },
        HashOperation::SetExpire { pairs, condition, expire },
        HashOperation::RemoveExpired(list),
    ]
    .into_iter()
}

fn map(parts: &Parts) -> impl Iterator<Item = MapOperation> {
    let Parts { a, mut list, number, .. } = parts.clone();
    list.push(a.clone());
    let path = MapPath::new(list).expect("segments");
    [
        MapOperation::Get(path.clone()),
        MapOperation::Set { path: path.clone(), value: a.clone() },
        MapOperation::IncrementBy { path: path.clone(), by: number },
        MapOperation::IncrementByFloat { path: path.clone(), by: a },
        MapOperation::Remove { path: path.clone(), cells_max: 9 },
        MapOperation::Entries(Some(path)),
        MapOperation::Count(None),
    ]
    .into_iter()
}

fn set(parts: &Parts) -> impl Iterator<Item = SetVerb> + use<> {
    let Parts { a, list, number, .. } = parts.clone();
    let count = number.unsigned_abs();
    [
        SetVerb::Add(list.clone()),
        SetVerb::Remove(list.clone()),
        SetVerb::Contains(list.clone()),
        SetVerb::Count,
        SetVerb::Members,
        SetVerb::Scan { after: Some(a), count: 9 },
        SetVerb::Pop(count),
        SetVerb::Random(count),
        SetVerb::RandomRepeated(count),
        SetVerb::Store(list),
    ]
    .into_iter()
}

fn sorted_set(parts: &Parts) -> impl Iterator<Item = SortedSetOperation> {
    let Parts { a, list, number, score, .. } = parts.clone();
    let conditions = [
        AddCondition::Always,
        AddCondition::IfAbsent,
        AddCondition::IfPresent,
        AddCondition::IfGreater,
        AddCondition::IfPresentAndGreater,
        AddCondition::IfLess,
        AddCondition::IfPresentAndLess,
    ];
    let member = a.clone();
    let increment = conditions.into_iter().map(move |condition| SortedSetOperation::Increment {
        member: member.clone(),
        by: score,
        condition,
    });
    let members: Vec<_> = list.iter().map(|member| (member.clone(), score)).collect();
    let ranges = [
        SortedSetRange::Ranks { start: number, stop: -1 },
        SortedSetRange::Scores { min: Bound::Excluded(score), max: Bound::Unbounded },
        SortedSetRange::Names { min: Bound::Included(a.clone()), max: Bound::Excluded(a.clone()) },
    ];
    let limit = RangeLimit { offset: number, count: -1 };
    let direction = Direction::Backward;
    let ranged = ranges.clone().map(|range| SortedSetOperation::Range { range, direction, limit });
    let [ranks, scores, _] = ranges;
    let condition = AddCondition::Always;
    let others = [
        SortedSetOperation::Add { members: members.clone(), condition, count_changed: true },
        SortedSetOperation::Remove(list.clone()),
        SortedSetOperation::Scores(list),
        SortedSetOperation::Count,
        SortedSetOperation::CountRange(ranks),
        SortedSetOperation::Rank { member: a.clone(), direction: Direction::Forward },
        SortedSetOperation::Pop { direction, count: number.unsigned_abs() },
        SortedSetOperation::RemoveRange(scores),
        SortedSetOperation::Random(number.unsigned_abs()),
        SortedSetOperation::RandomRepeated(number.unsigned_abs()),
        SortedSetOperation::Scan { after: Some(a), count: 9 },
        SortedSetOperation::Store(members),
    ];
    increment.chain(ranged).chain(others)
}

fn positional(parts: &Parts) -> impl Iterator<Item = ListOperation> {
    let Parts { a, list, number, .. } = parts.clone();
    let (value, pivot) = (a.clone(), a.clone());
    [
        ListOperation::Push(ListEnd::Left, list.clone()),
        ListOperation::PushIfPresent(ListEnd::Right, list),
        ListOperation::Pop(ListEnd::Left),
        ListOperation::PopMany(ListEnd::Right, number.unsigned_abs()),
        ListOperation::Length,
        ListOperation::Range { start: number, stop: -1 },
        ListOperation::Index(number),
        ListOperation::Set { index: number, value: a.clone() },
        ListOperation::Insert { side: PivotSide::Before, pivot: a.clone(), value: a.clone() },
        ListOperation::Insert { side: PivotSide::After, pivot, value: a.clone() },
        ListOperation::Remove { count: number, value: a },
        ListOperation::Trim { start: number, stop: -1 },
        ListOperation::Find { value, rank: NonZeroI64::MIN, count: None, compared_max: 3 },
    ]
    .into_iter()
}

/// One of every variant.
fn replies(parts: &Parts) -> [Reply; 16] {
    let Parts { a, list, number, score, context } = parts.clone();
    let each = || list.iter().cloned();
    [
        Reply::Done,
        Reply::Nothing,
        Reply::Integer(number),
        Reply::Value(a.clone()),
        Reply::Values(each().map(Some).chain([None]).collect()),
        Reply::Pairs(each().map(|field| (field, a.clone())).collect()),
        Reply::Entries(vec![(list.clone(), a.clone())]),
        Reply::Score(score),
        Reply::Scores(vec![Some(score), None]),
        Reply::Scored(each().map(|member| (member, score)).collect()),
        Reply::Ranked(number, score),
        Reply::Integers(vec![number, 0]),
        Reply::Type(Shown::SortedSet),
        Reply::Siblings(list.clone(), context),
        Reply::Contents(Some(Box::new(contents(parts)))),
        Reply::Registers(vec![(7, 51)]),
    ]
}

fn errors(number: u64) -> [OpError; 25] {
    let bytes = usize::try_from(number).expect("64 bits");
    let too_large = |what| OpError::TooLarge { what, bytes, bytes_max: 9 };
    [
        OpError::WrongType,
        OpError::NotHyperLogLog,
        OpError::NotInteger,
        OpError::FieldNotInteger,
        OpError::NotFloat,
        OpError::FieldNotFloat,
        OpError::Overflow,
        OpError::OutOfDecimals,
        OpError::IncrementInfinite,
        OpError::ScoreNotNumber,
        OpError::TooLong,
        OpError::OffsetOutOfRange,
        OpError::IndexOutOfRange,
        OpError::MalformedPosition,
        OpError::NoSuchKey,
        too_large(Limited::Key),
        too_large(Limited::Value),
        OpError::TooManySiblings { siblings: 100 },
        OpError::TooManyRandom { count: number, count_max: 9 },
        OpError::GrowOnly,
        OpError::NeedsWholeKey,
        OpError::NeedsTallies,
        OpError::Counting,
        OpError::Damaged,
        OpError::TooManyTallies { tallied: number },
    ]
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(values: &[T]) {
    for value in values {
        let encoded = encode(value);
        assert_eq!(rmp_serde::from_slice::<T>(&encoded).as_ref().ok(), Some(value));
        assert_eq!(rmp_serde::from_read::<_, T>(&encoded[..]).as_ref().ok(), Some(value));
    }
}

/// What bytes decode to, if to anything, can be sent on.
fn decodes_soundly<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = rmp_serde::from_slice::<T>(bytes) {
        comes_back(&[value]);
    }
}

fn decodes_soundly_as_anything(bytes: &[u8]) {
    decodes_soundly::<Operation>(bytes);
    decodes_soundly::<Reply>(bytes);
    decodes_soundly::<OpError>(bytes);
    decodes_soundly::<Footprint>(bytes);
    if let Ok(operation) = rmp_serde::from_slice::<Operation>(bytes) {
        let mut clock = Clock::new();
        let mut mint = Mint::new(Dot::new(Actor(1), 1), &mut clock, 1_700_000_000_000, 7);
        // Answered or refused; either way without a panic.
        if let Ok((_, delta)) = operation.evaluate(&State::new(), &mut mint) {
            State::new().join_delta(&delta);
        }
    }
}

proptest! {
    #[test]
    fn every_operation_comes_back_from_a_message(parts in parts()) {
        comes_back(&operations(&parts));
    }

    #[test]
    fn every_reply_comes_back_from_a_message(parts in parts()) {
        comes_back(&replies(&parts));
        comes_back(&errors(parts.number.unsigned_abs()));
    }

    #[test]
    fn the_parts_of_requests_come_back_from_a_message(
        footprint in footprint(),
        context in context(),
        time in any::<u64>(),
    ) {
        comes_back(&[footprint]);
        comes_back(&[context]);
        comes_back(&[HybridTime(time)]);
    }

    #[test]
    fn damaged_messages_are_refused_or_sound(
        parts in parts(),
        at in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(at.get(&operations(&parts)));
        let place = place.index(bytes.len());
        bytes[place] = byte;
        decodes_soundly_as_anything(&bytes);
        decodes_soundly_as_anything(&bytes[..place]);
        let mut bytes = encode(at.get(&replies(&parts)));
        let place = place % bytes.len();
        bytes[place] = byte;
        decodes_soundly_as_anything(&bytes);
    }

    #[test]
    fn no_list_is_allocated_at_its_declared_length(
        parts in parts(),
        footprint in footprint(),
    ) {
        let (operations, replies) = (operations(&parts), replies(&parts));
        let encoded = operations.iter().map(encode).chain(replies.iter().map(encode));
        for bytes in encoded.chain([encode(&footprint)]) {
            // Whatever is a short list's header there, or a byte string's, claims 4 Gi elements instead.
            for at in 0..bytes.len() {
                let longest = match bytes[at] {
                    0x90..=0x9f | 0xdc => 0xdd,
                    0xc4 => 0xc6,
                    _ => continue,
                };
                let mut claiming = bytes[..at].to_vec();
                claiming.extend([longest, 0xff, 0xff, 0xff, 0xff]);
                claiming.extend(&bytes[at + 1..]);
                decodes_soundly_as_anything(&claiming);
            }
        }
    }
}

#[test]
fn any_bytes_decode_without_panic() {
    bolero::check!().with_iterations(20_000).with_max_len(128).for_each(|input: &[u8]| {
        decodes_soundly_as_anything(input);
    });
}

#[test]
fn invalid_values_are_refused() {
    fn refused<T: DeserializeOwned>(sent: &impl Serialize) -> bool {
        rmp_serde::from_slice::<T>(&encode(sent)).is_err()
    }
    let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
    assert!(refused::<Score>(&f64::NAN));
    assert!(refused::<Kind>(&12u8) && !refused::<Kind>(&15u8));
    assert!(refused::<Dot>(&(1u64, 0u64)) && refused::<Dot>(&(1u64, u64::MAX)));
    assert!(refused::<Address>(&(1u8, &a)) && !refused::<Address>(&(2u8, &a)));
    assert!(refused::<AddressRange>(&(5u8, &b, Some(&a))));
    assert!(!refused::<AddressRange>(&(5u8, &a, Some(&b))));
    assert!(refused::<MapPath>(&Vec::<Bytes>::new()));
    assert!(refused::<ListOperation>(
        &[("Find", (&a, 0i64, None::<u64>, 1u64))]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
    ));
    // A cloud that continues the vector.
    let unfolded = [&[1][..], &[7; 8], &[1, 1], &[7; 8], &[2]].concat();
    assert!(refused::<Context>(&Bytes::from(unfolded)));
    let unsorted = [&[1, 0, 2, 5, 1][..], b"b", &[0, 5, 1], b"a", &[0]].concat();
    assert!(refused::<Contents>(&Bytes::from(unsorted)));
}
