//! Values that decode and that no replica of ours would have sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::encoding::{decode_root, encode_root};
use coterie_crdt::tally::{Share, Tally, Unit};
use coterie_crdt::{
    Actor, Address, AddressRange, COUNTED_KINDS, Cell, Context, Delta, Dot, HybridTime, Kind,
    Partial, Payload, Root, Score,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{OWN, WALL_MILLIS};

pub(crate) fn dot() -> impl Strategy<Value = Dot> {
    let actor = select(vec![0, OWN.0, 2, u64::MAX]);
    let sequence = prop_oneof![
        6 => 1..6u64,
        1 => select(vec![1 << 60, (1 << 60) - 1, (1 << 62) - 1, 1 << 62]),
    ];
    (actor, sequence).prop_map(|(actor, sequence)| Dot::new(Actor(actor), sequence))
}

pub(crate) fn context() -> impl Strategy<Value = Context> {
    let vector = prop::collection::btree_map(select(vec![0, 1, 2, u64::MAX]), upto(), 0..3);
    let cloud = prop::collection::vec(dot(), 0..4);
    (vector, cloud).prop_map(|(vector, cloud)| {
        let vector = vector.into_iter().map(|(actor, upto)| (Actor(actor), upto));
        let mut context = Context::from_parts(vector, []).expect("sorted and not zero");
        cloud.into_iter().for_each(|dot| context.insert(dot));
        context
    })
}

pub(crate) fn upto() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1..6u64, 1 => select(vec![1 << 60, 1 << 62])]
}

pub(crate) fn time() -> impl Strategy<Value = HybridTime> {
    select(vec![0, 1, WALL_MILLIS << 16, u64::MAX - 1, u64::MAX]).prop_map(HybridTime)
}

pub(crate) fn bytes() -> impl Strategy<Value = Bytes> {
    let texts = ["", "a", "b", "7", "-0", "9223372036854775807", "1e20", "0.1", "nan", "inf"];
    select(texts.map(|text| Bytes::from_static(text.as_bytes())).to_vec())
}

pub(crate) fn score() -> impl Strategy<Value = Score> {
    let numbers = [0.0, 1.5, -2.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY];
    select(numbers.to_vec()).prop_map(|number| Score::new(number).expect("a number"))
}

pub(crate) fn deadline() -> impl Strategy<Value = u64> {
    select(vec![0, 1, WALL_MILLIS - 1, WALL_MILLIS + 1, u64::MAX])
}

pub(crate) fn payload(kind: Kind) -> impl Strategy<Value = Payload> {
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

pub(crate) fn any_index() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}

pub(crate) fn amount(unit: Unit) -> impl Strategy<Value = u128> {
    match unit {
        Unit::Decimal => select(vec![0, 1, 10u128.pow(17), 1 << 126, i128::MAX.unsigned_abs()]),
        Unit::Float => {
            let numbers = [0.0, f64::MIN_POSITIVE, 2.5, f64::MAX, f64::INFINITY];
            select(numbers.map(|number: f64| u128::from(number.to_bits())).to_vec())
        }
    }
}

pub(crate) fn tally(unit: Unit) -> impl Strategy<Value = Tally> {
    (amount(unit), amount(unit), amount(unit), amount(unit)).prop_map(|(p, n, p0, n0)| Tally {
        p: p.max(p0).max(1),
        n: n.max(n0),
        p0,
        n0,
    })
}

pub(crate) fn cell(kind: Kind) -> impl Strategy<Value = Cell> {
    let share = (select(vec![0, OWN.0, 2]), select(vec![0, 1, u32::MAX - 1, u32::MAX]))
        .prop_map(|(actor, ordinal)| Share { actor: Actor(actor), ordinal });
    let tallies = if kind.has_tallies() { 0..3 } else { 0..1 };
    let tallies = prop::collection::btree_map(share, tally(kind.unit()), tallies);
    (prop::collection::btree_map(dot(), payload(kind), 0..3), tallies)
        .prop_map(|(dots, tallies)| Cell::from_parts(dots, tallies).expect("sorted"))
}

/// Paths that the operations below name, and others that no operation of ours makes.
pub(crate) fn path(kind: Kind) -> BoxedStrategy<Bytes> {
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

pub(crate) fn cells(kinds: Vec<Kind>) -> impl Strategy<Value = BTreeMap<Address, Cell>> {
    let one = select(kinds).prop_flat_map(|kind| {
        (path(kind).prop_map(move |path| Address::new(kind, path)), cell(kind))
    });
    prop::collection::vec(one, 0..6).prop_map(|cells| cells.into_iter().collect())
}

pub(crate) fn with_dots_of<'a>(
    mut context: Context,
    cells: impl IntoIterator<Item = &'a Cell>,
) -> Context {
    let dots = cells.into_iter().flat_map(Cell::dots).map(|(dot, _)| *dot);
    dots.for_each(|dot| context.insert(dot));
    context
}

pub(crate) fn delta() -> impl Strategy<Value = Delta> {
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

pub(crate) fn counts() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        4 => Just(vec![0]),
        2 => Just(vec![1]),
        1 => Just(vec![2]),
        1 => Just(vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]),
    ];
    prop::collection::vec(number, 14).prop_map(|numbers| numbers.concat())
}

/// A root whose counts and sums are anything.
pub(crate) fn root() -> impl Strategy<Value = Root> {
    let sums = prop::collection::vec(1..=u8::MAX, 32);
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

pub(crate) fn partial() -> impl Strategy<Value = Partial> {
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
