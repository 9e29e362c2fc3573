//! What lanes do by themselves: rows of deleted keys are swept, expired keys removed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{
    Condition, Expire, HashOperation, KeyOperation, Operation, Reply, SetCondition, SetOperation,
    SetVerb, StringOperation,
};
use coterie_protocol::rows::address::{self, Derived, KeyPrefix};
use coterie_protocol::rows::{Batch, MemoryStore, Space, Store, fetch};
use coterie_ring::{BucketPolicy, NodeId};
use coterie_wire::Key;

use harness::{Cluster, key};

fn add(from: u32, to: u32) -> Operation {
    let members = (from..to).map(|n| Bytes::copy_from_slice(&n.to_be_bytes())).collect();
    Operation::Set(SetOperation::new(SetVerb::Add(members)))
}

/// A set of 2,000 members.
fn fill(cluster: &mut Cluster, key: &Key) {
    let owner = cluster.owners(key)[0];
    for from in (0..2_000).step_by(200) {
        let request = cluster.request(key, add(from, from + 200));
        cluster.done(owner, request);
    }
}

fn delete(cluster: &mut Cluster, key: &Key) {
    let owner = cluster.owners(key)[0];
    let request = cluster.request(key, Operation::Key(KeyOperation::Delete));
    assert_eq!(cluster.done(owner, request).replies, [Ok(Reply::Integer(1))]);
}

/// Rows of a key, and marks that it is unfinished.
fn rows(cluster: &Cluster, node: NodeId, key: &Key) -> (usize, usize) {
    let node = cluster.node(node);
    let partition = node.view.partition(key);
    let (prefix, store) = (KeyPrefix::new(partition, key), &node.store);
    let within = |space, range: coterie_protocol::rows::KeyRange| {
        store.space(space).keys().filter(|row| range.contains(row)).count()
    };
    let marks = address::derived_range(partition, Derived::Unfinished);
    (within(Space::Rows, prefix.rows()), within(Space::Derived, marks))
}

#[test]
fn the_rows_of_a_deleted_key_are_swept_at_every_owner() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("large");
    fill(&mut cluster, &key);
    let owners = cluster.owners(&key);
    assert_eq!(rows(&cluster, owners[0], &key), (2_001, 0));
    delete(&mut cluster, &key);
    cluster.advance(Duration::from_secs(1));
    for owner in owners {
        let (left, marks) = rows(&cluster, owner, &key);
        assert!(left <= 1, "the root is left, until a purge takes it too");
        assert_eq!(marks, 0);
        assert!(cluster.root(owner, &key).pending.is_none());
    }
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_sweep_goes_on_after_a_crash_wherever_it_was() {
    for kept in 0..12 {
        let mut cluster = Cluster::new(3, BucketPolicy::default());
        let key = key("large");
        fill(&mut cluster, &key);
        let owner = cluster.owners(&key)[1];
        let index = cluster.nodes.iter().position(|node| node.id == owner).unwrap();
        cluster.set_syncs(owner, false);
        delete(&mut cluster, &key);
        cluster.advance(Duration::from_secs(1));
        assert_eq!(rows(&cluster, owner, &key), (1, 0));
        let store: MemoryStore = cluster.nodes[index].store.clone();
        assert!(store.unsynced() > 8, "the sweep is {} batches", store.unsynced());
        cluster.nodes[index].store = store.crash(kept);
        cluster.bring_up(owner);
        let prefix = KeyPrefix::new(cluster.nodes[index].view.partition(&key), &key);
        let root = fetch::root(&cluster.nodes[index].store, &prefix).unwrap();
        let deleted = root.counts.none_live();
        cluster.nodes[index].syncs = true;
        cluster.advance(Duration::from_secs(1));
        if deleted {
            assert_eq!(rows(&cluster, owner, &key), (1, 0), "with {kept} batches kept");
        }
    }
}

fn set_until(cluster: &Cluster, after: Duration) -> Operation {
    let at = cluster.now.wall_millis + u64::try_from(after.as_millis()).unwrap();
    Operation::String(StringOperation::Set {
        value: "value".into(),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::At(at),
    })
}

