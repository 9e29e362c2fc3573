//! What a linearizable operation costs in messages, when nobody else is about.

mod harness;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_crdt::operation::{
    Expire, FlagKind, FlagOperation, FlagVerb, Operation, Reply, SetCondition, SetOperation,
    SetVerb, StringOperation,
};
use coterie_protocol::linearizable::Laps;
use coterie_ring::{BucketPolicy, Level, NodeId};
use coterie_wire::{Key, Outcome};

use harness::{Cluster, key, levels};

/// What one operation came to.
#[derive(Debug, PartialEq)]
struct Cost {
    round_trips: usize,
    /// Messages by what they say.
    messages: BTreeMap<String, usize>,
}

impl Cost {
    fn new(round_trips: usize, messages: &[(&str, usize)]) -> Cost {
        let messages = messages.iter().map(|(said, count)| ((*said).to_owned(), *count));
        Cost { round_trips, messages: messages.collect() }
    }
}

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

fn flag(verb: FlagVerb) -> Operation {
    Operation::Flag(FlagOperation { kind: FlagKind::EnableWins, verb })
}

/// Asks a node at level linearizable; all messages take equally long, so that what answers them is half a round trip
/// behind.
fn cost(cluster: &mut Cluster, node: NodeId, key: &Key, operation: Operation) -> (Reply, Cost) {
    let mut request = cluster.request(key, operation);
    request.levels = levels(Level::Linearizable, Level::Linearizable);
    let client = cluster.submit(node, request);
    let (mut half_trips, mut messages) = (0, BTreeMap::new());
    let mut answered = None;
    while !cluster.messages.is_empty() {
        for (.., message) in &cluster.messages {
            let said = format!("{:?}", message.body);
            let said = said.split(['(', ' ']).next().unwrap_or_default().to_owned();
            *messages.entry(said).or_default() += 1;
        }
        for _ in 0..cluster.messages.len() {
            cluster.step();
        }
        half_trips += 1;
        if answered.is_none() && cluster.response(client).is_some() {
            answered = Some(half_trips);
        }
    }
    let Some(Outcome::Done(done)) = cluster.response(client) else { panic!("it is done") };
    let reply = done.replies[0].clone().expect("nothing is wrong with the operation");
    let half_trips = answered.expect("it is answered after some message");
    (reply, Cost { round_trips: half_trips / 2, messages })
}

fn laps(cluster: &Cluster) -> [u64; 8] {
    let mut sum = [0; 8];
    for lane in cluster.nodes.iter().flat_map(|node| &node.lanes) {
        let Laps(laps) = lane.linearizable().laps();
        sum.iter_mut().zip(laps).for_each(|(sum, laps)| *sum += laps);
    }
    sum
}

#[test]
fn an_add_takes_one_round_trip_an_observed_remove_two_and_a_quiet_read_one() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("set");
    let owner = cluster.owners(&key)[0];
    let write = [("Write", 2), ("Wrote", 2)];
    let observing = [("Read", 1), ("Shown", 1), ("Write", 2), ("Wrote", 2)];
    let read = [("Query", 2), ("Queried", 2)];
    for round in 0..4 {
        let (_, add) = cost(&mut cluster, owner, &key, set(SetVerb::Add(vec!["a".into()])));
        assert_eq!(add, Cost::new(1, &write), "add {round}");
        let (reply, members) = cost(&mut cluster, owner, &key, set(SetVerb::Members));
        assert_eq!(reply, Reply::Values(vec![Some("a".into())]));
        assert_eq!(members, Cost::new(1, &read), "read {round}");
        let (_, remove) = cost(&mut cluster, owner, &key, set(SetVerb::Remove(vec!["a".into()])));
        assert_eq!(remove, Cost::new(2, &observing), "remove {round}");
        let (reply, members) = cost(&mut cluster, owner, &key, set(SetVerb::Members));
        assert_eq!(reply, Reply::Values(Vec::new()));
        assert_eq!(members, Cost::new(1, &read), "read {round}");
    }
    assert_eq!(laps(&cluster), [8, 0, 0, 0, 0, 0, 0, 0], "quiet reads take one lap");
}

#[test]
fn a_node_that_owns_nothing_of_it_adds_one_round_trip_to_an_owner() {
    let mut cluster = Cluster::new(5, BucketPolicy::default());
    let key = key("set");
    let other = cluster.others(&key)[0];
    let forward = [("Forward", 1), ("Forwarded", 1)];
    let write = [[("Write", 2), ("Wrote", 2)], forward].concat();
    let (_, add) = cost(&mut cluster, other, &key, set(SetVerb::Add(vec!["a".into()])));
    assert_eq!(add, Cost::new(2, &write));
    let read = [[("Query", 2), ("Queried", 2)], forward].concat();
    let (_, members) = cost(&mut cluster, other, &key, set(SetVerb::Members));
    assert_eq!(members, Cost::new(2, &read));
}

#[test]
fn a_flag_is_enabled_and_read_in_one_round_trip_and_disabled_in_two() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("flag");
    let owner = cluster.owners(&key)[1];
    for (verb, round_trips) in [(FlagVerb::Enable, 1), (FlagVerb::Read, 1), (FlagVerb::Disable, 2)]
    {
        assert_eq!(
            cost(&mut cluster, owner, &key, flag(verb)).1.round_trips,
            round_trips,
            "{verb:?}"
        );
    }
}

/// By a clock that is behind it would be read again.
#[test]
fn a_read_that_finds_a_key_expired_first_commits_its_removal() {
    let mut cluster = Cluster::new(3, BucketPolicy::default());
    let key = key("k");
    let owners = cluster.owners(&key);
    let expire = Expire::At(cluster.now.wall_millis + 1_000);
    let (value, condition) = ("v".into(), SetCondition::Always);
    let set = StringOperation::Set { value, condition, get: false, expire };
    let mut request = cluster.request(&key, Operation::String(set));
    request.levels = levels(Level::Linearizable, Level::Linearizable);
    cluster.done(owners[0], request);
    // Nobody else removes it before twice the bound of clocks has passed.
    cluster.advance(Duration::from_millis(1_010));
    assert!(owners.iter().all(|owner| !cluster.root(*owner, &key).register.is_empty()));
    let mut request = cluster.request(&key, Operation::String(StringOperation::Get));
    request.levels = levels(Level::Linearizable, Level::Linearizable);
    request.time_left = Duration::from_millis(500);
    let read = cluster.done(owners[1], request);
    assert_eq!(read.replies, [Ok(Reply::Nothing)]);
    let gone = owners.iter().filter(|owner| cluster.root(**owner, &key).register.dots().is_empty());
    assert!(gone.count() >= 2, "a majority has removed it");
}
