//! Encodings: golden bytes, round trips, and bytes from anywhere.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::encoding::{
    DecodeError, decode_cell, decode_contents, decode_context, decode_delta, decode_partial,
    decode_root, encode_cell, encode_contents, encode_context, encode_delta, encode_partial,
    encode_root,
};
use coterie_crdt::operation::{
    Contents, Expire, HashOperation, HyperLogLogOperation, Item, KeyOperation, Operation, Reply,
    SetCondition, SetKind, SetOperation, SetVerb, StringOperation,
};
use coterie_crdt::{
    Actor, Actors, Address, AddressRange, Cell, Cells, Clock, Context, ContextToken, Delta, Dot,
    Footprint, Kind, Mint, Partial, PendingDelete, Recount, Root, State, Transfer, begin_transfer,
    join_transferred, recount,
};
use proptest::prelude::*;

const WALL_MILLIS: u64 = 1_700_000_000_000;

/// A replica that evaluates and joins its own deltas.
struct Replica {
    state: State,
    clock: Clock,
    actors: Actors,
}

impl Replica {
    fn new(actor: u64) -> Self {
        Replica { state: State::new(), clock: Clock::new(), actors: Actors::new(Actor(actor)) }
    }

    fn run(&mut self, operation: &Operation) -> (Reply, Delta) {
        let context = self.state.root().map_or_else(Context::new, |root| root.context.clone());
        let next = self.actors.next_dot(&context).expect("not exhausted");
        let mut mint = Mint::new(next, &mut self.clock, WALL_MILLIS, 7);
        let (reply, delta) = operation.evaluate(&self.state, &mut mint).expect("evaluates");
        self.state.join_delta(&delta);
        (reply, delta)
    }
}

fn set(value: &'static str) -> Operation {
    Operation::String(StringOperation::Set {
        value: Bytes::from_static(value.as_bytes()),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    })
}