#[test]
fn an_expired_key_is_removed_by_its_first_owner_after_twice_the_clock_bound() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let key = key("a");
    let set = set_until(&cluster, Duration::from_secs(10));
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, set);
    cluster.done(owners[0], request);
    cluster.advance(Duration::from_millis(10_900));
    for owner in &owners {
        assert!(!cluster.root(*owner, &key).register.is_empty(), "removed before its time");
    }
    cluster.advance(Duration::from_secs(5));
    for owner in &owners {
        let root = cluster.root(*owner, &key);
        assert!(root.register.is_empty() && root.expiry.is_empty(), "not removed at {owner}");
    }
    assert!(cluster.is_equal(&key));
}

#[test]
fn nobody_but_the_first_owner_removes_what_has_expired() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let key = key("a");
    let set = set_until(&cluster, Duration::from_secs(10));
    let owners = cluster.owners(&key);
    let request = cluster.request(&key, set);
    cluster.done(owners[0], request);
    cluster.take_down(owners[0]);
    cluster.advance(Duration::from_secs(60));
    for owner in &owners[1..] {
        assert!(!cluster.root(*owner, &key).register.is_empty());
    }
    cluster.bring_up(owners[0]);
    cluster.advance(Duration::from_secs(10));
    for owner in &owners {
        assert!(cluster.root(*owner, &key).register.is_empty(), "not removed at {owner}");
    }
}

fn hash_set(fields: &[&'static str], after: Option<Duration>, cluster: &Cluster) -> Operation {
    let expire = after.map_or(Expire::Never, |after| {
        Expire::At(cluster.now.wall_millis + u64::try_from(after.as_millis()).unwrap())
    });
    let pairs = fields.iter().map(|field| (Bytes::from(*field), Bytes::from("value"))).collect();
    let condition = SetCondition::Always;
    Operation::Hash(HashOperation::SetExpire { pairs, condition, expire })
}

/// How many marks in the order of deadlines a node has in the partition of a key.
fn deadlines(cluster: &Cluster, node: NodeId, key: &Key) -> usize {
    let node = cluster.node(node);
    let range = address::derived_range(node.view.partition(key), Derived::Deadline);
    node.store.space(Space::Derived).keys().filter(|row| range.contains(row)).count()
}

#[test]
fn fields_that_have_expired_are_removed_by_the_first_owner_after_twice_the_clock_bound() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    for (fields, after) in [
        (&["a", "b"][..], Some(Duration::from_secs(10))),
        (&["c"], Some(Duration::from_secs(60))),
        (&["d"], None),
    ] {
        let set = hash_set(fields, after, &cluster);
        let request = cluster.request(&key, set);
        cluster.done(owners[0], request);
    }
    cluster.advance(Duration::from_millis(10_900));
    for owner in &owners {
        assert_eq!(cluster.rows(*owner, &key).cells().len(), 4, "removed before their time");
        assert_eq!(deadlines(&cluster, *owner, &key), 3);
    }
    cluster.advance(Duration::from_secs(5));
    for owner in &owners {
        let state = cluster.rows(*owner, &key);
        let left: Vec<&Bytes> = state.cells().keys().map(|address| &address.path).collect();
        assert_eq!(left, ["c", "d"], "at {owner}");
        assert_eq!(deadlines(&cluster, *owner, &key), 1);
    }
    cluster.advance(Duration::from_secs(60));
    for owner in &owners {
        assert_eq!(cluster.rows(*owner, &key).cells().len(), 1);
        assert_eq!(cluster.root(*owner, &key).counts.deadlined, 0);
        assert_eq!(deadlines(&cluster, *owner, &key), 0);
    }
    assert!(cluster.is_equal(&key));
}

#[test]
fn fields_wait_for_the_first_owner_and_marks_move_with_the_deadline() {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let set = hash_set(&["a", "b"], Some(Duration::from_secs(10)), &cluster);
    let request = cluster.request(&key, set);
    cluster.done(owners[0], request);
    cluster.take_down(owners[0]);
    let later = cluster.now.wall_millis + 600_000;
    let operation = Operation::Hash(HashOperation::ExpireAt {
        fields: vec!["b".into()],
        at: later,
        condition: Condition::IfLater,
    });
    let request = cluster.request(&key, operation);
    assert_eq!(cluster.done(owners[1], request).replies, [Ok(Reply::Integers(vec![1]))]);
    cluster.advance(Duration::from_secs(60));
    for owner in &owners[1..] {
        assert_eq!(cluster.rows(*owner, &key).cells().len(), 2, "it is the first owner's");
    }
    cluster.bring_up(owners[0]);
    cluster.advance(Duration::from_secs(10));
    for owner in &owners {
        let state = cluster.rows(*owner, &key);
        assert_eq!(state.deadlines().iter().collect::<Vec<_>>(), [&(later, Bytes::from("b"))]);
        assert_eq!(state.cells().len(), 1, "at {owner}");
        assert_eq!(deadlines(&cluster, *owner, &key), 1);
    }
}

