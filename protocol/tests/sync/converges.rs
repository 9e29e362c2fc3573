//! Replicas end equal.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use coterie_protocol::Event;
use coterie_protocol::repair::sync::{self, Asker};
use coterie_ring::{BucketPolicy, NodeId};
use coterie_wire::Body;
use coterie_wire::peer::sync::{Answer, Sync};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

use crate::harness::{Cluster, id, key};
use crate::writes::{any, are_equal, differing, some, write};

fn seeds() -> std::ops::Range<u64> {
    if std::env::var_os("COTERIE_PROOF").is_some() { 0..2_000 } else { 0..60 }
}

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// Three owners of every key with random differences.
fn diverged(random: &mut Random, writes: u32, keys: u32) -> Cluster {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    for _ in 0..writes {
        let (key, operation) = any(random, keys);
        let to = some(random, &NODES);
        write(&mut cluster, to[0], &key, &operation, &to);
    }
    cluster
}

fn converge(cluster: &mut Cluster, seed: u64, within: Duration) {
    let began = cluster.now.monotonic;
    while !are_equal(cluster) {
        let passed = cluster.now.monotonic - began;
        assert!(passed < within, "seed {seed}: {} rows differ", differing(cluster));
        cluster.advance(Duration::from_millis(100));
    }
}

#[test]
fn owners_with_random_differences_end_equal() {
    for seed in seeds() {
        let mut random = Random::seed_from_u64(seed);
        let keys = 1 << random.random_range(0..8);
        let mut cluster = diverged(&mut random, 300, keys);
        assert!(!are_equal(&cluster), "seed {seed}");
        converge(&mut cluster, seed, Duration::from_secs(15));
    }
}

#[test]
fn owners_end_equal_although_messages_are_lost_repeated_and_reordered() {
    for seed in seeds() {
        let mut random = Random::seed_from_u64(seed);
        let mut cluster = diverged(&mut random, 200, 64);
        let mut faults = Random::seed_from_u64(!seed);
        cluster.lose(move |_, _, message| {
            matches!(message.body, Body::Sync(_)) && faults.random_ratio(1, 8)
        });
        cluster.disturb(move |messages| {
            let at = random.random_range(0..messages.len());
            messages.swap(0, at);
            if random.random_ratio(1, 8) {
                let again = messages[at].clone();
                messages.push_back(again);
            }
        });
        let began = cluster.now.monotonic;
        while !are_equal(&cluster) {
            let passed = cluster.now.monotonic - began;
            let left = differing(&cluster);
            assert!(passed < Duration::from_secs(120), "seed {seed}: {left} rows differ");
            cluster.advance(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_node_that_crashes_in_the_middle_ends_equal() {
    for seed in seeds() {
        let mut random = Random::seed_from_u64(seed);
        let mut cluster = diverged(&mut random, 300, 64);
        for _ in 0..random.random_range(1..40) {
            cluster.step();
        }
        let crashed = id(random.random_range(1..=3));
        cluster.take_down(crashed);
        cluster.messages.clear();
        cluster.advance(Duration::from_millis(random.random_range(0..3_000)));
        cluster.bring_up(crashed);
        converge(&mut cluster, seed, Duration::from_secs(60));
    }
}

/// An owner that took more than a second to join what it was sent was sent it again, up to eight times.
#[test]
fn rows_are_not_sent_again_to_one_that_takes_its_time() {
    let mut cluster = diverged(&mut Random::seed_from_u64(1), 100, 64);
    let sent = Rc::new(RefCell::new(BTreeMap::new()));
    let seen = Rc::clone(&sent);
    cluster.lose(move |_, to, message| match &message.body {
        Body::Sync(Sync::Step { number, step }) if step.rows() > 0 => {
            let step = (to, message.request, *number);
            *seen.borrow_mut().entry(step).or_insert(0) += 1;
            false
        }
        // It is still busy.
        Body::Sync(Sync::Answer { number, .. }) => seen
            .borrow()
            .keys()
            .any(|(_, request, step)| (request, step) == (&message.request, number)),
        _ => false,
    });
    cluster.advance(Duration::from_millis(4_500));
    assert!(!sent.borrow().is_empty(), "they differ");
    assert!(sent.borrow().values().all(|times| *times == 1), "{:?}", sent.borrow());
    cluster.heal();
    converge(&mut cluster, 1, Duration::from_secs(15));
}

#[test]
fn sessions_that_are_over_keep_no_others_from_beginning() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let slice = cluster.nodes[0].view.slice(&key("k")).expect("a known bucket");
    let lane = usize::from(slice.partition.0) % cluster.nodes[0].lanes.len();
    let (closed, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (closes, ends) = (Rc::clone(&closed), Rc::clone(&ended));
    cluster.watch(move |message| {
        let Body::Sync(Sync::Answer { answer, .. }) = &message.body else { return };
        match &**answer {
            Answer::Closed { .. } => closes.set(closes.get() + 1),
            Answer::Ended(_) => ends.set(ends.get() + 1),
            _ => {}
        }
    });
    // Far more than a node keeps, all within the time for which it remembers one.
    for _ in 0..200 {
        let now = sync::Event::Now { slice, with: NODES[1], asker: Asker::Moving };
        cluster.event(0, lane, Event::Sync(now));
        cluster.run();
    }
    assert_eq!((closed.get(), ended.get()), (200, 0));
}
