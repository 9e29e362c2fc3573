//! Writes that reach some owners only, and how equal owners are.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::operation::{HashOperation, Operation, SetOperation, SetVerb, StringOperation};
use coterie_crdt::{Actor, Actors, Cells, Clock, Delta, Mint, State};
use coterie_protocol::rows::Space;
use coterie_ring::NodeId;
use coterie_wire::peer::write::{Change, Durability, Write};
use coterie_wire::{Body, Key, RequestId};
use rand::{Rng, RngExt};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

use crate::harness::{Cluster, key};

/// Evaluates an operation at one owner and stores what it changes at some.
pub(crate) fn write(
    cluster: &mut Cluster,
    at: NodeId,
    key: &Key,
    operation: &Operation,
    to: &[NodeId],
) {
    let rows = cluster.rows(at, key);
    write_over(cluster, at, key, &rows, operation, to);
}

/// As [`write`], where the rows that the operation sees are at hand. What it changed, if it can be done.
pub(crate) fn write_over(
    cluster: &mut Cluster,
    at: NodeId,
    key: &Key,
    rows: &State,
    operation: &Operation,
    to: &[NodeId],
) -> Option<Delta> {
    let minted = rows.root().map(|root| root.minted().into_owned()).unwrap_or_default();
    let actors = Actors::new(Actor(u64::try_from(at.0).expect("small ids")));
    let next = actors.next_dot(&minted).expect("few dots");
    let (mut clock, random) = (Clock::new(), minted.vector().len() as u64);
    let mut mint = Mint::new(next, &mut clock, cluster.now.wall_millis, random);
    let (_, delta) = operation.evaluate(rows, &mut mint).ok()?;
    for to in to {
        store(cluster, *to, key, Change::Delta(delta.clone()));
    }
    Some(delta)
}

/// Stores a change at one owner.
pub(crate) fn store(cluster: &mut Cluster, to: NodeId, key: &Key, change: Change) {
    let index = cluster.nodes.iter().position(|node| node.id == to).expect("a node");
    let view = &cluster.nodes[index].view;
    let slice = view.slice(key).expect("a known bucket");
    let durability = Durability::AsSet;
    let write = Write { key: key.clone(), change, durability, hint_for: None, expects: None };
    let lane = usize::from(slice.partition.0) % cluster.nodes[index].lanes.len();
    let shared = cluster.nodes[index].lanes[lane].shared();
    let message = shared.message(RequestId(1), slice, Body::Write(Box::new(write)));
    let from = cluster.nodes[(index + 1) % cluster.nodes.len()].id;
    cluster.deliver(index, from, message);
    cluster.messages.clear();
}

/// An operation of any type on any key of a few.
pub(crate) fn any(random: &mut Random, keys: u32) -> (Key, Operation) {
    let key = key(&format!("k{}", random.random_range(0..keys)));
    let member = |random: &mut Random| Bytes::from(format!("m{}", random.random_range(0..40)));
    let operation = match random.random_range(0..10) {
        1 | 2 => Operation::String(StringOperation::IncrementBy(random.random_range(1..9))),
        3 | 4 => Operation::Set(SetOperation::new(SetVerb::Remove(vec![member(random)]))),
        5 => Operation::Hash(HashOperation::IncrementBy { field: member(random), by: 3 }),
        _ => Operation::Set(SetOperation::new(SetVerb::Add(vec![member(random)]))),
    };
    (key, operation)
}

/// Some owners, at least one.
pub(crate) fn some(random: &mut Random, nodes: &[NodeId]) -> Vec<NodeId> {
    let mask = random.next_u64() | 1 << random.random_range(0..nodes.len());
    (0..nodes.len()).filter(|at| mask >> at & 1 != 0).map(|at| nodes[at]).collect()
}

/// Whether all nodes have the same rows, and sums of them.
pub(crate) fn are_equal(cluster: &Cluster) -> bool {
    differing(cluster) == 0
}

/// How many rows are not the same at all nodes.
pub(crate) fn differing(cluster: &Cluster) -> usize {
    let first = &cluster.nodes[0].store;
    let differ = |a: &BTreeMap<Bytes, Bytes>, b: &BTreeMap<Bytes, Bytes>| {
        a.iter().filter(|(key, row)| b.get(*key) != Some(*row)).count()
    };
    let others = cluster.nodes[1..].iter().map(|node| &node.store);
    others
        .map(|other| {
            let spaces = [Space::Rows, Space::Derived, Space::Leaves].into_iter();
            let count = |space| {
                differ(first.space(space), other.space(space))
                    + differ(other.space(space), first.space(space))
            };
            spaces.map(count).sum::<usize>()
        })
        .sum()
}
