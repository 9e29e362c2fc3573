//! Times of the store: `cargo bench -p coterie-node --bench storage`. Prints the median fdatasync beside them.
#![expect(clippy::print_stdout, reason = "a benchmark says what it found")]

mod rows;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use coterie_node::storage::{LaneStore, Storage};
use coterie_protocol::rows::{Batch, Direction, KeyRange, Rows, Space};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rows::{key, opened, value};
use tempfile::TempDir;

const ROWS: u64 = 200_000;

fn put(store: &mut LaneStore, numbers: impl IntoIterator<Item = u64>) {
    let mut batch = Batch::new();
    for number in numbers {
        batch.put(Space::Rows, key(number), value(number));
    }
    store.gather(&batch);
    store.commit().expect("the disk is sound");
}

fn filled(in_tables: bool) -> (TempDir, Storage, LaneStore) {
    let (directory, storage) = opened();
    let mut store = storage.lane();
    for chunk in 0..ROWS / 1_000 {
        put(&mut store, chunk * 1_000..(chunk + 1) * 1_000);
    }
    if in_tables {
        storage.flush().expect("the disk is sound");
        let all = KeyRange { from: Bytes::new(), to: None };
        let everything = storage.everything();
        let rows = everything.scan(Space::Rows, &all, Direction::Forward, usize::MAX);
        assert_eq!(rows.expect("the disk has all").len() as u64, ROWS);
    }
    (directory, storage, store)
}

fn gets(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for (name, in_tables) in [("of a table in the cache", true), ("of a memory table", false)] {
        let (_directory, _storage, mut store) = filled(in_tables);
        let keys: Vec<Bytes> = (0..ROWS).map(key).collect();
        let mut number = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                number = (number + 7_919) % ROWS;
                let at = usize::try_from(number).expect("few rows");
                black_box(store.get(Space::Rows, &keys[at])).expect("all is in the cache")
            });
        });
        let absent: Vec<Bytes> = (ROWS..ROWS + 10_000).map(key).collect();
        let mut at = 0;
        group.bench_function(format!("{name}, absent"), |b| {
            b.iter(|| {
                at = (at + 7) % absent.len();
                black_box(store.get(Space::Rows, &absent[at])).expect("filters are in the cache")
            });
        });
        let mut batch = Batch::new();
        (0..256).for_each(|number| batch.put(Space::Rows, key(number), value(number)));
        store.gather(&batch);
        group.bench_function(format!("{name}, under 256 gathered rows"), |b| {
            b.iter(|| {
                number = (number + 7_919) % ROWS;
                let at = usize::try_from(number).expect("few rows");
                black_box(store.get(Space::Rows, &keys[at])).expect("all is in the cache")
            });
        });
        group.bench_function(format!("{name}, scan of 10"), |b| {
            b.iter(|| {
                number = (number + 7_919) % ROWS;
                let at = usize::try_from(number).expect("few rows");
                let range = KeyRange { from: keys[at].clone(), to: None };
                let rows = store.scan(Space::Rows, &range, Direction::Forward, 10);
                black_box(rows).expect("all is in the cache")
            });
        });
    }
    group.finish();
}

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for rows in [1, 32, 256] {
        let (_directory, _storage, mut store) = filled(true);
        let mut number = 0;
        group.throughput(Throughput::Elements(rows));
        group.bench_function(format!("of {rows}"), |b| {
            b.iter_batched(
                || {
                    let mut batch = Batch::new();
                    for _ in 0..rows {
                        number = (number + 7_919) % ROWS;
                        batch.put(Space::Rows, key(number), value(number + 1));
                    }
                    batch
                },
                |batch| {
                    store.gather(&batch);
                    store.commit().expect("the disk is sound")
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn syncs(c: &mut Criterion) {
    let (_directory, storage) = opened();
    let mut store = storage.lane();
    let mut times = Vec::new();
    for number in 0..200 {
        put(&mut store, [number]);
        let begun = Instant::now();
        storage.sync().expect("the disk is sound");
        times.push(begun.elapsed());
    }
    times.sort();
    println!("sync of one commit: p50 {:?}, p99 {:?}", times[100], times[198]);
    let mut number = 0;
    c.bench_function("commit of 32 and sync", |b| {
        b.iter(|| {
            number += 32;
            put(&mut store, number..number + 32);
            storage.sync().expect("the disk is sound");
        });
    });
}

criterion_group!(benches, gets, commits, syncs);
criterion_main!(benches);
