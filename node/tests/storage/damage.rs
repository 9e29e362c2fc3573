//! Bits that turned over on the disk: shown as damage, never as absence and never as what nobody wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use coterie_node::storage::{Storage, StorageError};
use coterie_protocol::rows::{Batch, Direction, KeyRange, Row, Rows, Space};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::opened::{Fetching, close, copy, small};

const ALL: KeyRange = KeyRange { from: Bytes::new(), to: None };

/// A store all of whose rows are in one table, and the rows.
fn written(directory: &std::path::Path) -> (PathBuf, BTreeMap<Bytes, Bytes>) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut rows = BTreeMap::new();
    let mut batch = Batch::new();
    for number in 0..2_000u32 {
        let mut key = number.to_be_bytes().to_vec();
        key.resize(4 + random.random_range(0..40), 7);
        // Random bytes, which are not compressed: each block is about as large as its rows.
        let value: Vec<u8> = (0..random.random_range(1..200)).map(|_| random.random()).collect();
        batch.put(Space::Rows, key.clone(), value.clone());
        rows.insert(Bytes::from(key), Bytes::from(value));
    }
    let storage = Storage::open(directory, &small()).unwrap();
    let mut store = storage.lane();
    store.gather(&batch);
    store.commit().unwrap();
    drop(store);
    storage.flush().unwrap();
    close(storage);
    let files = std::fs::read_dir(directory.join("store")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let tables = paths.filter(|path| path.extension().is_some_and(|end| end == "sst"));
    let largest = tables.max_by_key(|table| std::fs::metadata(table).unwrap().len());
    (largest.expect("rows were written into a table"), rows)
}

/// What rows of a range show, where `found` has some without a value in place of damaged ones: how many are hidden.
fn hidden(found: &[Row], expected: &BTreeMap<Bytes, Bytes>, direction: Direction) -> usize {
    let mut seen: Vec<&Row> = found.iter().collect();
    if direction == Direction::Backward {
        seen.reverse();
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "out of order");
    let mut hidden = 0;
    let mut since = Vec::new();
    let mut seen = seen.into_iter().peekable();
    let mut stood_for = false;
    for (key, value) in expected {
        while let Some(stands) = seen.next_if(|row| row.0 < *key) {
            assert!(stands.1.is_empty(), "a row that nobody wrote: {stands:?}");
            stood_for = true;
        }
        match seen.next_if(|row| row.0 == *key) {
            Some((_, found)) if found == value => {
                assert!(since.is_empty() || stood_for, "{since:?} are shown as absent");
                since.clear();
                stood_for = false;
            }
            Some((_, found)) => {
                assert!(found.is_empty(), "a value that nobody wrote");
                stood_for = true;
                hidden += 1;
            }
            None => {
                since.push(key);
                hidden += 1;
            }
        }
    }
    stood_for |= seen.next().is_some();
    assert!(since.is_empty() || stood_for, "{since:?} are shown as absent");
    hidden
}

#[test]
fn a_flipped_bit_is_shown_as_damage_and_never_as_absence() {
    let directory = tempfile::tempdir().unwrap();
    let (table, rows) = written(directory.path());
    let table = table.file_name().unwrap().to_owned();
    let size = std::fs::metadata(directory.path().join("store").join(&table)).unwrap().len();
    let flips = if std::env::var_os("COTERIE_PROOF").is_some() { 300 } else { 25 };
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut found_damaged, mut found_hidden, mut refused) = (0, 0, 0);
    for _ in 0..flips {
        let copied = tempfile::tempdir().unwrap();
        copy(directory.path(), copied.path());
        let path = copied.path().join("store").join(&table);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = usize::try_from(random.random_range(0..size)).unwrap();
        bytes[at] ^= 1 << random.random_range(0..8);
        std::fs::write(&path, &bytes).unwrap();
        let storage = match Storage::open(copied.path(), &small()) {
            Ok(storage) => storage,
            Err(StorageError::Damaged { .. }) => {
                refused += 1;
                continue;
            }
            Err(other) => panic!("bit at {at} of {size}: {other}"),
        };
        let everything = storage.everything();
        let mut lane = Fetching::new(storage.lane());
        for (key, value) in &rows {
            let found = everything.get(Space::Rows, key).unwrap();
            let found = found.unwrap_or_else(|| panic!("bit at {at}: {key:?} is shown as absent"));
            assert!(found.is_empty() || found == value, "a value that nobody wrote");
            found_damaged += usize::from(found.is_empty());
            if found.is_empty() {
                let as_lane = lane.read(|lane| lane.get(Space::Rows, key));
                assert_eq!(as_lane, Some(Bytes::new()));
            }
        }
        for direction in [Direction::Forward, Direction::Backward] {
            let found = everything.scan(Space::Rows, &ALL, direction, usize::MAX).unwrap();
            found_hidden += hidden(&found, &rows, direction);
            let as_lane = lane.read(|lane| lane.scan(Space::Rows, &ALL, direction, usize::MAX));
            hidden(&as_lane, &rows, direction);
            // Page by page it comes to the same.
            let mut paged = Vec::new();
            let mut rest = ALL;
            loop {
                let page = everything.scan(Space::Rows, &rest, direction, 64).unwrap();
                match (page.last(), direction) {
                    (None, _) => break,
                    (Some((last, _)), Direction::Forward) => {
                        rest.from = last.iter().copied().chain([0]).collect();
                    }
                    (Some((last, _)), Direction::Backward) => rest.to = Some(last.clone()),
                }
                paged.extend(page);
                assert!(paged.len() <= rows.len() + 10, "the same damage is met again and again");
            }
            hidden(&paged, &rows, direction);
        }
        drop((everything, lane));
        close(storage);
    }
    assert!(
        found_damaged > flips && found_hidden > flips,
        "{found_damaged} rows damaged by {flips} flips ({refused} refused), {found_hidden} hidden"
    );
}
