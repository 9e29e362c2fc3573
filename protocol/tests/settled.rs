//! Purge epochs that every member has confirmed, and those that only some have: what an owner that begins refuses.

mod harness;

use std::time::Duration;

use coterie_crdt::Kind;
use coterie_protocol::SliceState;
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, NodeState};
use coterie_wire::peer::purge::Said;
use coterie_wire::{Body, Incarnation, Key, Message};

use harness::{Cluster, add, key, levels, remove};

/// Five nodes, a key with one owner, and what remains of a set that is deleted.
fn deleted() -> (Cluster, Key, NodeId) {
    let policy = BucketPolicy { replicas: 1, kind: BucketKind::Sloppy, ..BucketPolicy::default() };
    let mut cluster = Cluster::new(5, policy);
    let key = key("a");
    let owner = cluster.owners(&key)[0];
    for operation in [add("x"), remove("x")] {
        let request = cluster.request(&key, operation);
        cluster.done(owner, request);
    }
    (cluster, key, owner)
}

/// The owner of a key once `node` has given it up.
fn heir(cluster: &Cluster, node: NodeId, key: &Key) -> NodeId {
    let slice = cluster.nodes[0].view.slice(key).expect("the bucket is known");
    let sets = cluster
        .decision_on(&[node], NodeState::Draining)
        .live_sets(slice.partition, slice.replicas);
    sets.newest().members[0]
}

/// Lets `node` give up all that it owns.
fn drain(cluster: &mut Cluster, node: NodeId) {
    cluster.decide(node, NodeState::Draining, |_| true);
    cluster.advance(Duration::from_secs(60));
    cluster.decide(node, NodeState::Draining, |_| true);
    assert_eq!(cluster.decision().moving().len(), 0, "moves are over");
}

fn state<'c>(cluster: &'c Cluster, node: NodeId, key: &Key) -> &'c SliceState {
    let node = cluster.node(node);
    let slice = node.view.slice(key).expect("the bucket is known");
    let lane = &node.lanes[usize::from(slice.partition.0) % 2];
    lane.shared().slices.get(&slice).expect("it owns the slice")
}

fn is_told(message: &Message) -> bool {
    matches!(&message.body, Body::Purge(purge) if purge.said == Said::Told)
}

/// A fallback keeps a counted hint, and so does not confirm the next epoch, which all others have. Then the owner
/// hands over. With `forgets`, who takes over hears of the epoch only when it begins.
fn taken_over_with_a_hint_outstanding(forgets: bool) {
    let (mut cluster, key, owner) = deleted();
    let heir = heir(&cluster, owner, &key);
    let mut others = cluster.others(&key).into_iter();
    let keeper = others.find(|node| *node != heir).expect("five nodes");
    let others: Vec<NodeId> = cluster.others(&key);
    cluster.split(&[owner], &others);
    let mut request = cluster.request(&key, add("y"));
    request.levels = levels(Level::One, Level::One);
    cluster.done(keeper, request);
    cluster.heal();
    cluster.lose(move |from, to, message| {
        from == keeper && matches!(message.body, Body::Hint(_) | Body::Write(_))
            || forgets && to == heir && is_told(message)
    });
    cluster.advance(Duration::from_secs(60));
    assert_eq!(
        (state(&cluster, owner, &key).epoch, state(&cluster, owner, &key).epoch_min),
        (1, 0)
    );
    if forgets {
        let incarnation = Incarnation(99);
        cluster.change_view(heir, |view| (view.amnesiac, view.incarnation) = (true, incarnation));
        cluster.change_view(heir, |view| view.amnesiac = false);
    }
    drain(&mut cluster, owner);
    assert_eq!(cluster.owners(&key), [heir]);
    assert_eq!((state(&cluster, heir, &key).epoch, state(&cluster, heir, &key).epoch_min), (1, 0));
    cluster.heal();
    cluster.advance(Duration::from_secs(120));
    assert_eq!(cluster.root(heir, &key).counts.live(Kind::Member), 1, "forgets: {forgets}");
}

#[test]
fn a_counted_hint_is_taken_by_an_owner_that_began_at_an_epoch_which_its_keeper_has_not_confirmed() {
    taken_over_with_a_hint_outstanding(false);
    taken_over_with_a_hint_outstanding(true);
}

#[test]
fn who_begins_to_own_a_slice_is_told_which_epoch_every_member_has_confirmed() {
    for forgets in [false, true] {
        let (mut cluster, key, owner) = deleted();
        let heir = heir(&cluster, owner, &key);
        cluster.advance(Duration::from_secs(60));
        assert_eq!(state(&cluster, owner, &key).epoch_min, 1, "the purge is over");
        if forgets {
            let lost = Incarnation(99);
            cluster.change_view(heir, |view| (view.amnesiac, view.incarnation) = (true, lost));
            cluster.change_view(heir, |view| view.amnesiac = false);
        }
        drain(&mut cluster, owner);
        let state = state(&cluster, heir, &key);
        assert_eq!((state.epoch, state.epoch_min), (1, 1), "forgets: {forgets}");
    }
}

#[test]
fn who_is_yet_to_be_brought_a_slice_tells_nobody_its_epoch() {
    let (mut cluster, key, owner) = deleted();
    let heir = heir(&cluster, owner, &key);
    cluster.advance(Duration::from_secs(60));
    // Nothing is brought, and it has not heard of the epoch.
    let lost = Incarnation(99);
    cluster.lose(move |_, to, message| {
        to == heir && !matches!(&message.body, Body::Purge(purge) if purge.said == Said::Ask)
    });
    cluster.change_view(heir, |view| (view.amnesiac, view.incarnation) = (true, lost));
    cluster.change_view(heir, |view| view.amnesiac = false);
    cluster.decide(owner, NodeState::Draining, |_| true);
    assert_eq!(state(&cluster, heir, &key).epoch, 0);
    let asker = cluster.others(&key).into_iter().find(|node| *node != owner).expect("five nodes");
    let forgets = Incarnation(98);
    cluster.change_view(asker, |view| (view.amnesiac, view.incarnation) = (true, forgets));
    cluster.change_view(asker, |view| view.amnesiac = false);
    cluster.advance(Duration::from_secs(30));
    let slice = cluster.nodes[0].view.slice(&key).expect("the bucket is known");
    let lane = usize::from(slice.partition.0) % 2;
    let known = cluster.node(asker).lanes[lane].shared().epochs.get(&slice).copied();
    assert_eq!(known.map(|known| (known.epoch, known.settled)), Some((1, 1)));
}
