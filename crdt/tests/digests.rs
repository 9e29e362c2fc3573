//! Digests of footprints and cells: equal where readers see the same, and of what a purge may drop.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::digest::{cells_digest, footprint_digest, key_digest};
use coterie_crdt::operation::{
    Condition, HashOperation, KeyOperation, Operation, SetKind, SetOperation, SetVerb,
    StringOperation,
};
use coterie_crdt::{
    Actor, Actors, Address, AddressRange, COUNTED_KINDS, Cell, Cells, Clock, Delta, Footprint,
    Kind, Mint, Need, Partial, Root, State, begin_transfer, sweep,
};
use proptest::prelude::*;

fn names(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

fn set(kind: SetKind, verb: SetVerb) -> Operation {
    Operation::Set(SetOperation { kind, verb })
}

fn increment(field: &Bytes, by: i64) -> Operation {
    Operation::Hash(HashOperation::IncrementBy { field: field.clone(), by })
}

fn write(state: &mut State, actor: u64, operation: &Operation) -> Delta {
    let known = state.root().map(Root::minted).unwrap_or_default().into_owned();
    let next = Actors::new(Actor(actor)).next_dot(&known).expect("sequences are small");
    let mut clock = Clock::new();
    let evaluated = operation.evaluate(&*state, &mut Mint::new(next, &mut clock, 1_000, 7));
    // While a deletion is being counted, some are refused.
    let delta = evaluated.map(|(_, delta)| delta).unwrap_or_default();
    state.join_delta(&delta);
    delta
}

fn operations() -> impl Strategy<Value = Operation> {
    let name = prop::sample::select(names(&["a", "b", "c"]));
    let kind = prop::sample::select(vec![SetKind::AddWins, SetKind::RemoveWins]);
    prop_oneof![
        3 => (kind.clone(), name.clone()).prop_map(|(kind, m)| set(kind, SetVerb::Add(vec![m]))),
        2 => (kind, name.clone()).prop_map(|(kind, m)| set(kind, SetVerb::Remove(vec![m]))),
        2 => (name.clone(), -1..2i64).prop_map(|(field, by)| increment(&field, by)),
        1 => name.prop_map(|field| Operation::Hash(HashOperation::Remove(vec![field]))),
        1 => Just(Operation::String(StringOperation::IncrementBy(1))),
        1 => Just(Operation::Key(KeyOperation::Delete)),
        1 => Just(Operation::Key(KeyOperation::ExpireAt {
            at: 9_000,
            condition: Condition::Always
        })),
    ]
}

/// Two replicas, each with some of the writes.
fn replicas() -> impl Strategy<Value = [State; 2]> {
    let write = (0..2usize, operations(), any::<bool>(), 0..2usize);
    prop::collection::vec(write, 0..14).prop_map(|writes| {
        let mut states = [State::new(), State::new()];
        for (at, operation, delivered, swept) in writes {
            let delta = write_at(&mut states, at, &operation);
            if delivered {
                states[1 - at].join_delta(&delta);
            }
            let changes = sweep(&states[at], swept);
            states[at].apply(changes);
        }
        states
    })
}

fn write_at(states: &mut [State; 2], at: usize, operation: &Operation) -> Delta {
    write(&mut states[at], at as u64 + 1, operation)
}

fn footprint() -> impl Strategy<Value = Footprint> {
    let kind = prop::sample::select(vec![Kind::Member, Kind::GuardedMember, Kind::Field]);
    let name = prop::sample::select(names(&["a", "b", "c"]));
    let address = (kind.clone(), name).prop_map(|(kind, name)| Address::new(kind, name));
    let cells = prop::collection::vec(address, 0..3);
    (cells, prop::option::weighted(0.2, kind)).prop_map(|(cells, range)| {
        let range = range.map(|kind| Footprint::range(AddressRange::all(kind)));
        Footprint::cells(cells).and(range.unwrap_or_default())
    })
}

/// What an operation of a footprint sees: cells, those in the root, which kinds are live.
type Seen = (BTreeMap<Address, Cell>, [Cell; 2], Option<Vec<bool>>);

fn seen(state: &State, footprint: &Footprint) -> Seen {
    let root = state.root().cloned().unwrap_or_default();
    let mut cells = Partial::extract(state, footprint).cells().clone();
    cells.retain(|_, cell| !cell.is_empty());
    let live = COUNTED_KINDS.map(|kind| root.counts.live(kind) > 0).to_vec();
    (cells, [root.register.clone(), root.expiry.clone()], (!root.is_counting()).then_some(live))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn footprints_have_equal_digests_just_where_they_show_the_same(
        [left, right] in replicas(),
        footprint in footprint(),
    ) {
        let digests = [&left, &right].map(|state| footprint_digest(state, &footprint));
        let (left, right) = (seen(&left, &footprint), seen(&right, &footprint));
        prop_assert_eq!(digests[0] == digests[1], left == right, "{:?} {:?}", left, right);
    }

    #[test]
    fn digests_of_cells_add_up_to_that_of_the_key([mut state, _] in replicas()) {
        state.sweep();
        let root = state.root().cloned().unwrap_or_default();
        let sum = root.dots_sum.wrapping_add(root.tallies_sum);
        prop_assert_eq!(cells_digest(state.cells().iter()), sum);
    }

    #[test]
    fn nothing_is_live_just_where_no_dot_and_no_tally_is([state, _] in replicas()) {
        let root = state.root().cloned().unwrap_or_default();
        let rows = state.cells().values().chain([&root.register]);
        let live = rows.clone().any(|cell| !cell.dots().is_empty() || cell.has_standing_tallies());
        // Before the sweep of a deletion is through nobody may say so.
        let expected = !live && root.pending.is_none();
        prop_assert_eq!(root.has_nothing_live(), expected, "{:?}", state);
    }
}

#[test]
fn what_a_deletion_leaves_may_be_purged_once_it_is_swept() {
    let mut state = State::new();
    let field = Bytes::from_static(b"f");
    write(&mut state, 1, &increment(&field, 3));
    let at = KeyOperation::ExpireAt { at: 9_000, condition: Condition::Always };
    write(&mut state, 1, &Operation::Key(at));
    let nothing_live = |state: &State| state.root().expect("written").has_nothing_live();
    assert!(!nothing_live(&state));
    // Removing the last field leaves the deadline; the field's tally is taken back.
    write(&mut state, 1, &Operation::Hash(HashOperation::Remove(vec![field])));
    assert!(!state.root().expect("written").expiry.is_empty());
    assert!(nothing_live(&state));
    let context = state.root().expect("written").context.clone();
    state.apply(begin_transfer(&state, &context));
    assert!(!nothing_live(&state));
}

#[test]
fn a_removal_that_is_to_win_over_adds_is_live() {
    let mut state = State::new();
    write(&mut state, 1, &set(SetKind::RemoveWins, SetVerb::Remove(names(&["a"]))));
    assert!(!state.root().expect("written").has_nothing_live());
}

#[test]
fn what_rests_on_all_cells_has_the_digest_of_all() {
    let [mut left, mut right] = [State::new(), State::new()];
    for (state, members) in [(&mut left, ["a", "b"]), (&mut right, ["a", "c"])] {
        write(state, 1, &set(SetKind::AddWins, SetVerb::Add(names(&members))));
    }
    let a = Footprint::cell(Address::new(Kind::Member, "a"));
    let counted = a.clone().and(Footprint::derived(Need::Counts));
    assert_eq!(footprint_digest(&left, &a), footprint_digest(&right, &a));
    assert_ne!(
        key_digest(left.root().expect("written")),
        key_digest(right.root().expect("written"))
    );
    assert_ne!(footprint_digest(&left, &counted), footprint_digest(&right, &counted));
}

#[test]
fn an_address_hashes_as_documented() {
    assert_eq!(Address::new(Kind::Member, "m").hash(), 14_631_113_597_379_791_676);
}
