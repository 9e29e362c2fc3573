//! Large keys stand in each other's way as little as may be.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{Operation, SetOperation, SetVerb};
use coterie_crdt::{Root, State};
use coterie_protocol::rows::address::{Derived, KeyPrefix};
use coterie_protocol::rows::{Batch, KeyRange, Space, Store, fetch};
use coterie_ring::{BucketPolicy, NodeId, Partition};
use coterie_wire::peer::sync::{Step, Sync};
use coterie_wire::{Body, Key};

use crate::harness::{Cluster, id, key};
use crate::writes::{are_equal, write_over};

fn pair() -> Cluster {
    Cluster::new(2, BucketPolicy { replicas: 2, ..BucketPolicy::default() })
}

fn root(cluster: &Cluster, at: NodeId, key: &Key) -> Root {
    let prefix = KeyPrefix::new(cluster.nodes[0].view.partition(key), key);
    fetch::root(&cluster.node(at).store, &prefix).expect("it is sound")
}

/// Adds members to a set at some owners.
fn add(cluster: &mut Cluster, key: &Key, members: std::ops::Range<u64>, to: &[NodeId]) {
    let members = members.map(|number| Bytes::from(format!("member:{number}"))).collect();
    let add = Operation::Set(SetOperation::new(SetVerb::Add(members)));
    let rows = State::from_rows(root(cluster, to[0], key), BTreeMap::new());
    write_over(cluster, to[0], key, &rows, &add, to);
}

#[test]
fn a_large_key_that_is_never_answered_about_does_not_keep_the_others_from_being_equal() {
    let mut cluster = pair();
    let names = (0u64..).map(|number| key(&format!("set:{number}")));
    let here = |key: &Key| cluster.nodes[0].view.partition(key) == Partition(0);
    let mut keys: Vec<Key> = names.filter(here).take(3).collect();
    keys.sort();
    for key in &keys {
        add(&mut cluster, key, 0..100, &[id(1)]);
    }
    let silent = keys[0].clone();
    cluster.lose(move |_, _, message| match &message.body {
        Body::Sync(Sync::Step { step, .. }) => {
            matches!(&**step, Step::Cells { key, .. } if *key == silent)
        }
        _ => false,
    });
    cluster.advance(Duration::from_secs(20));
    for (at, key) in keys.iter().enumerate() {
        let equal = root(&cluster, id(1), key) == root(&cluster, id(2), key);
        assert_eq!(equal, at > 0, "{key:?}");
    }
}

#[test]
fn an_order_of_cells_whose_building_a_crash_broke_off_is_built_when_the_key_is_compared() {
    let (mut cluster, key) = (pair(), key("large"));
    for first in (0..6_000).step_by(200) {
        add(&mut cluster, &key, first..first + 200, &[id(1), id(2)]);
    }
    cluster.run();
    assert!(are_equal(&cluster));
    // As a crash leaves it that comes before the first chunk.
    let prefix = KeyPrefix::new(cluster.nodes[0].view.partition(&key), &key);
    cluster.take_down(id(2));
    let mut batch = Batch::new();
    for what in [Derived::CellSums, Derived::CellOrder] {
        batch.delete_range(Space::Derived, KeyRange::prefix(prefix.derived(what, &[])));
    }
    batch.put(Space::Derived, prefix.derived(Derived::CellSums, &[]), vec![0]);
    let node = cluster.nodes.iter_mut().find(|node| node.id == id(2)).expect("a node");
    node.store.commit(&batch).expect("it is in memory");
    node.store.sync().expect("it is in memory");
    cluster.bring_up(id(2));
    add(&mut cluster, &key, 6_000..6_001, &[id(1)]);
    cluster.advance(Duration::from_secs(20));
    assert!(are_equal(&cluster));
}
