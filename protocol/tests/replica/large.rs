//! Keys of more cells than one event may touch.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::digest::cell_digest;
use coterie_crdt::operation::{KeyOperation, Operation, SetOperation, SetVerb};
use coterie_crdt::{Address, Cells, Delta, Footprint, Partial, State};
use coterie_protocol::replica::large::{self, INDEXED_ABOVE, Sums};
use coterie_protocol::replica::split;
use coterie_protocol::rows::{Budget, Space};
use coterie_wire::peer::write::{Change, WriteAnswer};
use coterie_wire::{Body, Key};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bench::{Bench, same};
use crate::operations::{evaluate, history, root};

fn add(state: &State, actor: u64, members: impl IntoIterator<Item = u32>) -> Delta {
    let members = members.into_iter().map(|member| Bytes::from(format!("{member:07}"))).collect();
    let operation = Operation::Set(SetOperation::new(SetVerb::Add(members)));
    evaluate(state, actor, &operation, &root(state)).1
}

fn remove(state: &State, actor: u64, member: u32) -> Delta {
    let verb = SetVerb::Remove(vec![format!("{member:07}").into()]);
    evaluate(state, actor, &Operation::Set(SetOperation::new(verb)), &root(state)).1
}

/// What the index of a key should say, from its rows.
fn sums(state: &State) -> Box<[u128; large::RANGES]> {
    let mut sums = Box::new([0u128; large::RANGES]);
    for (address, cell) in state.cells() {
        let sum = &mut sums[usize::from(address.hash().to_be_bytes()[0])];
        *sum = sum.wrapping_add(cell_digest(address, cell));
    }
    sums
}

fn check_index(bench: &Bench, key: &Key) {
    let (state, prefix) = (bench.state(key), bench.prefix(key));
    let budget = Budget::new(&bench.store);
    let found = large::sums(&budget, &prefix, &root(&state)).unwrap();
    assert_eq!(found, Sums::Built(sums(&state)));
    let mut listed = BTreeMap::new();
    let mut last = None;
    loop {
        let page = large::list(&bench.store, &prefix, (0, u64::MAX), last.as_ref(), 1_000).unwrap();
        for cell in &page {
            assert_eq!(cell.hash, cell.address.hash());
            listed.insert(cell.address.clone(), cell.digest);
        }
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
    }
    let cells = state.cells().iter();
    let expected: BTreeMap<Address, u128> =
        cells.map(|(address, cell)| (address.clone(), cell_digest(address, cell))).collect();
    assert_eq!(listed, expected);
}

#[test]
fn an_index_is_what_the_rows_say_while_it_is_built_and_afterwards() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let mut bench = Bench::new(3);
    let key = Bench::key("large");
    let mut state = State::new();
    let size = u32::try_from(INDEXED_ABOVE).unwrap() + 800;
    for first in (0..size).step_by(100) {
        let delta = add(&state, 1, first..first + 100);
        state.join_delta(&delta);
        bench.write(&key, Change::Delta(delta));
    }
    assert!(same(&bench.state(&key), &state));
    check_index(&bench, &key);
    for _ in 0..300 {
        let member = random.random_range(0..2 * size);
        let delta = match random.random_range(0..3) {
            0 => remove(&state, 2, member),
            _ => add(&state, 2, [member]),
        };
        state.join_delta(&delta);
        bench.write(&key, Change::Delta(delta));
    }
    check_index(&bench, &key);
    // A deletion drops the index at once, before the rows are swept.
    let (_, delete) = evaluate(&state, 1, &Operation::Key(KeyOperation::Delete), &root(&state));
    state.join_delta(&delete);
    assert_eq!(bench.write(&key, Change::Delta(delete)), [Body::Wrote(WriteAnswer::Stored)]);
    assert!(same(&bench.state(&key), &state));
    let mut derived = bench.store.space(Space::Derived).keys();
    assert!(derived.all(|row| !b"ou".contains(&row[2])));
}

#[test]
fn an_index_half_built_is_gone_on_with_after_a_crash() {
    let mut bench = Bench::new(4);
    let key = Bench::key("large");
    let mut state = State::new();
    for first in (0..6_000).step_by(400) {
        state.join_delta(&add(&state, 1, first..first + 400));
    }
    // Stops in the middle of what the lane hands back to itself.
    bench.steps_left = Some(20);
    bench.put(&key, &state);
    let mut bench = Bench::on(bench.store, 5);
    bench.put(&key, &state);
    assert!(same(&bench.state(&key), &state));
    let delta = add(&state, 1, [9_999_999]);
    bench.write(&key, Change::Delta(delta));
    check_index(&bench, &key);
}

#[test]
fn states_and_deltas_larger_than_an_event_are_joined_as_one() {
    let members = if std::env::var_os("COTERIE_PROOF").is_some() { 100_000 } else { 5_000 };
    let mut mine = State::new();
    let mut theirs = State::new();
    let both = add(&mine, 1, 0..members);
    mine.join_delta(&both);
    theirs.join_delta(&both);
    mine.join_delta(&add(&mine, 2, members / 2..2 * members));
    for member in (0..members).step_by(3) {
        theirs.join_delta(&remove(&theirs, 3, member));
    }
    let whole = |state: &State| Partial::extract(state, &Footprint::whole());
    for change in [Change::Whole(whole(&theirs)), Change::Partial(whole(&theirs))] {
        let mut bench = Bench::new(6);
        let key = Bench::key("k");
        bench.put(&key, &mine);
        assert!(same(&bench.state(&key), &mine));
        let mut joined = mine.clone();
        match &change {
            Change::Whole(_) => joined.join(&theirs),
            Change::Partial(partial) => joined.join_partial(partial),
            Change::Delta(_) => {}
        }
        assert_eq!(bench.write(&key, change), [Body::Wrote(WriteAnswer::Stored)]);
        assert!(same(&bench.state(&key), &joined));
    }
    let mut bench = Bench::new(7);
    let key = Bench::key("k");
    assert_eq!(bench.write(&key, Change::Delta(both)), [Body::Wrote(WriteAnswer::Stored)]);
    assert_eq!(bench.state(&key).cells().len(), members as usize);
}

#[test]
fn parts_of_a_delta_come_to_the_delta_in_whatever_order() {
    for seed in 0..300 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (states, deltas) = history(&mut random, 60, 8);
        let mut state = states[0].clone();
        let mut joined = Delta::new();
        for delta in deltas.iter().filter(|_| random.random()) {
            joined.join(delta);
        }
        let mut parts = split(&joined, 2).unwrap();
        assert!(parts.iter().all(|part| part.cells().len() <= 2));
        let mut expected = state.clone();
        expected.join_delta(&joined);
        let mut order = BTreeSet::new();
        while order.len() < parts.len() {
            order.insert((random.random::<u32>(), order.len()));
        }
        parts = order.into_iter().map(|(_, at)| parts[at].clone()).collect();
        parts.iter().for_each(|part| state.join_delta(part));
        state.sweep();
        expected.sweep();
        assert_eq!(state.cells(), expected.cells(), "seed {seed}");
        assert_eq!(state.root(), expected.root(), "seed {seed}");
    }
}
