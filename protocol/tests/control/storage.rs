//! What control's rows may hold, and what damage does.

use bytes::Bytes;
use coterie_protocol::control::{OpenError, Report};
use coterie_protocol::rows::{Batch, MemoryStore, Space, Store};
use std::time::Duration;

use crate::cluster::{CLUSTER, Cluster, id};

fn control_rows(store: &MemoryStore) -> Vec<(Bytes, Bytes)> {
    store.space(Space::Control).iter().map(|(row, value)| (row.clone(), value.clone())).collect()
}

fn with(store: &MemoryStore, row: &Bytes, value: Option<Vec<u8>>) -> MemoryStore {
    let mut store = store.clone();
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(Space::Control, row.clone(), value),
        None => batch.delete(Space::Control, row.clone()),
    }
    store.commit(&batch).unwrap();
    store.sync().unwrap();
    store
}

/// A cluster of three of which node 1 is stopped, and its storage.
fn stopped() -> (Cluster, MemoryStore) {
    let mut cluster = Cluster::grown(1, 3);
    cluster.run(Duration::from_secs(20));
    cluster.kill(1);
    let store = cluster.machines[1].store.clone();
    (cluster, store)
}

#[test]
fn a_flipped_bit_is_found_and_either_refused_or_made_good() {
    let (mut cluster, store) = stopped();
    let (mut refused, mut opened) = (0, 0);
    for (row, value) in control_rows(&store) {
        for at in (0..value.len()).step_by(1 + value.len() / 16) {
            let mut damaged = value.to_vec();
            damaged[at] ^= 1 << (at % 8);
            cluster.machines[1].store = with(&store, &row, Some(damaged));
            cluster.machines[1].reports.clear();
            match cluster.start(1) {
                Err(OpenError::Damaged { row: found }) => {
                    assert_eq!(found, row);
                    refused += 1;
                }
                Err(error) => panic!("{error} because of {row:?}"),
                Ok(()) => {
                    let noticed = |report: &Report| {
                        matches!(report, Report::RowDropped { .. } | Report::VoteLost)
                    };
                    assert!(cluster.has_reported(1, noticed), "{row:?} passed for whole");
                    opened += 1;
                }
            }
        }
    }
    assert!(refused > 30 && opened > 30, "{refused} refused, {opened} opened");
}

#[test]
fn a_missing_row_is_no_fresh_start() {
    let (mut cluster, store) = stopped();
    for (row, _) in control_rows(&store) {
        cluster.machines[1].store = with(&store, &row, None);
        cluster.machines[1].reports.clear();
        let started = cluster.start(1);
        let name = String::from_utf8_lossy(&row[1..]).into_owned();
        match name.as_str() {
            "identity" | "generation" => {
                assert_eq!(started, Err(OpenError::Damaged { row: row.clone() }));
            }
            "vote" => assert!(cluster.has_reported(1, |report| *report == Report::VoteLost)),
            _ => {}
        }
    }
}

#[test]
fn a_storage_of_another_cluster_or_node_is_not_opened() {
    let (mut cluster, store) = stopped();
    cluster.machines[4].store = store.clone();
    let other = OpenError::OtherNode { stored: id(1), configured: id(4) };
    assert_eq!(cluster.start(4), Err(other));
    let mut foreign = Cluster::grown(2, 1);
    foreign.kill(0);
    let (row, value) = control_rows(&foreign.machines[0].store)
        .into_iter()
        .find(|(row, _)| row.ends_with(b"identity"))
        .unwrap();
    let mut body = value[1..value.len() - 8].to_vec();
    body[0] ^= 1;
    let stored = CLUSTER ^ 1 << 120;
    foreign.machines[0].store = with(&store, &row, Some(sealed(&row, 1, &body)));
    let other = OpenError::OtherCluster { stored, configured: CLUSTER };
    assert_eq!(foreign.start(0), Err(other));
}

#[test]
fn a_row_of_a_later_version_is_told_from_a_damaged_one() {
    let (mut cluster, store) = stopped();
    for (row, value) in control_rows(&store) {
        let later = sealed(&row, 2, &value[1..value.len() - 8]);
        cluster.machines[1].store = with(&store, &row, Some(later));
        match cluster.start(1) {
            Err(error) => assert_eq!(error, OpenError::Later { row, format: 2 }),
            Ok(()) => panic!("{row:?} was read"),
        }
    }
}

/// A row's value as docs/formats.md has it.
fn sealed(row: &Bytes, format: u8, body: &[u8]) -> Vec<u8> {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    let mut value = vec![format];
    value.extend_from_slice(body);
    let sum = xxh3_64_with_seed(&value, xxh3_64_with_seed(row, 0));
    value.extend_from_slice(&sum.to_be_bytes());
    value
}
