//! Convergence barriers: what they wait for, and what they name where it does not come.

use std::time::Duration;

use coterie_crdt::operation::{Operation, SetOperation, SetVerb};
use coterie_protocol::Event;
use coterie_protocol::repair::barrier::{self, BarrierId, Cause, Outcome, Scope};
use coterie_ring::{BucketPolicy, NodeId};
use coterie_wire::{Body, Key};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus as Random;

use crate::harness::{Cluster, id, key};
use crate::writes::{any, are_equal, some, write};

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn add(member: &str) -> Operation {
    Operation::Set(SetOperation::new(SetVerb::Add(vec![member.to_owned().into()])))
}

/// Three owners of every key, of which each has what the others lack.
fn diverged(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let mut random = Random::seed_from_u64(seed);
    for _ in 0..100 {
        let (key, operation) = any(&mut random, 32);
        let to = some(&mut random, &NODES);
        write(&mut cluster, to[0], &key, &operation, &to);
    }
    for (node, member) in NODES.into_iter().zip(["a", "b", "c"]) {
        write(&mut cluster, node, &key("apart"), &add(member), &[node]);
    }
    cluster
}

/// Begins a barrier at node 1, in the lane of a key.
fn begin(cluster: &mut Cluster, barrier: u64, of: &Key, scope: Scope, within: Duration) {
    let lanes = cluster.nodes[0].lanes.len();
    let lane = usize::from(cluster.nodes[0].view.partition(of).0) % lanes;
    let (barrier, until) = (BarrierId(barrier), cluster.now.monotonic + within);
    let begin = barrier::Event::Begin { barrier, scope, until };
    cluster.event(0, lane, Event::Barrier(begin));
}

