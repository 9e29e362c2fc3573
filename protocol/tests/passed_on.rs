//! Requests that meet a change of owners: who may not coordinate them any more passes them on, and where no owner does
//! yet they are offered again.

mod harness;

use std::time::Duration;

use coterie_ring::{BucketPolicy, NodeId, NodeState};
use coterie_wire::peer::listing::Listing;
use coterie_wire::{Body, Key, List, ListFrom, Listed, Outcome, Request, RequestId};

use harness::{BUCKET, Cluster, add, id, key, members, over, remove};

const NODES: u64 = 7;

/// All moves are over within it.
const MOVED: Duration = Duration::from_secs(60);

/// The first keys from this one on.
fn list(key: &Key) -> List {
    let from = ListFrom { hash: key.hash().0, after: None };
    let (bucket, time_left) = (BUCKET.into(), Duration::from_secs(2));
    List { id: RequestId(1), bucket, from, keys_max: 10, time_left, read: None }
}

/// Seven nodes with one key.
fn cluster() -> (Cluster, Key) {
    let (mut cluster, key) = (Cluster::new(NODES, BucketPolicy::default()), key("k"));
    let request = cluster.request(&key, add("x"));
    cluster.done(id(1), request);
    (cluster, key)
}

/// A node gives up all that it owns.
fn hand_over(cluster: &mut Cluster, node: NodeId) {
    let next = cluster.decision_on(&[node], NodeState::Draining);
    let over = over(&next);
    cluster.learn(next, |_| true);
    cluster.advance(MOVED);
    cluster.learn(over, |_| true);
}

#[test]
fn what_waits_at_an_owner_while_it_hands_over_is_done_by_another() {
    for operation in [members(), remove("x")] {
        let (mut cluster, key) = cluster();
        let owner = cluster.owners(&key)[0];
        cluster.lose(move |_, to, message| to == owner && matches!(message.body, Body::Shown(_)));
        let request = cluster.request(&key, operation);
        let client = cluster.submit(owner, Request { time_left: 2 * MOVED, ..request });
        cluster.advance(Duration::from_secs(1));
        assert_eq!(cluster.response(client), None, "nobody has shown it anything");
        hand_over(&mut cluster, owner);
        assert!(!cluster.owners(&key).contains(&owner), "it has handed over");
        cluster.advance(Duration::from_secs(1));
        let outcome = cluster.response(client);
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
    }
}

#[test]
fn a_listing_under_way_at_an_owner_that_hands_over_is_done_by_another() {
    let (mut cluster, key) = cluster();
    let owner = cluster.owners(&key)[0];
    cluster.lose(move |_, to, message| {
        let shown = |said: &Listing| matches!(said, Listing::Shown(_));
        to == owner && matches!(&message.body, Body::Listing(said) if shown(said))
    });
    let client = cluster.submit_list(owner, List { time_left: 2 * MOVED, ..list(&key) });
    cluster.advance(Duration::from_secs(1));
    assert_eq!(cluster.listed(client), None, "nobody has shown it anything");
    hand_over(&mut cluster, owner);
    cluster.advance(Duration::from_secs(1));
    let listed = cluster.listed(client);
    assert!(matches!(listed, Some(Listed::Page(_))), "{listed:?}");
}

#[test]
fn what_no_owner_of_yesterday_does_is_offered_to_those_of_today() {
    for operation in [members(), add("y")] {
        let (mut cluster, key) = cluster();
        let old = cluster.owners(&key);
        let next = cluster.decision_on(&old, NodeState::Draining);
        let partition = cluster.node(id(1)).view.partition(&key);
        let new: Vec<NodeId> = next.layout().owners(partition, 3).collect();
        let owns = |node: &NodeId| old.contains(node) || new.contains(node);
        let late = (1..=NODES).map(id).find(|node| !owns(node)).expect("six of seven own it");
        let over = over(&next);
        cluster.learn(next, |node| node != late);
        cluster.advance(MOVED);
        cluster.learn(over.clone(), |node| node != late);
        cluster.advance(Duration::from_secs(1));
        let request = cluster.request(&key, operation);
        let client = cluster.submit(late, request);
        let lister = cluster.submit_list(late, list(&key));
        cluster.advance(Duration::from_secs(1));
        assert_eq!(cluster.response(client), None, "it knows of no other owners");
        assert_eq!(cluster.listed(lister), None, "it knows of no other owners");
        cluster.learn(over, |node| node == late);
        cluster.advance(Duration::from_millis(100));
        let outcome = cluster.response(client);
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
        let listed = cluster.listed(lister);
        assert!(matches!(listed, Some(Listed::Page(_))), "{listed:?}");
    }
}
