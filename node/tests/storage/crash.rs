//! Crashes: of the process, which lose nothing that was committed, and of the machine, which lose nothing synced.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use coterie_node::storage::{LaneStore, Storage};
use coterie_protocol::rows::{Batch, Direction, KeyRange, Rows, Space};

use crate::opened::{close, copy, newest_log, small};

/// The commit with a number: rows in all spaces, of which none may be there without the others.
fn commit(store: &mut LaneStore, number: u64) {
    let mut batch = Batch::new();
    let size = usize::try_from(number * 37 % 300).unwrap();
    for space in Space::ALL {
        batch.put(space, number.to_be_bytes().to_vec(), vec![0x5a; size]);
    }
    batch.put(Space::Control, &b"last"[..], number.to_be_bytes().to_vec());
    store.gather(&batch);
    assert_eq!(store.commit().unwrap(), number);
}

/// How many commits are there: the first ones, each whole, none after a hole.
fn commits(storage: &Storage) -> u64 {
    let everything = storage.everything();
    let numbers = Space::ALL.map(|space| {
        let all = KeyRange { from: Bytes::new(), to: Some(vec![1].into()) };
        let rows = everything.scan(space, &all, Direction::Forward, usize::MAX).unwrap();
        let numbers = rows.iter().map(|(key, _)| u64::from_be_bytes(key[..].try_into().unwrap()));
        let numbers: Vec<u64> = numbers.collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "a hole: {numbers:?}");
        numbers.len() as u64
    });
    assert!(numbers.iter().all(|number| *number == numbers[0]), "torn batches: {numbers:?}");
    let last = everything.get(Space::Control, b"last").unwrap();
    let last = last.map_or(0, |last| u64::from_be_bytes(last[..].try_into().unwrap()));
    assert_eq!(last, numbers[0]);
    last
}

const DIRECTORY: &str = "COTERIE_TEST_STORE_TO_WRITE";

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_had_committed() {
    // The process that is killed is this test too.
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        write_for_ever(Path::new(&directory));
    }
    let name = "crash::a_process_that_is_killed_loses_nothing_that_it_had_committed";
    for kills_after in [1, 50, 3_000] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(writer.stdout.take().unwrap()).lines();
        let numbers = told.by_ref().map(|line| line.unwrap());
        let mut numbers = numbers.filter_map(|line| line.strip_prefix("committed ")?.parse().ok());
        let first: Option<u64> = numbers.find(|number| *number >= kills_after);
        let first = first.expect("it writes until it is killed");
        writer.kill().unwrap();
        let last = numbers.last().unwrap_or(first);
        writer.wait().unwrap();
        let storage = Storage::open(directory.path(), &small()).unwrap();
        let found = commits(&storage);
        assert!(found >= last, "{last} were told to be committed, {found} are there");
        close(storage);
    }
}

fn write_for_ever(directory: &Path) -> ! {
    let storage = Storage::open(directory, &small()).unwrap();
    let mut store = storage.lane();
    let mut told = std::io::stdout().lock();
    for number in 1.. {
        commit(&mut store, number);
        if writeln!(told, "committed {number}").and_then(|()| told.flush()).is_err() {
            // Whoever wanted to know is gone.
            break;
        }
    }
    std::process::abort();
}

/// A store with `all` commits of which `synced` are; the length of its log after each of them.
fn written(directory: &Path, synced: u64, all: u64) -> Vec<u64> {
    let storage = Storage::open(directory, &small()).unwrap();
    let mut store = storage.lane();
    let log = newest_log(directory);
    let mut lengths = vec![std::fs::metadata(&log).unwrap().len()];
    for number in 1..=all {
        commit(&mut store, number);
        if number == synced {
            storage.sync().unwrap();
        }
        lengths.push(std::fs::metadata(&log).unwrap().len());
    }
    assert_eq!(log, newest_log(directory), "all is in one log");
    drop(store);
    close(storage);
    lengths
}

/// Opens a copy of a store after something was done to its log.
fn after(directory: &Path, harm: impl FnOnce(&mut Vec<u8>)) -> u64 {
    let copied = tempfile::tempdir().unwrap();
    copy(directory, copied.path());
    let log = newest_log(copied.path());
    let mut bytes = std::fs::read(&log).unwrap();
    harm(&mut bytes);
    std::fs::write(&log, &bytes).unwrap();
    let storage = Storage::open(copied.path(), &small()).unwrap();
    let found = commits(&storage);
    close(storage);
    found
}

#[test]
fn of_a_log_that_is_torn_anywhere_all_that_is_whole_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let lengths = written(directory.path(), 10, 40);
    let end = *lengths.last().unwrap();
    let step = if std::env::var_os("COTERIE_PROOF").is_some() { 7 } else { 977 };
    let ends = lengths.iter().copied().flat_map(|end| [end.saturating_sub(1), end, end + 1]);
    let cuts = ends.step_by(5).chain((0..end).step_by(step));
    for cut in cuts.filter(|cut| *cut <= end) {
        let whole = lengths.iter().filter(|length| **length <= cut).count() as u64;
        let expected = whole.saturating_sub(1);
        let found = after(directory.path(), |log| log.truncate(usize::try_from(cut).unwrap()));
        assert_eq!(found, expected, "a log of {end} bytes cut to {cut}");
    }
}

#[test]
fn what_a_loss_of_power_leaves_behind_the_last_sync_takes_nothing_synced_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let synced = 10;
    let lengths = written(directory.path(), synced, 40);
    let kept = usize::try_from(lengths[10]).unwrap();
    // Blocks that were never written read as zeros, others as what was on the disk before.
    let zeros = after(directory.path(), |log| log[kept..].fill(0));
    assert_eq!(zeros, synced);
    let foreign = after(directory.path(), |log| log[kept..].fill(0xa7));
    assert_eq!(foreign, synced);
    let hole = after(directory.path(), |log| {
        let middle = kept + (log.len() - kept) / 2;
        log[middle..middle + 512].fill(0);
    });
    assert!((synced..40).contains(&hole), "{hole} of 40 commits after a hole");
}

#[test]
fn a_copy_opens_as_the_store_was_when_it_was_made() {
    let parent = tempfile::tempdir().unwrap();
    let (directory, copied) = (parent.path().join("data"), parent.path().join("copy"));
    let storage = Storage::open(&directory, &small()).unwrap();
    let mut store = storage.lane();
    (1..=20).for_each(|number| commit(&mut store, number));
    storage.checkpoint(&copied).unwrap();
    (21..=30).for_each(|number| commit(&mut store, number));
    assert_eq!(commits(&storage), 30);
    let copy = Storage::open(&copied, &small()).unwrap();
    assert_eq!(commits(&copy), 20);
    close(copy);
}
