//! Evaluating on rows that are fetched as they are asked for.

use coterie_crdt::operation::{
    KeyOperation, ListEnd, ListOperation, Operation, SetOperation, SetVerb,
};
use coterie_crdt::{Kind, State};
use coterie_protocol::rows::lazy::{EVALUATED_ROWS_MAX, Recorded, evaluate};
use coterie_protocol::rows::{Budget, ReadError};
use coterie_wire::peer::write::Change;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bench::Bench;
use crate::operations::{self, history, root};

fn cases() -> u64 {
    if std::env::var_os("COTERIE_PROOF").is_some() { 20_000 } else { 600 }
}

#[test]
fn what_is_evaluated_on_rows_fetched_when_asked_for_is_as_on_all_rows() {
    for seed in 0..cases() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let names = [5, 200][random.random_range(0..2)];
        let (states, _) = history(&mut random, 150, names);
        let state = &states[0];
        let mut bench = Bench::new(seed);
        let key = Bench::key("k");
        bench.put(&key, state);
        let stored = bench.state(&key);
        for _ in 0..20 {
            let kind = random.random_range(0..5);
            let operation = operations::random(&mut random, kind, names);
            let root = root(&stored);
            let budget = Budget::new(&bench.store);
            let footprint = operation.footprint_over(Some(&root), operations::WALL);
            let (recorded, lazily) =
                evaluate(&budget, &bench.prefix(&key), root.clone(), &footprint, |cells| {
                    operations::evaluate(cells, 9, &operation, &root)
                })
                .unwrap();
            let at_once = operations::evaluate(&stored, 9, &operation, &root);
            assert_eq!(lazily, at_once, "seed {seed}: {operation:?}");
            let again = operations::evaluate(&recorded, 9, &operation, &root);
            assert_eq!(again, at_once, "seed {seed}: {operation:?}");
            let (root, cells) = recorded.into_rows();
            let mut seen = State::from_rows(root, cells);
            let mut whole = stored.clone();
            seen.join_delta(&at_once.1);
            whole.join_delta(&at_once.1);
            assert_eq!(operations::root(&seen), operations::root(&whole), "seed {seed}");
        }
    }
}

#[test]
fn an_end_of_a_large_key_is_read_in_few_rows_and_all_of_it_is_refused() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut state = State::new();
    for _ in 0..3_000 {
        let value = random.random_range(0..1_000_000);
        let operation =
            Operation::List(ListOperation::Push(ListEnd::Right, vec![format!("{value}").into()]));
        let (_, delta) = operations::evaluate(&state, 1, &operation, &root(&state));
        state.join_delta(&delta);
    }
    let mut bench = Bench::new(1);
    let key = Bench::key("list");
    bench.put(&key, &state);
    let root = root(&bench.state(&key));
    assert_eq!(root.counts.rows, 3_000);
    let read = |operation: ListOperation| {
        let operation = Operation::List(operation);
        let budget = Budget::new(&bench.store);
        let footprint = operation.footprint();
        let found = evaluate(&budget, &bench.prefix(&key), root.clone(), &footprint, |cells| {
            operations::evaluate(cells, 9, &operation, &root)
        });
        (found.map(|(_, evaluated)| evaluated), budget.read())
    };
    for operation in [
        ListOperation::Pop(ListEnd::Left),
        ListOperation::Index(-3),
        ListOperation::Range { start: -5, stop: -1 },
        ListOperation::Push(ListEnd::Left, vec!["x".into()]),
    ] {
        let (found, read) = read(operation.clone());
        let whole = Operation::List(operation);
        assert_eq!(found.unwrap(), operations::evaluate(&state, 9, &whole, &root));
        assert!(read <= 40, "{read} rows");
    }
    let (found, read) = read(ListOperation::Index(1_500));
    assert_eq!(found, Err(ReadError::TooMany));
    assert!(read <= EVALUATED_ROWS_MAX);
}

#[test]
fn all_members_of_a_large_set_are_gathered_in_pages() {
    let members: u32 =
        if std::env::var_os("COTERIE_PROOF").is_some() { 1_000_000 } else { 100_000 };
    let mut bench = Bench::new(2);
    let key = Bench::key("set");
    let mut state = State::new();
    for first in (0..members).step_by(400) {
        let names = (first..first + 400).map(|name| format!("{name:07}").into()).collect();
        let add = Operation::Set(SetOperation::new(SetVerb::Add(names)));
        let (_, delta) = operations::evaluate(&state, 1, &add, &root(&state));
        state.join_delta(&delta);
        bench.write(&key, Change::Delta(delta));
    }
    let stored = root(&bench.state(&key));
    assert_eq!(stored.counts.rows, u64::from(members));
    let operation = Operation::Set(SetOperation::new(SetVerb::Members));
    let mut gathered = Recorded::begin(bench.prefix(&key), stored, &operation.footprint());
    let mut evaluations = 0;
    let reply = loop {
        if gathered.is_missing() {
            let budget = Budget::new(&bench.store);
            let page = gathered.fetch(&budget, 512).unwrap();
            assert!(budget.read() <= 512);
            gathered.take(page);
            continue;
        }
        evaluations += 1;
        let known = root(&state);
        let (reply, _) = operations::evaluate(&gathered, 9, &operation, &known);
        if !gathered.is_missing() {
            break reply;
        }
    };
    let (expected, _) = operations::evaluate(&state, 9, &operation, &root(&state));
    assert!(reply == expected);
    assert!(evaluations < 25, "{evaluations}");
    // Deleting it is one small delta. Each event is held to its budget of rows.
    let delete = Operation::Key(KeyOperation::Delete);
    let (_, delta) = operations::evaluate(&state, 1, &delete, &root(&state));
    assert!(delta.cells().is_empty());
    bench.write(&key, Change::Delta(delta));
    assert_eq!(root(&bench.state(&key)).counts.live(Kind::Member), 0);
}
