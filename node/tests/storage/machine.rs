//! Random uses of a lane's store, compared with maps in memory after every step.

use bytes::Bytes;
use coterie_node::storage::{Fetched, Storage};
use coterie_protocol::rows::{Batch, Direction, KeyRange, MemoryStore, Rows, Space, Store};
use proptest::prelude::*;

use crate::opened::{Fetching, close, small};

#[derive(Clone, Debug)]
enum Step {
    Gather(Vec<Changed>),
    Commit,
    /// All that was committed goes into tables, of which nothing is in memory.
    Flush,
    Reopen,
    /// Fetched rows are kept from here on, whatever is written meanwhile.
    ForgetFetched,
    Get(Space, Bytes),
    Scan(Space, KeyRange, bool, usize),
}

#[derive(Clone, Debug)]
enum Changed {
    Put(Space, Bytes, Bytes),
    Delete(Space, Bytes),
    DeleteRange(Space, KeyRange),
}

fn key() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(prop::sample::select(vec![0u8, 1, 0x7f, 0x80, 0xff]), 1..4)
        .prop_map(Bytes::from)
}

fn space() -> impl Strategy<Value = Space> {
    prop_oneof![4 => Just(Space::Rows), 1 => prop::sample::select(Space::ALL.to_vec())]
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::prefix),
        key().prop_map(|from| KeyRange { from, to: None }),
        key().prop_map(|to| KeyRange { from: Bytes::new(), to: Some(to) }),
        (key(), key()).prop_map(|(from, to)| KeyRange { from, to: Some(to) }),
    ]
}

fn changed() -> impl Strategy<Value = Changed> {
    // Values are large, so that a table has many blocks.
    let value = (any::<u8>(), 0usize..900).prop_map(|(byte, size)| Bytes::from(vec![byte; size]));
    prop_oneof![
        8 => (space(), key(), value).prop_map(|(space, key, value)| Changed::Put(space, key, value)),
        2 => (space(), key()).prop_map(|(space, key)| Changed::Delete(space, key)),
        1 => (space(), range()).prop_map(|(space, range)| Changed::DeleteRange(space, range)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => proptest::collection::vec(changed(), 0..12).prop_map(Step::Gather),
        6 => Just(Step::Commit),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::ForgetFetched),
        12 => (space(), key()).prop_map(|(space, key)| Step::Get(space, key)),
        12 => (space(), range(), any::<bool>(), prop_oneof![4 => 0usize..8, 1 => Just(usize::MAX)])
            .prop_map(|(space, range, back, rows_max)| Step::Scan(space, range, back, rows_max)),
    ]
}

fn batch_of(changes: &[Changed]) -> Batch {
    let mut batch = Batch::new();
    for change in changes {
        match change.clone() {
            Changed::Put(space, key, value) => batch.put(space, key, value),
            Changed::Delete(space, key) => batch.delete(space, key),
            Changed::DeleteRange(space, range) => batch.delete_range(space, range),
        }
    }
    batch
}

fn run(steps: &[Step]) -> (usize, usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut storage = Storage::open(directory.path(), &small()).unwrap();
    let mut store = Fetching::new(storage.lane());
    let (mut gathered, mut committed) = (MemoryStore::new(), MemoryStore::new());
    let mut number = 0;
    let mut reads = 0;
    for step in steps {
        match step {
            Step::Gather(changes) => {
                let batch = batch_of(changes);
                gathered.commit(&batch).unwrap();
                store.lane.gather(&batch);
            }
            Step::Commit => {
                committed = gathered.clone();
                let now = store.lane.commit().unwrap();
                assert!(now == number || now == number + 1, "commit {now} after {number}");
                number = now;
                assert_eq!(store.lane.committed(), now);
            }
            Step::Flush => storage.flush().unwrap(),
            Step::Reopen => {
                drop(store);
                close(storage);
                storage = Storage::open(directory.path(), &small()).unwrap();
                store = Fetching::new(storage.lane());
                gathered = committed.clone();
                number = 0;
            }
            Step::ForgetFetched => store.fetched = Fetched::default(),
            Step::Get(space, key) => {
                reads += 1;
                let found = store.read(|store| store.get(*space, key));
                assert_eq!(found, gathered.get(*space, key).unwrap(), "{key:?} in {space:?}");
                let found = storage.everything().get(*space, key).unwrap();
                assert_eq!(found, committed.get(*space, key).unwrap(), "{key:?} committed");
            }
            Step::Scan(space, range, back, rows_max) => {
                reads += 1;
                let direction = if *back { Direction::Backward } else { Direction::Forward };
                let found = store.read(|store| store.scan(*space, range, direction, *rows_max));
                let expected = gathered.scan(*space, range, direction, *rows_max).unwrap();
                assert_eq!(found, expected, "{rows_max} of {range:?} in {space:?}, {direction:?}");
                let everything = storage.everything();
                let found = everything.scan(*space, range, direction, *rows_max).unwrap();
                let expected = committed.scan(*space, range, direction, *rows_max).unwrap();
                assert_eq!(found, expected, "{rows_max} of {range:?} committed, {direction:?}");
            }
        }
    }
    (reads, store.fetches)
}

#[test]
fn reads_show_what_was_gathered_over_what_was_committed_through_any_history() {
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 1_000 } else { 60 };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (mut reads, mut fetches) = (0, 0);
    let counted = std::cell::RefCell::new((&mut reads, &mut fetches));
    let steps = proptest::collection::vec(step(), 1..80);
    let outcome = runner.run(&steps, |steps| {
        let (read, fetched) = run(&steps);
        let mut counted = counted.borrow_mut();
        *counted.0 += read;
        *counted.1 += fetched;
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(fetches * 50 > reads, "{fetches} fetches for {reads} reads: nothing was cold");
}
