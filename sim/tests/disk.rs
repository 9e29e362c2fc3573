//! The simulator's disk keeps what a disk keeps.

use bytes::Bytes;
use coterie_protocol::rows::{Batch, Rows, Space, Store, StoreError};
use coterie_sim::disk::Disk;
use coterie_sim::random::Random;

fn batch(key: &'static str, value: &'static str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Space::Rows, key, value);
    batch
}

fn value(disk: &Disk, key: &str) -> Option<Bytes> {
    disk.get(Space::Rows, key.as_bytes()).expect("all rows are in memory")
}

#[test]
fn what_is_synced_survives_a_loss_of_power_and_of_the_rest_a_prefix() {
    for seed in 0..64 {
        let mut random = Random::new(seed, "disk");
        let mut disk = Disk::default();
        disk.commit(&batch("a", "1")).unwrap();
        disk.sync().unwrap();
        disk.commit(&batch("a", "2")).unwrap();
        disk.commit(&batch("b", "3")).unwrap();
        assert_eq!(disk.durable(Space::Rows, b"a"), Some(Bytes::from("1")));
        disk.lose_power(&mut random);
        let left = (value(&disk, "a"), value(&disk, "b"));
        let (one, two, three) = (Bytes::from("1"), Bytes::from("2"), Bytes::from("3"));
        let prefixes = [(Some(one), None), (Some(two.clone()), None), (Some(two), Some(three))];
        assert!(prefixes.contains(&left), "seed {seed}: {left:?} is no prefix");
    }
}

#[test]
fn what_is_committed_survives_the_end_of_a_process_and_what_is_gathered_does_not() {
    let mut disk = Disk::default();
    disk.commit(&batch("a", "1")).unwrap();
    disk.gather(&batch("a", "2"));
    disk.kill();
    assert_eq!(value(&disk, "a"), Some(Bytes::from("1")));
}

#[test]
fn a_disk_that_lies_loses_what_it_said_was_synced() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut disk = Disk::default();
        disk.lie(true);
        disk.commit(&batch("a", "1")).unwrap();
        disk.sync().unwrap();
        disk.lose_power(&mut Random::new(seed, "disk"));
        lost += u32::from(value(&disk, "a").is_none());
    }
    assert!(lost > 0, "some of 64 losses of power lose it");
}

#[test]
fn an_emptied_disk_is_known_to_have_lost_what_it_said_was_synced() {
    let mut disk = Disk::default();
    disk.commit(&batch("a", "1")).unwrap();
    disk.sync().unwrap();
    assert!(!disk.has_lied());
    disk.empty();
    assert!(disk.has_lied() && value(&disk, "a").is_none());
}

#[test]
fn a_failing_disk_keeps_nothing_of_the_batch() {
    let mut disk = Disk::default();
    disk.fail(Some(StoreError::Io));
    assert_eq!(disk.commit(&batch("a", "1")), Err(StoreError::Io));
    assert_eq!(value(&disk, "a"), None);
    assert_eq!(disk.sync(), Err(StoreError::Io));
}
