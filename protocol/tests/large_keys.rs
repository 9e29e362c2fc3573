//! Requests on keys of more rows than one event may read.

mod harness;

use bytes::Bytes;
use coterie_crdt::operation::{
    HashOperation, KeyOperation, Operation, Reply, SetOperation, SetVerb,
};
use coterie_ring::{BucketPolicy, Level};
use coterie_wire::{Key, Outcome, Refused};

use harness::{Cluster, key, levels};

const MEMBERS: usize = 3_000;

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

fn member(number: usize) -> Bytes {
    format!("{number:05}").into()
}

/// A set of [`MEMBERS`] members.
fn large(cluster: &mut Cluster) -> Key {
    let key = key("large");
    let owner = cluster.owners(&key)[0];
    for first in (0..MEMBERS).step_by(300) {
        let add = set(SetVerb::Add((first..first + 300).map(member).collect()));
        let request = cluster.request(&key, add);
        cluster.done(owner, request);
    }
    key
}

fn one(cluster: &mut Cluster, key: &Key, operation: Operation) -> Reply {
    let owner = cluster.owners(key)[1];
    let request = cluster.request(key, operation);
    cluster.done(owner, request).replies.remove(0).expect("it is answered")
}

#[test]
fn a_large_set_is_read_counted_popped_from_and_deleted() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = large(&mut cluster);
    let all: Vec<Option<Bytes>> = (0..MEMBERS).map(|number| Some(member(number))).collect();
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Members)), Reply::Values(all));
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Count)), Reply::count(MEMBERS));
    let Reply::Values(popped) = one(&mut cluster, &key, set(SetVerb::Pop(3))) else {
        panic!("members are popped")
    };
    assert_eq!(popped.len(), 3);
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Count)), Reply::count(MEMBERS - 3));
    let delete = Operation::Key(KeyOperation::Delete);
    assert_eq!(one(&mut cluster, &key, delete), Reply::Integer(1));
    for owner in cluster.owners(&key) {
        let mut read = cluster.request(&key, Operation::Key(KeyOperation::Exists));
        read.levels = levels(Level::One, Level::One);
        assert_eq!(cluster.done(owner, read).replies, [Ok(Reply::Integer(0))]);
    }
}

#[test]
fn a_change_of_more_cells_than_owners_join_in_one_event_is_refused() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let add = set(SetVerb::Add((0..2_000).map(member).collect()));
    let request = cluster.request(&key, add);
    let outcome = cluster.ask(owner, request);
    assert!(matches!(outcome, Outcome::Refused(Refused::TooLarge { .. })), "{outcome:?}");
    assert!(cluster.root(owner, &key).is_empty());
}

#[test]
fn a_key_with_more_tallies_than_one_delta_takes_back_is_deleted() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    for number in 0..700 {
        let operation = HashOperation::IncrementBy { field: member(number), by: 1 };
        let request = cluster.request(&key, Operation::Hash(operation));
        cluster.done(owner, request);
    }
    let delete = Operation::Key(KeyOperation::Delete);
    assert_eq!(one(&mut cluster, &key, delete), Reply::Integer(1));
    let exists = Operation::Key(KeyOperation::Exists);
    assert_eq!(one(&mut cluster, &key, exists), Reply::Integer(0));
}