#[test]
fn the_deadlines_of_fields_go_with_a_deleted_key() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let set = hash_set(&["a", "b"], Some(Duration::from_secs(3_600)), &cluster);
    let request = cluster.request(&key, set);
    cluster.done(owners[0], request);
    delete(&mut cluster, &key);
    cluster.advance(Duration::from_secs(1));
    for owner in owners {
        assert!(cluster.rows(owner, &key).cells().is_empty());
        assert_eq!(deadlines(&cluster, owner, &key), 0);
    }
}

#[test]
fn marks_that_nothing_bears_out_are_deleted_when_they_are_due() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let set = hash_set(&["a"], Some(Duration::from_secs(3_600)), &cluster);
    let request = cluster.request(&key, set);
    cluster.done(owner, request);
    let index = cluster.nodes.iter().position(|node| node.id == owner).unwrap();
    let prefix = KeyPrefix::new(cluster.nodes[index].view.partition(&key), &key);
    let due = cluster.now.wall_millis;
    let mut batch = Batch::new();
    for mark in [prefix.deadline(due), prefix.field_deadline(due, b"a")] {
        batch.put(Space::Derived, mark, Vec::new());
    }
    batch.put(Space::Derived, prefix.field_deadline(due + 1, b"gone"), Vec::new());
    cluster.nodes[index].store.commit(&batch).unwrap();
    assert_eq!(deadlines(&cluster, owner, &key), 4);
    // A lane that begins looks at all partitions.
    cluster.take_down(owner);
    cluster.bring_up(owner);
    cluster.advance(Duration::from_secs(10));
    assert_eq!(deadlines(&cluster, owner, &key), 1);
    assert_eq!(cluster.rows(owner, &key).cells().len(), 1);
}

#[test]
fn a_key_of_a_bucket_with_a_lifetime_expires_unless_a_write_says_otherwise() {
    let lifetime = NonZeroU64::new(60_000);
    let mut cluster =
        Cluster::new(3, BucketPolicy { expiry_millis: lifetime, ..BucketPolicy::default() });
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    let after = |cluster: &mut Cluster, operation: Operation| -> Option<u64> {
        let request = cluster.request(&key, operation);
        cluster.done(owner, request);
        let deadline = cluster.root(owner, &key).expiry.deadline();
        // In seconds: time in tests passes in steps that are not of whole milliseconds.
        let left = deadline.map(|at| (at.saturating_sub(cluster.now.wall_millis) + 500) / 1_000);
        cluster.advance(Duration::from_secs(10));
        left
    };
    let member = |name: &'static [u8]| vec![Bytes::from_static(name)];
    let add = |name| Operation::Set(SetOperation::new(SetVerb::Add(member(name))));
    let set = |expire| {
        let (value, condition) = (Bytes::from_static(b"1"), SetCondition::Always);
        Operation::String(StringOperation::Set { value, condition, get: false, expire })
    };
    let persist = Operation::Key(KeyOperation::Persist);
    assert_eq!(after(&mut cluster, add(b"x")), Some(60), "from the write that begins it");
    assert_eq!(after(&mut cluster, add(b"y")), Some(50), "not from those that follow");
    assert_eq!(after(&mut cluster, set(Expire::Never)), Some(60), "a new value is a new key");
    assert_eq!(after(&mut cluster, set(Expire::Keep)), Some(50));
    assert_eq!(after(&mut cluster, persist), None, "for ever, since somebody said so");
    let increment = Operation::String(StringOperation::IncrementBy(1));
    assert_eq!(after(&mut cluster, increment.clone()), None);
    let at = cluster.now.wall_millis + 20_000;
    assert_eq!(after(&mut cluster, set(Expire::At(at))), Some(20));
    cluster.advance(Duration::from_secs(20));
    assert_eq!(after(&mut cluster, increment), Some(60), "it had expired, and begins anew");
}
