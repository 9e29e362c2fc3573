//! A set of a million members is deleted: at once for those who ask, and in chunks for those who store it.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::Kind;
use coterie_crdt::encoding::decode_root;
use coterie_crdt::operation::{KeyOperation, Operation, Reply, SetOperation, SetVerb};
use coterie_protocol::rows::address::KeyPrefix;
use coterie_protocol::rows::{ROWS_PER_EVENT_MAX, Space};
use coterie_ring::Level;
use coterie_sim::cluster::Cluster;
use coterie_sim::workload::Bucket;
use coterie_sim::{Options, settle};
use coterie_wire::{Key, Outcome};

use crate::{begun, is_full, key, request};

/// Members that one request adds.
const ADDED: usize = 250;

/// The reply to one operation that has to be done.
fn done(cluster: &mut Cluster, key: &Key, operation: Operation) -> Reply {
    let at = cluster.index_of(cluster.owners(key)[0]).unwrap();
    let number = cluster.request(at, request(key, operation, Level::Quorum)).unwrap();
    loop {
        cluster.step();
        if let Some(told) = cluster.take_told().pop() {
            assert_eq!(told.number, number);
            let Outcome::Done(mut answered) = told.response.outcome else { panic!("{told:?}") };
            return answered.replies.remove(0).unwrap();
        }
    }
}

/// Rows of a key at each owner.
fn rows(cluster: &Cluster, key: &Key) -> Vec<usize> {
    let range = KeyPrefix::new(cluster.partition(key), key).rows();
    let owners = cluster.owners(key).into_iter().map(|owner| cluster.index_of(owner).unwrap());
    let disks = owners.map(|owner| cluster.nodes[owner].disk.image());
    disks.map(|image| image.range(Space::Rows, &range).count()).collect()
}

#[test]
fn no_event_of_a_delete_of_a_million_members_touches_more_than_a_thousand_rows() {
    let members = if is_full() { 1_000_000 } else { 20_000 };
    let mut cluster = begun(Options::calm(3, 1));
    let key = key(Bucket::Strict, "large");
    for first in (0..members).step_by(ADDED) {
        let added = (first..first + ADDED).map(|number| Bytes::from(format!("{number:07}")));
        let add = Operation::Set(SetOperation::new(SetVerb::Add(added.collect())));
        assert_eq!(done(&mut cluster, &key, add), Reply::count(ADDED));
    }
    let (limit, quick) = (settle::SETTLE_MAX, Duration::from_millis(100));
    cluster.wait_for(limit, quick, settle::is_equal).expect("all owners get all");
    assert_eq!(rows(&cluster, &key), [members + 1; 3]);

    let asked = cluster.now();
    let events = cluster.counts.events;
    assert_eq!(done(&mut cluster, &key, Operation::Key(KeyOperation::Delete)), Reply::Integer(1));
    let answered = cluster.now() - asked;
    assert_eq!(done(&mut cluster, &key, Operation::Key(KeyOperation::Exists)), Reply::Integer(0));
    let swept = cluster
        .wait_for(Duration::from_secs(600), quick, |cluster| rows(cluster, &key) == [1; 3])
        .expect("all members are swept");
    let largest = cluster.rows_of_largest_event();
    eprintln!(
        "{members} members: deleted in {answered:?}, swept at all owners {swept:?} later; {} events, the largest \
         of which changed {largest} rows",
        cluster.counts.events - events
    );
    assert!(largest <= ROWS_PER_EVENT_MAX);
    assert!(cluster.wait_for(limit, quick, settle::is_equal).is_some());
    let address = KeyPrefix::new(cluster.partition(&key), &key).root();
    for node in &cluster.nodes {
        let root = decode_root(node.disk.image().get(Space::Rows, &address).unwrap()).unwrap();
        assert_eq!(root.counts.live(Kind::Member), 0);
    }
    assert_eq!(cluster.watch.violations, Vec::<String>::new());
}
