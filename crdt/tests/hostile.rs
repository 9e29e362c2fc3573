//! Values that decode and that no replica of ours would have sent: they join, and operations evaluate on
//! what comes of it, without a panic.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::encoding::{
    decode_delta, decode_partial, decode_root, encode_delta, encode_partial, encode_root,
};
use coterie_crdt::operation::{
    AddCondition, Condition, Expire, FlagKind, FlagOperation, FlagVerb, HashOperation,
    HyperLogLogOperation, KeyOperation, ListEnd, ListOperation, MapOperation, MapPath, Operation,
    PivotSide, RangeLimit, SetCondition, SetKind, SetOperation, SetVerb, SortedSetOperation,
    SortedSetRange, StringOperation, evaluate_all,
};
use coterie_crdt::tally::{Share, Tally, Unit};
use coterie_crdt::{
    Actor, Actors, Address, AddressRange, COUNTED_KINDS, Cell, Cells, Clock, Context, Delta,
    Direction, Dot, Footprint, HybridTime, Kind, Mint, Partial, Payload, Root, Score, State,
    adopt_context, sweep,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

const OWN: Actor = Actor(1);
const WALL_MILLIS: u64 = 1_700_000_000_000;

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 20_000 } else { 200 };
    let rng_seed = RngSeed::Fixed(0x40571);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

fn dot() -> impl Strategy<Value = Dot> {
    let actor = select(vec![0, OWN.0, 2, u64::MAX]);
    let sequence = prop_oneof![
        6 => 1..6u64,
        1 => select(vec![1 << 60, (1 << 60) - 1, (1 << 62) - 1, 1 << 62]),
    ];
    (actor, sequence).prop_map(|(actor, sequence)| Dot::new(Actor(actor), sequence))
}

fn context() -> impl Strategy<Value = Context> {
    let vector = prop::collection::btree_map(select(vec![0, 1, 2, u64::MAX]), upto(), 0..3);
    let cloud = prop::collection::vec(dot(), 0..4);
    (vector, cloud).prop_map(|(vector, cloud)| {
        let vector = vector.into_iter().map(|(actor, upto)| (Actor(actor), upto));
        let mut context = Context::from_parts(vector, []).expect("sorted and not zero");
        cloud.into_iter().for_each(|dot| context.insert(dot));
        context
    })
}

fn upto() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1..6u64, 1 => select(vec![1 << 60, 1 << 62])]
}

fn time() -> impl Strategy<Value = HybridTime> {
    select(vec![0, 1, WALL_MILLIS << 16, u64::MAX - 1, u64::MAX]).prop_map(HybridTime)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    let texts = ["", "a", "b", "7", "-0", "9223372036854775807", "1e20", "0.1", "nan", "inf"];
    select(texts.map(|text| Bytes::from_static(text.as_bytes())).to_vec())
}

fn score() -> impl Strategy<Value = Score> {
    let numbers = [0.0, 1.5, -2.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY];
    select(numbers.to_vec()).prop_map(|number| Score::new(number).expect("a number"))
}

fn deadline() -> impl Strategy<Value = u64> {
    select(vec![0, 1, WALL_MILLIS - 1, WALL_MILLIS + 1, u64::MAX])
}

fn payload(kind: Kind) -> impl Strategy<Value = Payload> {
    let any = (time(), bytes(), score(), 1..=51u8, prop::option::of(deadline()));
    (any, any_index()).prop_map(move |((time, value, score, rank, deadline), index)| {
        let mut payloads = vec![
            Payload::Present,
            Payload::Removed,
            Payload::Value(time, value),
            Payload::Score(time, score),
            Payload::Rank(rank),
            Payload::Deadline(time, deadline),
        ];
        payloads.retain(|payload| kind.admits(payload));
        index.get(&payloads).clone()
    })
}

fn any_index() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}

fn amount(unit: Unit) -> impl Strategy<Value = u128> {
    match unit {
        Unit::Decimal => select(vec![0, 1, 10u128.pow(17), 1 << 126, i128::MAX.unsigned_abs()]),
        Unit::Float => {
            let numbers = [0.0, f64::MIN_POSITIVE, 2.5, f64::MAX, f64::INFINITY];
            select(numbers.map(|number: f64| u128::from(number.to_bits())).to_vec())
        }
    }
}

