//! A disk that is full: nothing is written any more, what was synced stays, and the store opens again.

use std::path::Path;

use coterie_node::storage::Storage;
use coterie_protocol::rows::{Batch, Direction, KeyRange, Rows, Space, StoreError};
use crossbeam_channel::unbounded;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::opened::{WAIT, close, small};
use crate::small_disk::on_small_disk;

#[test]
fn a_full_disk_stops_the_store_and_it_opens_again_in_the_room_that_was_kept() {
    let name = "full::a_full_disk_stops_the_store_and_it_opens_again_in_the_room_that_was_kept";
    on_small_disk(name, 48, fill);
}

fn fill(disk: &Path) {
    let directory = disk.join("data");
    let storage = Storage::open(&directory, &small()).unwrap();
    assert!(directory.join("reserve").exists());
    let (told, heard) = unbounded();
    let tell = Box::new(move |failure| told.send(failure).unwrap());
    let syncer = storage.syncer(WAIT, tell).unwrap();
    let (mut store, mut other) = (storage.lane(), storage.lane());
    let row = |number: u64| {
        // Bytes that do not compress.
        let mut random = Xoshiro256PlusPlus::seed_from_u64(number);
        let value: Vec<u8> = (0..4_000).map(|_| random.random()).collect();
        (number.to_be_bytes().to_vec(), value)
    };
    let mut committed = 0;
    let failure = loop {
        let mut batch = Batch::new();
        let (key, value) = row(committed + 1);
        batch.put(Space::Rows, key, value);
        store.gather(&batch);
        match store.commit() {
            Ok(number) => committed = number,
            Err(failure) => break failure,
        }
        assert!(committed < 100_000, "the disk has no end");
        if committed % 100 == 0 {
            syncer.wake();
        }
    };
    assert_eq!(failure, StoreError::Full);
    println!("the disk was filled after {committed} commits");
    // It is told once, and nobody writes any more, though there may be room again.
    assert_eq!(heard.recv_timeout(WAIT).unwrap(), StoreError::Full);
    assert_eq!(storage.failure(), Some(StoreError::Full));
    let mut batch = Batch::new();
    batch.delete(Space::Rows, row(1).0);
    other.gather(&batch);
    assert_eq!(other.commit(), Err(StoreError::Full));
    // What was committed can still be read.
    let everything = storage.everything();
    for number in [1, committed] {
        let (key, value) = row(number);
        assert_eq!(everything.get(Space::Rows, &key).unwrap().unwrap(), value);
    }
    assert_eq!(everything.get(Space::Rows, &row(committed + 1).0).unwrap(), None);
    drop((everything, store, other, syncer));
    assert!(heard.try_recv().is_err(), "told once");
    close(storage);
    let storage = Storage::recover(&directory, &small()).unwrap();
    let all = KeyRange { from: bytes::Bytes::new(), to: None };
    let everything = storage.everything();
    let rows = everything.scan(Space::Rows, &all, Direction::Forward, usize::MAX).unwrap();
    // What was not synced may be there or not; what is, is whole and without a hole.
    let found = rows.len() as u64;
    assert!(found <= committed + 1, "{found} of {committed}");
    assert!(found >= committed / 100 * 100 - 100, "{found} of {committed}");
    for ((key, value), number) in rows.into_iter().zip(1..) {
        assert_eq!((key.to_vec(), value.to_vec()), row(number));
    }
    // What frees space can be done, and then there is room for all else.
    let mut store = storage.lane();
    let mut batch = Batch::new();
    batch.delete_range(Space::Rows, all);
    store.gather(&batch);
    store.commit().unwrap();
    storage.sync().unwrap();
    drop((everything, store));
    close(storage);
}
