//! Memory and processor time of a store with a million rows: `cargo run --release -p coterie-node --example storage`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "it says what it found")]

#[path = "../benches/rows/mod.rs"]
mod rows;

use std::fs;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coterie_node::storage::{LaneStore, Storage};
use coterie_protocol::rows::{Batch, Direction, KeyRange, Rows, Space};
use rows::{hash, key, opened, value};

const ROWS: u64 = 1_000_000;

/// Rows of a commit.
const BATCH: u64 = 32;

/// Gets of a round, of rows that are there and of others.
const GETS: u32 = 200_000;

/// Scans of a round.
const SCANS: u32 = 50_000;

/// Rows of a scan.
const SCAN_ROWS: usize = 10;

/// How often commits are synced.
const SYNC_EVERY: Duration = Duration::from_millis(50);

/// The unit of processor times in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory of this process, now and at most.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let told = |line: &&str| line.starts_with("VmRSS") || line.starts_with("VmHWM");
    status.lines().filter(told).collect::<Vec<_>>().join(" ")
}

/// Processor time by a `stat` file of `/proc`, in seconds.
fn processor_seconds(stat: &str) -> f64 {
    let stat = fs::read_to_string(stat).unwrap();
    // The name before may have spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    let [user, system] = [fields[12], fields[13]].map(|ticks| ticks.parse::<f64>().unwrap());
    (user + system) / TICKS_PER_SECOND
}

/// That of all threads.
fn process_seconds() -> f64 {
    processor_seconds("/proc/self/stat")
}

/// That of this thread, which is a lane's.
fn lane_seconds() -> f64 {
    processor_seconds("/proc/thread-self/stat")
}

/// Processor time of the lane for each of so many, in µs.
fn micros_each(count: u32, work: impl FnOnce()) -> f64 {
    let before = lane_seconds();
    work();
    (lane_seconds() - before) * 1e6 / f64::from(count)
}

/// The row that is read as the so manieth.
fn scattered(number: u64) -> u64 {
    number * 7_919 % ROWS
}

/// Writes all rows, each with a leaf's sum.
fn write(store: &mut LaneStore) {
    let (process, lane, begun) = (process_seconds(), lane_seconds(), Instant::now());
    for batch_number in 0..ROWS / BATCH {
        let mut batch = Batch::new();
        for number in batch_number * BATCH..(batch_number + 1) * BATCH {
            batch.put(Space::Rows, key(number), value(number));
            let [first, second, third, ..] = hash(number);
            batch.put(Space::Leaves, vec![first, second, 3, third], vec![1; 16]);
        }
        store.gather(&batch);
        store.commit().unwrap();
    }
    println!(
        "{ROWS} rows, as many leaf sums, batches of {BATCH}: {:?}, processor time {:.2} s, of the lane {:.2} s; {}",
        begun.elapsed(),
        process_seconds() - process,
        lane_seconds() - lane,
        resident()
    );
}

/// Reads all rows, from disk where they are not in memory.
fn read_everything(storage: &Storage) {
    let everything = storage.everything();
    let (lane, begun) = (lane_seconds(), Instant::now());
    for number in 0..ROWS {
        assert!(everything.get(Space::Rows, &key(scattered(number))).unwrap().is_some());
    }
    println!(
        "{ROWS} gets through to disk: {:?}, processor time of the lane {:.2} s; {}",
        begun.elapsed(),
        lane_seconds() - lane,
        resident()
    );
}

/// Reads as a lane does: what is not in memory it is only told to be missing.
fn read_as_lane(store: &LaneStore, round: u32) {
    let keys: Vec<Bytes> = (0..u64::from(GETS)).map(|number| key(scattered(number))).collect();
    let mut missing = 0;
    let micros = micros_each(GETS, || {
        missing = keys.iter().filter(|key| store.get(Space::Rows, key).is_err()).count();
    });
    println!("round {round}: gets, {micros:.2} µs each, {missing} not in memory");
    let absent: Vec<Bytes> = (ROWS..ROWS + u64::from(GETS)).map(key).collect();
    let micros = micros_each(GETS, || {
        for key in &absent {
            assert!(store.get(Space::Rows, key).unwrap_or(None).is_none());
        }
    });
    println!("round {round}: gets of what is not there, {micros:.2} µs each");
    let micros = micros_each(SCANS, || {
        for from in keys.iter().take(SCANS as usize) {
            let range = KeyRange { from: from.clone(), to: None };
            let rows = store.scan(Space::Rows, &range, Direction::Forward, SCAN_ROWS);
            assert!(rows.unwrap().len() <= SCAN_ROWS);
        }
    });
    println!("round {round}: scans of {SCAN_ROWS}, {micros:.2} µs each");
}

fn main() {
    let (_directory, storage) = opened();
    let mut store = storage.lane();
    let syncer = storage.syncer(SYNC_EVERY, Box::new(|failure| panic!("{failure}"))).unwrap();
    syncer.register(store.counter(), Box::new(|_| {}));
    println!("at the start: {}", resident());
    write(&mut store);
    let statistics = storage.statistics();
    let syncs = u32::try_from(statistics.syncs.max(1)).unwrap();
    println!("{} syncs, {:?} each", statistics.syncs, statistics.sync_time / syncs);
    storage.flush().unwrap();
    read_everything(&storage);
    for round in 0..2 {
        read_as_lane(&store, round);
    }
    println!("{:?}", storage.statistics());
    println!("at the end: {}", resident());
}