fn tally(unit: Unit) -> impl Strategy<Value = Tally> {
    (amount(unit), amount(unit), amount(unit), amount(unit)).prop_map(|(p, n, p0, n0)| Tally {
        p: p.max(p0).max(1),
        n: n.max(n0),
        p0,
        n0,
    })
}

fn cell(kind: Kind) -> impl Strategy<Value = Cell> {
    let share = (select(vec![0, OWN.0, 2]), select(vec![0, 1, u32::MAX - 1, u32::MAX]))
        .prop_map(|(actor, ordinal)| Share { actor: Actor(actor), ordinal });
    let tallies = if kind.has_tallies() { 0..3 } else { 0..1 };
    let tallies = prop::collection::btree_map(share, tally(kind.unit()), tallies);
    (prop::collection::btree_map(dot(), payload(kind), 0..3), tallies)
        .prop_map(|(dots, tallies)| Cell::from_parts(dots, tallies).expect("sorted"))
}

/// Paths that the operations below name, and others that no operation of ours makes.
fn path(kind: Kind) -> BoxedStrategy<Bytes> {
    let any = [&b""[..], b"a", b"b", b"\0\x07", b"a\0\x01b\0\x01", b"a\0", b"\xff\xff\xff"];
    let positions = [&b"\x80\0\0\0\0\0\0\0\x01\x01\x01\x80\x01"[..], b"\x80", b"junk", b""];
    let last = b"\x88\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x01\x01\x01\x80\x01";
    match kind {
        kind if kind.is_single() => Just(Bytes::new()).boxed(),
        Kind::Element => {
            let positions = positions.into_iter().chain([&last[..]]);
            let positions = positions.map(Bytes::copy_from_slice);
            select(positions.collect::<Vec<_>>()).boxed()
        }
        _ => select(any.map(Bytes::copy_from_slice).to_vec()).boxed(),
    }
}

fn cells(kinds: Vec<Kind>) -> impl Strategy<Value = BTreeMap<Address, Cell>> {
    let one = select(kinds).prop_flat_map(|kind| {
        (path(kind).prop_map(move |path| Address::new(kind, path)), cell(kind))
    });
    prop::collection::vec(one, 0..6).prop_map(|cells| cells.into_iter().collect())
}

fn with_dots_of<'a>(mut context: Context, cells: impl IntoIterator<Item = &'a Cell>) -> Context {
    let dots = cells.into_iter().flat_map(Cell::dots).map(|(dot, _)| *dot);
    dots.for_each(|dot| context.insert(dot));
    context
}

fn delta() -> impl Strategy<Value = Delta> {
    let kinds = COUNTED_KINDS.into_iter().chain([Kind::Register, Kind::Expiry]).collect();
    (context(), prop::option::of(context()), cells(kinds)).prop_map(
        |(context, whole, mut cells)| {
            if let Some(whole) = &whole {
                cells.values_mut().for_each(|cell| cell.retain(|dot, _| !whole.contains(dot)));
            }
            let mut context = with_dots_of(context, cells.values());
            whole.iter().for_each(|whole| context.join(whole));
            Delta::from_parts(context, whole, cells).expect("names its dots")
        },
    )
}

fn counts() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        4 => Just(vec![0]),
        2 => Just(vec![1]),
        1 => Just(vec![2]),
        1 => Just(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]),
    ];
    prop::collection::vec(number, 14).prop_map(|numbers| numbers.concat())
}

/// A root whose counts and sums are anything.
fn root() -> impl Strategy<Value = Root> {
    let sums = prop::collection::vec(any::<u8>(), 32);
    (context(), cell(Kind::Register), cell(Kind::Expiry), counts(), sums).prop_map(
        |(context, register, expiry, counts, sums)| {
            let context = with_dots_of(context, [&register, &expiry]);
            let mut bytes = encode_root(&Root { context, register, expiry, ..Root::default() });
            // The flags are the byte behind the version; counts and sums come last.
            bytes[1] |= 0b100;
            bytes.extend([counts, sums].concat());
            decode_root(&bytes.into()).expect("sums that are not 0")
        },
    )
}

