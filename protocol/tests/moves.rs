//! Ownership moves: by sync, fenced and counted, through crashes, until the old copy goes.

mod harness;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use coterie_crdt::{Actor, Kind};
use coterie_protocol::mutants::{Mutant, with_mutant};
use coterie_protocol::rows::Space;
use coterie_protocol::{ControlEvent, SliceState, View};
use coterie_ring::decision::{Decision, successor};
use coterie_ring::moves::Quorum;
use coterie_ring::{BucketPolicy, Level, NodeId, NodeState, Partition};
use coterie_wire::peer::moving::Move;
use coterie_wire::{Body, Incarnation, Key};

use harness::{Cluster, add, id, key, levels, over};

const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Four nodes with some keys, of which the last is asked to leave.
fn leaving() -> Cluster {
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    for name in KEYS {
        let key = key(name);
        let add = add("x");
        let request = cluster.request(&key, add);
        cluster.done(id(1), request);
    }
    cluster
}

/// The last node gives up all that it owns.
fn drained(cluster: &Cluster) -> Decision {
    cluster.decision_on(&[id(4)], NodeState::Draining)
}

fn decide(cluster: &mut Cluster, decision: Decision) {
    cluster.learn(decision, |_| true);
}

/// The moves that control was told are done, by any node.
fn done(cluster: &Cluster) -> BTreeSet<(Partition, u8)> {
    let done = |(_, event): &(NodeId, ControlEvent)| match event {
        ControlEvent::MoveDone { slice, .. } => Some((slice.partition, slice.replicas)),
        _ => None,
    };
    cluster.control.iter().filter_map(done).collect()
}

fn assert_owners_have_all(cluster: &Cluster) {
    for name in KEYS {
        let key = key(name);
        for owner in cluster.owners(&key) {
            let live = cluster.root(owner, &key).counts.live(Kind::Member);
            assert_eq!(live, 1, "{name} at {owner}");
        }
    }
}

fn state<'c>(cluster: &'c Cluster, node: NodeId, key: &Key) -> Option<&'c SliceState> {
    let node = cluster.node(node);
    let slice = node.view.slice(key).expect("the bucket is known");
    node.lanes[usize::from(slice.partition.0) % 2].shared().slices.get(&slice)
}

#[test]
fn what_a_node_gives_up_is_brought_to_the_new_owners_and_deleted_after_the_hold() {
    let mut cluster = leaving();
    let next = drained(&cluster);
    let moving: BTreeSet<(Partition, u8)> = next.moving().collect();
    assert!(!moving.is_empty());
    decide(&mut cluster, next.clone());
    cluster.advance(Duration::from_secs(60));
    assert_eq!(done(&cluster), moving);
    assert_owners_have_all(&cluster);
    let over = over(&next);
    assert_eq!(over.moving().len(), 0);
    decide(&mut cluster, over);
    assert!(!cluster.node(id(4)).store.space(Space::Rows).is_empty(), "the copy is held");
    for _ in 0..13 {
        cluster.advance(Duration::from_secs(300));
    }
    assert!(cluster.node(id(4)).store.space(Space::Rows).is_empty(), "the hold is over");
    assert!(state(&cluster, id(4), &key("a")).is_none());
    assert_owners_have_all(&cluster);
}

#[test]
fn a_node_that_stops_in_the_middle_of_moves_goes_on_with_them() {
    for (messages, node) in [(0, 4), (9, 4), (40, 4), (3, 1), (20, 2), (60, 3)] {
        let mut cluster = leaving();
        let next = drained(&cluster);
        let moving: BTreeSet<(Partition, u8)> = next.moving().collect();
        let mut left = messages;
        cluster.lose(move |_, _, message| {
            left -= i32::from(matches!(message.body, Body::Move(_)) && left >= 0);
            left < 0
        });
        decide(&mut cluster, next);
        cluster.advance(Duration::from_secs(3));
        cluster.take_down(id(node));
        cluster.heal();
        cluster.bring_up(id(node));
        cluster.advance(Duration::from_secs(90));
        assert_eq!(done(&cluster), moving, "after {messages} messages, node {node}");
        assert_owners_have_all(&cluster);
    }
}

#[test]
fn a_slice_that_is_owned_again_begins_under_a_new_actor() {
    let mut cluster = leaving();
    let first = cluster.decision().clone();
    let key = KEYS.map(key).into_iter().find(|key| cluster.owners(key).contains(&id(4)));
    let key = key.expect("the last node owns something");
    let before = state(&cluster, id(4), &key).expect("it does").life();
    let next = drained(&cluster);
    decide(&mut cluster, next.clone());
    cluster.advance(Duration::from_secs(60));
    let over = over(&next);
    decide(&mut cluster, over.clone());
    for _ in 0..13 {
        cluster.advance(Duration::from_secs(300));
    }
    let mut intent = over.layout().snapshot().clone();
    let active = first.layout().snapshot().node(id(4)).expect("there are four").clone();
    intent.set_node(id(4), active).expect("it may own again");
    let again = successor(&over, &intent, 0, |_, _| true).expect("four can own all");
    decide(&mut cluster, again);
    cluster.advance(Duration::from_secs(60));
    for key in KEYS.map(harness::key) {
        if let Some(state) = state(&cluster, id(4), &key) {
            assert_ne!(state.life(), before);
        }
    }
    assert_owners_have_all(&cluster);
}

