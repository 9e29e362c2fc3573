//! Three nodes become five and then four, and little more is sent than new owners lack.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{Expire, Operation, SetCondition, StringOperation};
use coterie_protocol::control::Command;
use coterie_ring::decision::Decision;
use coterie_ring::{Level, NodeId, Partition};
use coterie_sim::cluster::Cluster;
use coterie_sim::workload::Bucket;
use coterie_sim::{Options, finals, settle};
use coterie_wire::{Body, Key, Outcome};

use crate::{begun, is_full, key, request};

/// Owners of each key.
const REPLICAS: u8 = 3;
/// How long a change may take.
const CHANGE_MAX: Duration = Duration::from_secs(120);
/// How often a key is written while ownership moves.
const PAUSE: Duration = Duration::from_millis(10);

fn set(number: usize) -> Operation {
    let (value, condition) = (Bytes::from(format!("{number:0100}")), SetCondition::Always);
    Operation::String(StringOperation::Set { value, condition, get: false, expire: Expire::Never })
}

fn name(number: usize) -> Key {
    key(Bucket::Strict, &format!("key{number}"))
}

/// Writes a key and says whether that is acknowledged.
fn writes(cluster: &mut Cluster, number: usize, round: usize) {
    let request = request(&name(number), set(round), Level::Quorum);
    cluster.request(number % 3, request).expect("it serves");
}

fn owners(decision: &Decision, partition: Partition) -> Vec<NodeId> {
    decision.live_sets(partition, REPLICAS).newest().members.to_vec()
}

/// Rows that one layout after another, from a version on, gives to owners that did not have them: the least that can be
/// sent, were there no copies left from before.
fn needed(cluster: &Cluster, keys: usize, from: u64) -> usize {
    let decisions: Vec<_> =
        cluster.decisions().filter(|decision| decision.version().number >= from).collect();
    let mut rows: BTreeMap<Partition, usize> = BTreeMap::new();
    for number in 0..keys {
        *rows.entry(cluster.partition(&name(number))).or_default() += 1;
    }
    let gained = |pair: &[&Decision]| {
        let new = |(partition, rows): (&Partition, &usize)| {
            let had = owners(pair[0], *partition);
            let new = owners(pair[1], *partition).iter().filter(|it| !had.contains(it)).count();
            new * rows
        };
        rows.iter().map(new).sum::<usize>()
    };
    decisions.windows(2).map(gained).sum()
}

/// Rows that synchronisations carried since this was asked last.
fn sent(cluster: &mut Cluster) -> usize {
    let rows = |body: &Body| if let Body::Sync(sync) = body { sync.rows() } else { 0 };
    cluster.overheard().iter().map(|message| rows(&message.body)).sum()
}

/// Writes now and then until the newest layout has so many members and nothing moves; how many rows were sent.
fn change(cluster: &mut Cluster, members: usize, keys: usize) -> usize {
    let (mut rows, mut round) = (0, 0);
    let end = cluster.now() + CHANGE_MAX;
    loop {
        let decision = cluster.decision().expect("it has begun");
        if decision.layout().members().len() == members && decision.moving().len() == 0 {
            return rows;
        }
        assert!(
            cluster.now() < end,
            "{members} members are to own all: {:?}",
            settle::unsettled(cluster)
        );
        round += 1;
        writes(cluster, round * 7 % keys, round);
        cluster.pass(PAUSE);
        rows += sent(cluster);
        for told in cluster.take_told() {
            assert!(matches!(told.response.outcome, Outcome::Done { .. }), "{told:?}");
        }
    }
}

#[test]
fn growing_and_shrinking_sends_little_more_than_new_owners_lack() {
    let keys = if is_full() { 50_000 } else { 5_000 };
    let mut options = Options::calm(3, 1);
    (options.zones, options.partitions) = (6, 64);
    let mut cluster = begun(options);
    for number in 0..keys {
        writes(&mut cluster, number, 0);
        cluster.pass(Duration::from_millis(1));
    }
    cluster.pass(Duration::from_secs(10));
    cluster.take_told();
    sent(&mut cluster);

    let version = |cluster: &Cluster| cluster.decision().expect("it has begun").version().number;
    let before = version(&cluster);
    cluster.join().expect("there is room");
    cluster.join().expect("there is room");
    let grown = (change(&mut cluster, 5, keys), needed(&cluster, keys, before));

    let before = version(&cluster);
    let node = cluster.nodes[4].id;
    cluster.command(0, Command::Leave { node });
    let shrunk = (change(&mut cluster, 4, keys), needed(&cluster, keys, before));

    eprintln!("rows sent and needed: 3 to 5 nodes {grown:?}, 5 to 4 {shrunk:?}");
    for (sent, needed) in [grown, shrunk] {
        assert!(sent * 10 <= needed * 11, "{sent} rows were sent where {needed} were needed");
    }

    settle::settle(&mut cluster);
    finals::judge(&mut cluster);
    assert_eq!(cluster.watch.violations, Vec::<String>::new());
}