fn partial() -> impl Strategy<Value = Partial> {
    let range = (select(COUNTED_KINDS.to_vec()), prop::option::of(Just(Bytes::from_static(b"b"))));
    let ranges = prop::collection::vec(range, 0..3);
    let tallied = prop::option::of(cells(vec![Kind::Field, Kind::Nested, Kind::Scored]));
    (root(), cells(COUNTED_KINDS.to_vec()), ranges, tallied, any::<bool>()).prop_map(
        |(mut root, cells, ranges, tallied, exact)| {
            root.context = with_dots_of(root.context, cells.values());
            let range = |(kind, to)| AddressRange { kind, from: Bytes::new(), to };
            let tallied = tallied.map(|mut tallied| {
                tallied.values_mut().for_each(|cell| cell.retain(|_, _| false));
                tallied
            });
            let ranges = ranges.into_iter().map(range).collect();
            Partial::from_parts(root, cells, ranges, tallied, exact, !exact)
                .expect("names its dots")
        },
    )
}

/// Operations of every family, on what the cells above are at.
fn operations() -> Vec<Operation> {
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
            KeyOperation::RemoveExpired,
            KeyOperation::RemoveTallied(1),
            KeyOperation::Delete,
        ]
        .map(Operation::Key),
    );
    operations
}

/// Evaluates every operation by itself, and all of them one after the other; the deltas join.
fn evaluate_on(cells: &impl Cells, replica: &State, operations: &[Operation]) {
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn hostile_deltas_join_and_are_operated_on(deltas in prop::collection::vec(delta(), 1..4)) {
        let mut state = State::new();
        for delta in &deltas {
            let decoded = decode_delta(&encode_delta(delta).into());
            prop_assert_eq!(decoded.as_ref(), Ok(delta));
            state.join_delta(delta);
            state.apply(sweep(&state, 1));
        }
        let operations = operations();
        evaluate_on(&state, &state, &operations);
        let partial = Partial::extract(&state, &Footprint::whole().and(Footprint::tallied()));
        evaluate_on(&partial, &state, &operations);
        // Kept in step with the rows through all of that, sums and counts come to what the rows say.
        state.sweep();
        let mut anew = State::new();
        anew.join(&state);
        prop_assert_eq!(anew.digest(), state.digest());
        prop_assert_eq!(anew.cells(), state.cells());
        let counts = |state: &State| state.root().map(|root| root.counts.clone());
        prop_assert_eq!(counts(&anew), counts(&state));
    }

    #[test]
    fn hostile_partial_states_join_and_are_operated_on(
        delta in delta(),
        partials in prop::collection::vec(partial(), 1..3),
        context in context(),
    ) {
        let mut state = State::new();
        state.join_delta(&delta);
        let operations = operations();
        let whole = Footprint::whole().and(Footprint::tallied());
        for partial in &partials {
            let decoded = decode_partial(&encode_partial(partial).into());
            prop_assert_eq!(decoded.as_ref(), Ok(partial));
            evaluate_on(partial, &state, &operations);
            let mut joined = Partial::extract(&state, &whole);
            // Of another footprint in most cases, which is refused.
            let _refused = joined.join(partial);
            let mut joined = partial.clone();
            prop_assert!(joined.join(partial).is_ok());
            evaluate_on(&joined, &state, &operations);
            state.join_partial(partial);
        }
        state.apply(adopt_context(&state, &context));
        evaluate_on(&state, &state, &operations);
        state.sweep();
    }
}

#[test]
fn a_delta_that_adds_a_dot_which_it_deletes_is_refused() {
    let context: Context = [Dot::new(OWN, 1)].into_iter().collect();
    let cell = Cell::from_parts([(Dot::new(OWN, 1), Payload::Present)], []).expect("sorted");
    let cells = [(Address::new(Kind::Member, "a"), cell)];
    assert!(Delta::from_parts(context.clone(), None, cells.clone()).is_some());
    assert!(Delta::from_parts(context.clone(), Some(context), cells).is_none());
}

#[test]
fn a_range_that_ends_before_it_starts_is_refused() {
    let range = |from: &'static [u8], to: &'static [u8]| AddressRange {
        kind: Kind::Member,
        from: Bytes::from_static(from),
        to: Some(Bytes::from_static(to)),
    };
    let of = |range| {
        Partial::from_parts(Root::default(), BTreeMap::new(), vec![range], None, true, false)
    };
    assert!(of(range(b"b", b"a")).is_none());
    let empty = of(range(b"b", b"b")).expect("an empty range is one");
    assert_eq!(decode_partial(&encode_partial(&empty).into()).as_ref(), Ok(&empty));
    State::new().join_partial(&empty);
}