fn add(members: &[&'static str]) -> Operation {
    let members = members.iter().map(|m| Bytes::from_static(m.as_bytes())).collect();
    Operation::Set(SetOperation::new(SetVerb::Add(members)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_bytes(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn context(dots: &[(u64, u64)]) -> Context {
    dots.iter().map(|&(actor, sequence)| Dot::new(Actor(actor), sequence)).collect()
}

#[test]
fn a_context_is_written_as_documented() {
    let mut out = Vec::new();
    encode_context(&mut out, &context(&[(1, 1), (1, 2), (0x0102, 1), (1, 300)]));
    assert_eq!(
        hex(&out),
        "02\
         010000000000000002\
         020100000000000001\
         01\
         0100000000000000ac02"
            .replace(' ', "")
    );
}

#[test]
fn the_root_of_a_counter_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    replica.run(&Operation::String(StringOperation::IncrementBy(300)));
    let root = replica.state.root().expect("written");
    assert_eq!(
        hex(&encode_root(root)),
        "0101\
         01aa0000000000000001\
         00\
         01aa000000000000000100\
         01aa000000000000000003ac02"
    );
    let digest = coterie_crdt::digest::key_digest(root);
    assert_eq!(format!("{digest:032x}"), "25df561b08e5733dcea21cfadc283d2c");
}

#[test]
fn a_set_with_a_pending_delete_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    replica.run(&add(&["m"]));
    let (address, cell) = replica.state.cells().first_key_value().expect("added");
    assert_eq!(*address, Address::new(Kind::Member, "m"));
    assert_eq!(hex(&encode_cell(cell)), "0101aa00000000000000010000");
    let (_, delta) = replica.run(&Operation::Key(KeyOperation::Delete));
    assert_eq!(
        hex(&encode_delta(&delta)),
        "010101aa000000000000000200".to_owned() + "01aa00000000000000010000"
    );
    let root = replica.state.root().expect("written");
    let empty_sums = "00".repeat(32);
    assert_eq!(
        hex(&encode_root(root)),
        format!(
            "010c01aa000000000000000200\
             00000000000000000000000000\
             01{empty_sums}\
             01aa000000000000000100\
             0000\
             00"
        )
    );
}

#[test]
fn a_root_with_a_transfer_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    replica.run(&add(&["m"]));
    let sender = replica.state.root().expect("written").context.clone();
    let member = Address::new(Kind::Member, "m");
    let mut state = State::new();
    state.apply(begin_transfer(&state, &sender));
    let bytes = encode_root(state.root().expect("begun"));
    assert_eq!(hex(&bytes), "0110 0000 01aa000000000000000100 00".replace(' ', ""));
    let chunk = Partial::extract(&replica.state, &Footprint::between(None, &member));
    state.apply(join_transferred(&state, &chunk, &member, 9).expect("is next"));
    let root = state.root().expect("begun");
    let bytes = encode_root(root);
    let (counts, sums) = ("00000001000000000000000000 01".replace(' ', ""), 32);
    assert_eq!(hex(&bytes[..18]), "01140000".to_owned() + &counts);
    assert_eq!(hex(&bytes[18 + sums..]), "01aa00000000000000010001 05016d".replace(' ', ""));
    assert_eq!(decode_root(&bytes.into()).as_ref(), Ok(root));
    // What is sent on claims the dot that it carries, and says that there may be others.
    let whole = Partial::extract(&state, &Footprint::whole());
    assert_eq!(*whole.context(), sender);
    assert_eq!(encode_partial(&whole)[1], 0b101);
}

#[test]
fn a_root_with_a_recount_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    replica.run(&add(&["l", "m"]));
    replica.state.apply(recount(&replica.state, 1));
    let root = replica.state.root().expect("written");
    let bytes = encode_root(root);
    assert_eq!(hex(&bytes[..13]), "012401aa000000000000000200");
    // The key's counts and sums before, 14 and 32 bytes; the recount's after.
    let counted = &bytes[13 + 14 + 32..];
    assert_eq!(hex(&counted[..18]), "0105016c 00000001000000000000000000 01".replace(' ', ""));
    assert_eq!(counted.len(), 18 + 32);
    assert_eq!(decode_root(&bytes.into()).as_ref(), Ok(root));
}

#[test]
fn a_hyperloglog_that_has_seen_nothing_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    let (_, delta) = replica.run(&Operation::HyperLogLog(HyperLogLogOperation::Add(Vec::new())));
    let bytes = encode_delta(&delta);
    assert_eq!(
        hex(&bytes),
        "010001aa000000000000000100\
         01090001aa00000000000000010000"
    );
    assert_eq!(decode_delta(&bytes.into()), Ok(delta));
    let (reply, _) = replica.run(&Operation::Key(KeyOperation::Contents));
    let Reply::Contents(Some(contents)) = reply else { panic!("the key is there") };
    let bytes = encode_contents(&contents);
    assert_eq!(hex(&bytes), "010001090000");
    assert_eq!(decode_contents(&bytes.into()), Ok(*contents));
}

#[test]
fn counts_of_kinds_where_removal_wins_are_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    for verb in [SetVerb::Add(vec!["a".into()]), SetVerb::Remove(vec!["b".into(), "c".into()])] {
        replica.run(&Operation::Set(SetOperation { kind: SetKind::RemoveWins, verb }));
    }
    let root = replica.state.root().expect("written");
    let counts = "00000000 01 0000000000 02 00 00 03".replace(' ', "");
    let bytes = encode_root(root);
    assert_eq!(hex(&bytes[..27]), "010401aa000000000000000300".to_owned() + &counts);
    assert_eq!(bytes.len(), 27 + 32, "then the two sums");
    assert_eq!(decode_root(&bytes.into()).as_ref(), Ok(root));
}

/// A replica of a hash with the fields `f`, which never expires, and `g`, which does.
fn expiring() -> Replica {
    let mut replica = Replica::new(0xaa);
    replica.run(&Operation::Hash(HashOperation::Set(vec![("f".into(), "v".into())])));
    replica.run(&Operation::Hash(HashOperation::SetExpire {
        pairs: vec![("g".into(), "w".into())],
        condition: SetCondition::Always,
        expire: Expire::At(WALL_MILLIS + 1),
    }));
    replica
}