#[test]
fn what_was_brought_to_an_amnesiac_copy_before_another_loss_is_brought_again() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("a");
    let owners = cluster.owners(&key);
    let synchronised = |cluster: &Cluster| {
        let state = state(cluster, owners[0], &key).expect("it is an owner");
        state.reception.synchronised().map(<[NodeId]>::to_vec)
    };
    cluster.cut(owners[1], owners[0]);
    let lost = |life| move |view: &mut View| (view.amnesiac, view.incarnation) = (true, life);
    cluster.change_view(owners[0], lost(Incarnation(98)));
    cluster.advance(Duration::from_secs(20));
    assert_eq!(synchronised(&cluster), Some(vec![owners[2]]));
    cluster.change_view(owners[0], lost(Incarnation(99)));
    assert_eq!(synchronised(&cluster), Some(vec![]));
    cluster.heal();
    cluster.advance(Duration::from_secs(20));
    assert_eq!(synchronised(&cluster), None);
}

#[test]
fn a_former_owner_stands_in_for_owners_that_it_cannot_reach() {
    let mut cluster = leaving();
    let mut keys = KEYS.map(key).into_iter();
    let key = keys.find(|key| cluster.owners(key).contains(&id(4))).expect("the last owns some");
    let first = cluster.decision().clone();
    let mut intent = first.layout().snapshot().clone();
    let mut node = intent.node(id(4)).expect("there are four").clone();
    // It stays, and is given nothing any more.
    node.weight = 0;
    intent.set_node(id(4), node).expect("it may own nothing");
    let next = successor(&first, &intent, 0, |_, _| true).expect("three can own all");
    decide(&mut cluster, next.clone());
    cluster.advance(Duration::from_secs(60));
    decide(&mut cluster, over(&next));
    assert!(state(&cluster, id(4), &key).is_some(), "the copy is held");
    cluster.split(&[id(4)], &[id(1), id(2), id(3)]);
    let add = add("y");
    let mut request = cluster.request(&key, add);
    request.levels = levels(Level::Any, Level::One);
    assert_eq!(cluster.done(id(4), request).fallbacks, [id(4)]);
    cluster.heal();
    cluster.advance(Duration::from_secs(10));
    for owner in cluster.owners(&key) {
        assert_eq!(cluster.root(owner, &key).counts.live(Kind::Member), 2, "at {owner}");
    }
}

fn owned_by_the_last(cluster: &Cluster) -> Key {
    let key = KEYS.map(key).into_iter().find(|key| cluster.owners(key).contains(&id(4)));
    key.expect("the last node owns something")
}

#[test]
fn a_push_to_a_copy_that_is_gone_counts_for_nothing() {
    let may_answer = || {
        let mut cluster = leaving();
        let key = owned_by_the_last(&cluster);
        let old = cluster.owners(&key);
        let new = (1..4).map(id).find(|node| !old.contains(node)).expect("four nodes");
        cluster.lose(|_, _, message| matches!(message.body, Body::Sync(_)));
        let next = drained(&cluster);
        decide(&mut cluster, next);
        cluster.advance(Duration::from_secs(5));
        let begun = state(&cluster, new, &key).expect("it is to own it");
        let tag = begun.replica.sets().tag();
        for from in old {
            let pushed = Move::Pushed { fenced: tag, life: Actor(0xdead) };
            cluster.forge((from, new), &key, 0, Body::Move(pushed));
        }
        cluster.run();
        let replica = &state(&cluster, new, &key).expect("it is to own it").replica;
        replica.may_answer_read(tag, Quorum::Majority).is_ok()
    };
    assert!(!may_answer(), "what was brought went to another copy");
    assert!(with_mutant(Mutant::PushToFormerCopy, may_answer));
}

#[test]
fn nobody_is_brought_anything_before_the_fence_is_on_disk() {
    let brings_before_the_sync = || {
        let mut cluster = leaving();
        let slice = cluster.node(id(1)).view.slice(&owned_by_the_last(&cluster));
        let brings = Rc::new(Cell::new(false));
        let seen = Rc::clone(&brings);
        cluster.lose(move |from, _, message| {
            let brings = matches!(message.body, Body::Move(Move::Offer | Move::Pushed { .. }));
            seen.set(seen.get() || brings && from == id(4) && message.slice == slice);
            false
        });
        cluster.set_syncs(id(4), false);
        let next = drained(&cluster);
        decide(&mut cluster, next);
        cluster.advance(Duration::from_secs(5));
        let before = brings.get();
        cluster.set_syncs(id(4), true);
        cluster.advance(Duration::from_secs(5));
        assert!(brings.get(), "it does once it is");
        before
    };
    assert!(!brings_before_the_sync());
    assert!(with_mutant(Mutant::PushBeforeFence, brings_before_the_sync));
}
