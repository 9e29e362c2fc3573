//! Purges: what remains of deleted keys goes, and nothing else does.

mod harness;

use std::time::Duration;

use coterie_crdt::operation::{Operation, SetOperation, SetVerb};
use coterie_protocol::Liveness;
use coterie_ring::BucketPolicy;

use harness::{Cluster, id, key};

fn add(member: &'static str) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Add(vec![member.into()])))
}

fn remove(member: &'static str) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Remove(vec![member.into()])))
}

/// Five nodes of which three own the key, with a set that had one member.
fn deleted() -> Cluster {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("a");
    for operation in [add("x"), remove("x")] {
        let request = cluster.request(&key, operation);
        cluster.done(id(1), request);
    }
    cluster
}

fn epochs(cluster: &Cluster) -> Vec<u64> {
    let slice = cluster.nodes[0].view.slice(&key("a")).expect("the bucket is known");
    let lane = usize::from(slice.partition.0) % 2;
    cluster.nodes.iter().map(|node| node.lanes[lane].shared().epoch(slice)).collect()
}

#[test]
fn a_deleted_key_is_gone_everywhere_once_all_members_have_confirmed() {
    let mut cluster = deleted();
    let key = key("a");
    for owner in cluster.owners(&key) {
        assert!(!cluster.root(owner, &key).is_empty());
    }
    cluster.advance(Duration::from_secs(30));
    for owner in cluster.owners(&key) {
        assert!(cluster.root(owner, &key).is_empty(), "at {owner}");
    }
    assert_eq!(epochs(&cluster), [1; 5]);
}

#[test]
fn a_key_written_again_after_its_purge_is_read_everywhere() {
    let mut cluster = deleted();
    cluster.advance(Duration::from_secs(30));
    let key = key("a");
    let request = cluster.request(&key, add("y"));
    cluster.done(id(2), request);
    for owner in cluster.owners(&key) {
        assert_eq!(cluster.root(owner, &key).counts.live(coterie_crdt::Kind::Member), 1);
    }
}

#[test]
fn a_member_that_is_down_holds_purges_up() {
    let mut cluster = deleted();
    let key = key("a");
    let other = cluster.others(&key)[0];
    cluster.take_down(other);
    cluster.advance(Duration::from_secs(300));
    for owner in cluster.owners(&key) {
        assert!(!cluster.root(owner, &key).is_empty());
    }
    cluster.bring_up(other);
    cluster.advance(Duration::from_secs(90));
    for owner in cluster.owners(&key) {
        assert!(cluster.root(owner, &key).is_empty(), "at {owner}");
    }
}

#[test]
fn an_owner_that_stops_in_the_middle_of_a_round_does_not_stop_the_next() {
    for messages in 0..24 {
        let mut cluster = deleted();
        let key = key("a");
        let leader = cluster.owners(&key)[0];
        let mut left = messages;
        cluster.lose(move |_, _, message| {
            let purge = matches!(message.body, coterie_wire::Body::Purge(_));
            left -= i32::from(purge && left >= 0);
            purge && left < 0
        });
        cluster.advance(Duration::from_secs(10));
        cluster.take_down(leader);
        cluster.heal();
        cluster.mark(leader, Liveness::Down);
        cluster.bring_up(leader);
        cluster.advance(Duration::from_secs(300));
        for owner in cluster.owners(&key) {
            assert!(cluster.root(owner, &key).is_empty(), "after {messages} messages, at {owner}");
        }
        let epochs = epochs(&cluster);
        assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    }
}
