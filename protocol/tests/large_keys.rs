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
fn a_change_of_more_cells_than_one_event_touches_is_stored_at_every_owner() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let some = |members: std::ops::Range<usize>| members.map(member).collect::<Vec<_>>();
    assert_eq!(
        one(&mut cluster, &key, set(SetVerb::Add(some(0..5_000)))),
        Reply::count(5_000),
        "each is new"
    );
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Add(some(4_000..6_000)))), Reply::count(1_000));
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Remove(some(0..3_000)))), Reply::count(3_000));
    let Reply::Values(popped) = one(&mut cluster, &key, set(SetVerb::Pop(1_000))) else {
        panic!("members are popped")
    };
    assert_eq!(popped.len(), 1_000);
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Count)), Reply::count(2_000));
    let [a, b, c] = cluster.owners(&key)[..] else { panic!("three owners") };
    cluster.run();
    for owner in [a, b, c] {
        let mut read = cluster.request(&key, set(SetVerb::Members));
        read.levels = levels(Level::One, Level::One);
        let Ok(Reply::Values(members)) = cluster.done(owner, read).replies.remove(0) else {
            panic!("it is answered")
        };
        assert_eq!(members.len(), 2_000, "at {owner:?}");
    }
}

#[test]
fn a_change_that_no_message_carries_is_refused_and_nothing_is_stored() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let long = |number| [member(number).to_vec(), vec![b'x'; 20_000]].concat().into();
    let add = set(SetVerb::Add((0..500).map(long).collect()));
    let request = cluster.request(&key, add);
    let outcome = cluster.ask(owner, request);
    assert!(matches!(outcome, Outcome::Refused(Refused::TooLarge { .. })), "{outcome:?}");
    assert!(cluster.root(owner, &key).is_empty());
}

#[test]
fn what_comes_between_the_parts_of_a_change_mints_no_dot_of_it() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let large = cluster.request(&key, set(SetVerb::Add((0..2_000).map(member).collect())));
    let small = cluster.request(&key, set(SetVerb::Add(vec![member(9_999)])));
    cluster.hold_lane_events(owner);
    let large = cluster.submit(owner, large);
    for _ in 0..3 {
        // Some parts are committed, and some are not.
        cluster.let_lane_event(owner);
    }
    let small = cluster.submit(owner, small);
    cluster.release_lane_events(owner);
    cluster.advance(std::time::Duration::from_secs(1));
    for (client, added) in [(large, 2_000), (small, 1)] {
        let Some(Outcome::Done(answered)) = cluster.response(client) else { panic!("it is done") };
        assert_eq!(answered.replies, [Ok(Reply::count(added))]);
    }
    assert_eq!(one(&mut cluster, &key, set(SetVerb::Count)), Reply::count(2_001));
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
