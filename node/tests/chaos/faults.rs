//! Nodes that are killed, stopped, and cut off from one another while clients write.

use std::net::SocketAddr;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use coterie_local::Traffic;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::harness::Node;
use crate::load::{Book, Load};
use crate::testbed::{Plan, Testbed};
use crate::{alone, judge, proof};

/// Nodes of the cluster.
const NODES: usize = 5;

/// How long clients write without faults before, between and after them.
const CALM: Duration = Duration::from_millis(1_500);

/// What happens to a cluster for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// kill -9, and a new start.
    Kill,
    /// Killed, started, and killed again before it may be ready.
    KillTwice,
    /// SIGSTOP, and SIGCONT.
    Stop,
    /// Two sides that do not hear of each other.
    Split,
    /// One side hears the other, and is not heard.
    OneWay,
    /// Datagrams are lost, late, and overtake each other.
    Disturb,
}

const FAULTS: [Fault; 6] =
    [Fault::Kill, Fault::Stop, Fault::Split, Fault::OneWay, Fault::Disturb, Fault::KillTwice];

fn seed() -> u64 {
    let given = ["COTERIE_CHAOS_SEED", "PROPTEST_RNG_SEED"].map(std::env::var);
    given.into_iter().flatten().find_map(|it| it.parse().ok()).unwrap_or(1)
}

#[test]
fn what_was_acknowledged_outlives_kills_stops_and_networks_that_are_cut() {
    let _alone = alone();
    let seed = seed();
    let acts = if proof() { 12 } else { 2 };
    println!("COTERIE_CHAOS_SEED={seed}, {acts} acts");
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let plan = Plan { nodes: NODES, partitions: 16, seed, data: &[] };
    let mut testbed = Testbed::form(&plan);
    let book = Book::new();
    let doors: Vec<SocketAddr> = testbed.cluster.nodes.iter().map(Node::resp).collect();
    let mut to_come: Vec<Fault> = Vec::new();
    let mut felt = 0;
    for act in 0..acts {
        let load = Load::start(&book, &doors, act, seed);
        hold(CALM);
        let mut healed = Instant::now();
        for _ in 0..3 {
            // Every fault has its turn, in any order.
            if to_come.is_empty() {
                to_come = FAULTS.to_vec();
                to_come.shuffle(&mut random);
            }
            let fault = to_come.pop().expect("it was filled");
            inflict(&mut testbed, fault, &mut random);
            testbed.heal();
            healed = Instant::now();
            hold(CALM);
        }
        load.stop();
        let took = judge::settle(&testbed, healed);
        println!("act {act}: owners are equal {:.1} s after the last fault", took.as_secs_f32());
        felt += judge::judge_act(&testbed, &book);
    }
    testbed.check_logs();
    let Traffic { passed, dropped } = testbed.network.traffic();
    println!("datagrams: {passed} passed on, {dropped} lost");
    assert!(dropped > 0 && passed > dropped, "{passed} passed on, {dropped} lost");
    assert!(felt > 0, "no client was ever told that something could not be done, or is not known");
}

/// Lets the time pass for which a fault, or the calm between two, is to hold.
fn hold(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        park_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn inflict(testbed: &mut Testbed, fault: Fault, random: &mut Xoshiro256PlusPlus) {
    let mut order: Vec<usize> = (0..NODES).collect();
    order.shuffle(random);
    let count = *[1, 1, 2].choose(random).expect("there are some");
    let victims = order[..count].to_vec();
    let (few, many) = order.split_at(2);
    let time = Duration::from_millis(random.random_range(4_000..7_000));
    println!("{fault:?} for {:.1} s: {few:?} | {many:?}, {victims:?}", time.as_secs_f32());
    let nodes = &mut testbed.cluster.nodes;
    match fault {
        Fault::Kill => victims.iter().for_each(|node| nodes[*node].kill()),
        Fault::KillTwice => {
            for node in victims {
                let node = &mut nodes[node];
                node.kill();
                node.start();
                hold(time / 4);
                node.kill();
            }
        }
        Fault::Stop => victims.iter().for_each(|node| nodes[*node].pause()),
        Fault::Split => {
            testbed.network.cut(few, many);
            testbed.network.cut(many, few);
        }
        Fault::OneWay => testbed.network.cut(few, many),
        Fault::Disturb => testbed.network.disturb(100, 40),
    }
    hold(time);
}