#[test]
fn a_field_with_a_deadline_is_written_as_documented() {
    let mut replica = expiring();
    let cell = replica.state.cell(&Address::new(Kind::Field, "g")).expect("set");
    let bytes = encode_cell(cell);
    let (time, later) = ("01000068e5cf8b01", "02000068e5cf8b01");
    let [value, deadline] = ["aa0000000000000002 02", "aa0000000000000003 05"];
    let expected = format!("01 02 {value} {time} 0177 {deadline} {later} 0168e5cf8b010000 00");
    assert_eq!(hex(&bytes), expected.replace(' ', ""));
    assert_eq!(decode_cell(Kind::Field, &bytes.into()).as_ref(), Ok(cell));
    let never = [&hex_bytes("0101aa000000000000000306")[..], &[0; 8], &[0]].concat();
    let refused = Err(DecodeError::NotCanonical("payload of this kind of cell"));
    assert_eq!(decode_cell(Kind::Field, &never.into()), refused, "no deadline is no dot");
    let (reply, _) = replica.run(&Operation::Key(KeyOperation::Contents));
    let Reply::Contents(Some(contents)) = reply else { panic!("the key is there") };
    let bytes = encode_contents(&contents);
    assert_eq!(
        hex(&bytes),
        "0100 02 020166 02 0176 020167 05 0177 0168e5cf8b010000".replace(' ', "")
    );
    assert_eq!(decode_contents(&bytes.into()), Ok(*contents));
}

#[test]
fn a_root_counts_fields_with_a_deadline_as_documented() {
    let mut replica = expiring();
    let root = replica.state.root().expect("written");
    let bytes = encode_root(root);
    let counts = "02000000000000000000 0000 00 02 01".replace(' ', "");
    assert_eq!(hex(&bytes[..28]), "014401aa000000000000000300".to_owned() + &counts);
    assert_eq!(bytes.len(), 28 + 32, "then the two sums");
    assert_eq!(decode_root(&bytes.into()).as_ref(), Ok(root));
    // Of a recount, which has not come to the second field, too.
    replica.state.apply(recount(&replica.state, 1));
    let root = replica.state.root().expect("written");
    let bytes = encode_root(root);
    assert_eq!(bytes[1], 0b110_0100);
    let recounted = "01 020166 01000000000000000000 0000 00 01 00".replace(' ', "");
    assert_eq!(hex(&bytes[28 + 32..][..19]), recounted);
    assert_eq!(decode_root(&bytes.into()).as_ref(), Ok(root));
    // Where there are none, nothing says so.
    let names = vec!["g".into()];
    replica.run(&Operation::Hash(HashOperation::Persist(names)));
    while replica.state.root().is_some_and(|root| root.recount.is_some()) {
        replica.state.apply(recount(&replica.state, 1));
    }
    let bytes = encode_root(replica.state.root().expect("written"));
    assert_eq!(bytes[1], 0b100);
    let mut none = bytes.clone();
    none[1] |= 1 << 6;
    none.insert(13 + 14, 0);
    assert_eq!(decode_root(&none.into()), Err(DecodeError::NotCanonical("no deadlines")));
}

#[test]
fn a_partial_state_is_written_as_documented() {
    let mut replica = Replica::new(0xaa);
    replica.run(&add(&["m"]));
    let range = AddressRange { kind: Kind::Field, from: "a".into(), to: Some("b".into()) };
    let member = Footprint::cell(Address::new(Kind::Member, "m"));
    let footprint = member.and(Footprint::range(range)).and(Footprint::tallied());
    let partial = Partial::extract(&replica.state, &footprint);
    let root = hex(&encode_root(replica.state.root().expect("written")));
    assert_eq!(
        hex(&encode_partial(&partial)),
        format!("0103{}010201610101620105016d01aa0000000000000001000000", &root[2..])
    );
}

#[test]
fn a_path_where_a_kind_has_one_cell_is_refused() {
    for kind in [Kind::Register, Kind::Expiry, Kind::EnableFlag, Kind::DisableFlag] {
        let cells = [(Address::new(kind, "path"), Cell::new())];
        let delta = Delta::from_parts(Context::new(), None, cells).expect("sorted");
        let refused = Err(DecodeError::NotCanonical("path of the only cell of a kind"));
        assert_eq!(decode_delta(&encode_delta(&delta).into()), refused);
    }
}

#[test]
fn a_context_of_three_actors_takes_at_most_48_bytes() {
    let busy = 1 << 42;
    let vector = [11, 22, 33].map(|actor| (Actor(actor << 32), busy));
    let context = Context::from_parts(vector, []).expect("sorted and folded");
    let mut out = Vec::new();
    encode_context(&mut out, &context);
    assert!(out.len() <= 48, "{} bytes", out.len());
}

