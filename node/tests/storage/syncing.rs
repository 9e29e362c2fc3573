//! The log thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coterie_node::storage::{LaneStore, Storage};
use coterie_protocol::rows::{Batch, Space};
use crossbeam_channel::{Receiver, unbounded};

use crate::opened::{WAIT, close, small};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(10_000);

fn commit(store: &mut LaneStore) -> u64 {
    let mut batch = Batch::new();
    batch.put(Space::Rows, &b"key"[..], &b"value"[..]);
    store.gather(&batch);
    store.commit().unwrap()
}

fn hears_until(heard: &Receiver<u64>, number: u64) {
    let deadline = Instant::now() + WAIT;
    loop {
        let found = heard.recv_deadline(deadline).expect("the number is told in time");
        assert!(found <= number, "{found} is told, and {number} committed");
        if found == number {
            return;
        }
    }
}

#[test]
fn each_lane_is_told_what_of_its_own_is_synced_at_once_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(directory.path(), &small()).unwrap();
    let syncer = storage.syncer(NEVER, Box::new(|failure| panic!("{failure}"))).unwrap();
    let mut lanes: Vec<_> = (0..3)
        .map(|_| {
            let store = storage.lane();
            let (told, heard) = unbounded();
            let tell = Box::new(move |number| told.send(number).unwrap());
            syncer.register(store.counter(), tell);
            (store, heard)
        })
        .collect();
    for (at, (store, _)) in lanes.iter_mut().enumerate() {
        (0..=at).for_each(|_| assert!(commit(store) > 0));
    }
    syncer.wake();
    for (at, (_, heard)) in lanes.iter().enumerate() {
        hears_until(heard, at as u64 + 1);
    }
    // Another thread asks, many times, and commits in between.
    let waker = syncer.waker();
    let (mut store, heard) = lanes.pop().unwrap();
    let busy = std::thread::spawn(move || {
        for _ in 0..200 {
            commit(&mut store);
            waker.wake();
        }
        store.committed()
    });
    hears_until(&heard, 203);
    assert_eq!(busy.join().unwrap(), 203);
    assert!(storage.statistics().syncs <= 202, "one sync covers what was committed before it");
    drop((syncer, lanes));
    close(storage);
}

#[test]
fn what_nobody_asks_for_is_synced_within_the_interval() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(directory.path(), &small()).unwrap();
    let interval = Duration::from_millis(5);
    let syncer = storage.syncer(interval, Box::new(|failure| panic!("{failure}"))).unwrap();
    let mut store = storage.lane();
    let last = Arc::new(AtomicU64::new(0));
    let (told, heard) = unbounded();
    let tell = {
        let last = last.clone();
        move |number| {
            let before = last.swap(number, Ordering::SeqCst);
            assert!(before < number, "{number} after {before}");
            told.send(number).unwrap();
        }
    };
    syncer.register(store.counter(), Box::new(tell));
    for _ in 0..20 {
        let number = commit(&mut store);
        hears_until(&heard, number);
    }
    drop((syncer, store));
    close(storage);
}

#[test]
fn what_is_committed_at_the_end_is_synced_before_the_log_thread_ends() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(directory.path(), &small()).unwrap();
    let syncer = storage.syncer(NEVER, Box::new(|failure| panic!("{failure}"))).unwrap();
    let mut store = storage.lane();
    let (told, heard) = unbounded();
    syncer.register(store.counter(), Box::new(move |number| told.send(number).unwrap()));
    let number = commit(&mut store);
    drop(syncer);
    hears_until(&heard, number);
    // And there may be another.
    drop(storage.syncer(NEVER, Box::new(|failure| panic!("{failure}"))).unwrap());
    drop(store);
    close(storage);
}