fn outcome(cluster: &Cluster, barrier: u64) -> Option<&Outcome> {
    cluster.barriers.get(&BarrierId(barrier))
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn all_owners_are_equal_once_a_barrier_of_each_lane_is_done() {
    for seed in 0..30 {
        let mut cluster = diverged(seed);
        for lane in 0..cluster.nodes[0].lanes.len() {
            let (barrier, until) = (BarrierId(lane as u64), cluster.now.monotonic + LONG);
            let begin = barrier::Event::Begin { barrier, scope: Scope::All, until };
            cluster.event(0, lane, Event::Barrier(begin));
        }
        assert!(cluster.barriers.is_empty() && !are_equal(&cluster), "seed {seed}");
        let lanes = cluster.nodes[0].lanes.len();
        // No round of sync: message by message, so that nothing but the barriers makes owners equal.
        while cluster.barriers.len() < lanes {
            assert!(cluster.step(), "seed {seed}: nothing is under way");
        }
        assert!(cluster.barriers.values().all(|outcome| *outcome == Outcome::Done), "seed {seed}");
        assert!(are_equal(&cluster), "seed {seed}");
    }
}

#[test]
fn a_barrier_of_a_key_or_slice_makes_that_equal_at_all_owners() {
    let apart = key("apart");
    for of_key in [true, false] {
        let mut cluster = diverged(7);
        let slice = cluster.nodes[0].view.slice(&apart).expect("a known bucket");
        let scope = if of_key { Scope::Key(apart.clone()) } else { Scope::Slice(slice) };
        begin(&mut cluster, 1, &apart, scope, LONG);
        while outcome(&cluster, 1).is_none() {
            assert!(cluster.step(), "nothing is under way");
        }
        assert_eq!(outcome(&cluster, 1), Some(&Outcome::Done));
        assert!(cluster.is_equal(&apart));
        assert!(!are_equal(&cluster), "other slices were not asked for");
    }
}

#[test]
fn a_barrier_names_the_owner_that_is_down_when_its_time_has_passed() {
    let (apart, mut cluster) = (key("apart"), diverged(3));
    cluster.take_down(id(3));
    let scope = Scope::Key(apart.clone());
    begin(&mut cluster, 1, &apart, scope.clone(), Duration::from_secs(5));
    cluster.advance(Duration::from_millis(4_900));
    assert_eq!(outcome(&cluster, 1), None);
    cluster.advance(Duration::from_millis(200));
    let Some(Outcome::Expired { lacking, more: 0 }) = outcome(&cluster, 1) else {
        panic!("{:?}", outcome(&cluster, 1));
    };
    let named: Vec<_> = lacking.iter().map(|one| (one.owner, one.cause)).collect();
    assert_eq!(named, [(id(3), Cause::Down)]);
    begin(&mut cluster, 2, &apart, scope, LONG);
    cluster.bring_up(id(3));
    cluster.advance(Duration::from_secs(3));
    assert_eq!(outcome(&cluster, 2), Some(&Outcome::Done), "it is asked once it is back");
    assert!(cluster.is_equal(&apart));
}

#[test]
fn a_barrier_waits_for_hints_that_are_kept_here() {
    let key = key("hinted");
    let mut cluster = Cluster::new(4, BucketPolicy::default());
    let (owners, others) = (cluster.owners(&key), cluster.others(&key));
    cluster.take_down(owners[0]);
    let request = cluster.request(&key, add("m"));
    cluster.done(others[0], request);
    let slice = cluster.nodes[0].view.slice(&key).expect("a known bucket");
    let keeps = |cluster: &Cluster| {
        let holds = |lane: &coterie_protocol::Lane| {
            lane.shared().hints.of_slice(slice).any(|(kept, _)| kept == owners[0])
        };
        let found = cluster.nodes.iter().position(|node| node.lanes.iter().any(holds));
        found.expect("somebody keeps a hint")
    };
    let keeper = keeps(&cluster);
    let lane = usize::from(slice.partition.0) % cluster.nodes[keeper].lanes.len();
    let wait = |cluster: &mut Cluster, barrier| {
        let until = cluster.now.monotonic + Duration::from_secs(5);
        let scope = Scope::All;
        let begin = barrier::Event::Begin { barrier: BarrierId(barrier), scope, until };
        cluster.event(keeper, lane, Event::Barrier(begin));
    };
    wait(&mut cluster, 1);
    cluster.advance(Duration::from_secs(6));
    let Some(Outcome::Expired { lacking, .. }) = outcome(&cluster, 1) else { panic!("no hint") };
    assert!(lacking.iter().any(|one| (one.owner, one.cause) == (owners[0], Cause::Hints)));
    cluster.bring_up(owners[0]);
    wait(&mut cluster, 2);
    cluster.advance(Duration::from_secs(5));
    assert_eq!(outcome(&cluster, 2), Some(&Outcome::Done));
    assert!(cluster.is_equal(&key));
}

#[test]
fn a_barrier_goes_on_although_messages_are_lost_and_refuses_what_is_not_owned() {
    let (apart, mut cluster) = (key("apart"), diverged(5));
    let mut lost = 0;
    cluster.lose(move |_, _, message| {
        lost += u32::from(matches!(message.body, Body::Sync(_)));
        matches!(message.body, Body::Sync(_)) && lost % 4 == 1
    });
    begin(&mut cluster, 1, &apart, Scope::Key(apart.clone()), LONG);
    cluster.advance(Duration::from_secs(20));
    assert_eq!(outcome(&cluster, 1), Some(&Outcome::Done));
    let stranger = Key::new(&b"no bucket"[..], &b"k"[..]);
    begin(&mut cluster, 2, &apart, Scope::Key(stranger), LONG);
    assert_eq!(outcome(&cluster, 2), Some(&Outcome::NotOwner));
    cluster.take_down(id(3));
    for barrier in 3..=11 {
        begin(&mut cluster, barrier, &apart, Scope::Key(apart.clone()), LONG);
    }
    assert_eq!(outcome(&cluster, 10), None);
    assert_eq!(outcome(&cluster, 11), Some(&Outcome::Busy));
}