#[test]
fn a_declared_length_allocates_nothing() {
    // 2^60 dots, 2^60 bytes of value: refused as truncated, not tried.
    let huge = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let bytes = Bytes::copy_from_slice(&huge);
    assert_eq!(decode_cell(Kind::Member, &bytes), Err(DecodeError::Truncated));
    assert_eq!(
        decode_root(&bytes),
        Err(DecodeError::UnknownTag { what: "root flags", value: 0xff })
    );
}

#[test]
fn a_varint_with_more_bits_than_its_type_is_refused() {
    let mut ordinal = vec![1, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    let one = [&ordinal[..], &[0b10, 1]].concat();
    assert!(decode_cell(Kind::Scored, &one.into()).is_ok());
    let too_many_bits = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
    ordinal.truncate(2);
    ordinal.extend(too_many_bits);
    let refused = Err(DecodeError::NotCanonical("varint"));
    assert_eq!(decode_cell(Kind::Scored, &ordinal.into()), refused);
    let mut amount = vec![1, 0, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0b10, 0x81];
    amount.extend([0x80; 17]);
    amount.push(0x04);
    assert_eq!(decode_cell(Kind::Scored, &amount.into()), refused);
}

#[test]
fn other_versions_are_told_apart() {
    let bytes = Bytes::from_static(&[9, 0, 0]);
    assert_eq!(decode_root(&bytes), Err(DecodeError::UnknownVersion(9)));
    assert_eq!(decode_delta(&bytes), Err(DecodeError::UnknownVersion(9)));
    assert_eq!(decode_partial(&bytes), Err(DecodeError::UnknownVersion(9)));
    assert_eq!(decode_contents(&bytes), Err(DecodeError::UnknownVersion(9)));
}

/// Everything a small history writes, as (decoder's name, bytes).
fn samples(history: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut replicas = [Replica::new(1), Replica::new(u64::MAX)];
    let mut out = Vec::new();
    for &step in history {
        let at = usize::from(step & 1);
        let operation = match (step >> 1) % 8 {
            0 => set("17"),
            1 => Operation::String(StringOperation::IncrementBy(i64::from(step) - 100)),
            2 => Operation::String(StringOperation::IncrementByFloat("0.25".into())),
            3 => add(&["a", "b"]),
            4 => Operation::Set(SetOperation::new(SetVerb::Remove(vec!["a".into()]))),
            5 => Operation::Key(KeyOperation::ExpireAt {
                at: WALL_MILLIS + 1 + u64::from(step),
                condition: coterie_crdt::operation::Condition::Always,
            }),
            6 => Operation::Key(KeyOperation::Delete),
            _ => Operation::Key(KeyOperation::Contents),
        };
        let next = {
            let known = replicas[at].state.root().map_or_else(Context::new, |r| r.context.clone());
            replicas[at].actors.next_dot(&known).expect("not exhausted")
        };
        let Replica { state, clock, .. } = &mut replicas[at];
        let mut mint = Mint::new(next, clock, WALL_MILLIS, 7);
        let Ok((reply, delta)) = operation.evaluate(state, &mut mint) else { continue };
        state.join_delta(&delta);
        out.push(("delta", encode_delta(&delta)));
        if let Reply::Contents(Some(contents)) = reply {
            out.push(("contents", encode_contents(&contents)));
        }
        if step > 128 {
            replicas[1 - at].state.join_delta(&delta);
        }
    }
    for Replica { state, .. } in &replicas {
        if let Some(root) = state.root() {
            out.push(("root", encode_root(root)));
            out.push(("partial", encode_partial(&Partial::extract(state, &Footprint::whole()))));
            out.push(("partial", encode_partial(&Partial::extract(state, &Footprint::tallied()))));
        }
        for (address, cell) in state.cells() {
            assert_eq!(address.kind, Kind::Member);
            out.push(("cell", encode_cell(cell)));
        }
    }
    out
}

/// Decodes; where that works, the encoding of the result must be the very bytes.
fn decode_and_encode(what: &str, bytes: &Bytes) -> Option<Vec<u8>> {
    match what {
        "context" => decode_context(bytes).ok().map(|context| {
            let mut out = Vec::new();
            encode_context(&mut out, &context);
            out
        }),
        "root" => decode_root(bytes).ok().map(|root| encode_root(&root)),
        "cell" => decode_cell(Kind::Member, bytes).ok().map(|cell| encode_cell(&cell)),
        "scored" => decode_cell(Kind::Scored, bytes).ok().map(|cell| encode_cell(&cell)),
        "delta" => decode_delta(bytes).ok().map(|delta| encode_delta(&delta)),
        "partial" => decode_partial(bytes).ok().map(|partial| encode_partial(&partial)),
        "contents" => decode_contents(bytes).ok().map(|contents| encode_contents(&contents)),
        _ => panic!("no such decoder"),
    }
}

const DECODERS: [&str; 7] = ["context", "root", "cell", "scored", "delta", "partial", "contents"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(history in prop::collection::vec(any::<u8>(), 0..24)) {
        for (what, bytes) in samples(&history) {
            let again = decode_and_encode(what, &bytes.clone().into());
            prop_assert_eq!(again.as_deref(), Some(&bytes[..]), "{}", what);
        }
    }

    #[test]
    fn mutated_encodings_are_refused_or_canonical(
        history in prop::collection::vec(any::<u8>(), 1..12),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for (what, bytes) in samples(&history) {
            let mut mutated = bytes.clone();
            for (at, value) in &edits {
                let at = at.index(mutated.len());
                mutated[at] = *value;
            }
            if let Some(again) = decode_and_encode(what, &mutated.clone().into()) {
                prop_assert_eq!(again, mutated, "{}", what);
            }
            prop_assert!(decode_and_encode(what, &bytes[..cut.index(bytes.len())].to_vec().into()).is_none());
        }
    }
}

#[test]
fn any_bytes_are_refused_or_canonical() {
    bolero::check!().with_iterations(200_000).with_max_len(256).for_each(|input: &[u8]| {
        let bytes = Bytes::copy_from_slice(input);
        for what in DECODERS {
            if let Some(again) = decode_and_encode(what, &bytes) {
                assert_eq!(again, input, "{what}");
            }
        }
        assert!(ContextToken::open(input, b"key", 0).is_err());
    });
}

#[test]
fn hostile_deltas_join_without_panic() {
    // Whatever decodes also joins: into an empty key, into one with rows, and with itself.
    bolero::check!().with_iterations(50_000).with_max_len(256).for_each(|input: &[u8]| {
        let mut framed = vec![1];
        framed.extend_from_slice(input);
        let Ok(mut delta) = decode_delta(&framed.into()) else { return };
        let mut replica = Replica::new(0);
        replica.state.join_delta(&delta);
        replica.run(&add(&["a"]));
        replica.state.join_delta(&delta);
        delta.join(&delta.clone());
        replica.state.join_delta(&delta);
        replica.state.sweep();
    });
}

#[test]
fn every_part_of_a_root_comes_back() {
    let pending = PendingDelete {
        settled: context(&[(1, 1)]),
        counting: context(&[(2, 1), (2, 3)]),
        cursor: Some(Address::new(Kind::Scored, "m")),
    };
    let transfer = Transfer { context: context(&[(1, 7)]), cursor: Some(Address::EXPIRY) };
    let cursor = Some(Address::new(Kind::Member, "c"));
    let recount = Recount { cursor, dots_sum: 7, ..Recount::default() };
    let root = Root {
        context: context(&[(1, 1), (2, 1), (2, 3)]),
        dots_sum: 5,
        tallies_sum: u128::MAX,
        pending: Some(Box::new(pending)),
        transfer: Some(Box::new(transfer)),
        recount: Some(Box::new(recount)),
        ..Root::default()
    };
    assert_eq!(decode_root(&encode_root(&root).into()), Ok(root));
    let contents = Contents {
        cells: vec![
            (Address::new(Kind::Field, "f"), Item::Value("v".into())),
            (Address::new(Kind::Field, "g"), Item::ValueUntil("w".into(), 7)),
            (Address::new(Kind::Sketch, vec![0, 7]), Item::Rank(51)),
        ],
        deadline: Some(9),
    };
    assert_eq!(decode_contents(&encode_contents(&contents).into()), Ok(contents));
    assert_eq!(State::from_rows(Root::default(), BTreeMap::new()), State::new());
    assert_eq!(Cell::new(), Cell::default());
}
