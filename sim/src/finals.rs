//! The end of a run: each owner is read by itself, and the history is judged.

use std::collections::{BTreeMap, BTreeSet};

use coterie_check::linearizable::Budget;
use coterie_check::{Cell, FinalState, LiveCell, Owner, Undecided, judge as judge_history};
use coterie_crdt::encoding::{DecodeError, decode_cell, decode_root};
use coterie_crdt::operation::{OpError, Operation, Reply};
use coterie_crdt::{Actor, Cell as Row, Clock, Dot, Kind, Mint, Root, State};
use coterie_protocol::rows::Space;
use coterie_protocol::rows::address::{self, KeyPrefix, KeyRow};
use coterie_ring::{NodeId, Partition};
use coterie_wire::Key;

use crate::cluster::Cluster;
use crate::disk::Disk;
use crate::fault::Fault;
use crate::workload::{Bucket, Written, dot, name, nanos};

/// States that a search for an order may visit.
const BUDGET: Budget = Budget { states_max: 300_000 };

/// Reads every owner of every key, and judges what clients were told.
pub fn judge(cluster: &mut Cluster) {
    take_finals(cluster);
    compare_others(cluster);
    let judgement = judge_history(&mut cluster.workload.recorder.history, BUDGET);
    for (check, violation) in judgement.violations {
        cluster.watch.violated(format!("{check:?}: {violation}"));
    }
    let members = cluster.members_with_shares();
    for open in judgement.undecided {
        let is_expected = match open.why {
            // A search that runs out of its budget has found nothing.
            Undecided::Budget { .. } => true,
            // A layout lists min(replicas, nodes) owners (DESIGN §5). The history declares the replicas; what
            // there was of the last layout's owners has been judged.
            Undecided::MissingFinals { have, need } => {
                have == members && u32::try_from(members).is_ok_and(|members| members < need)
            }
            Undecided::NotSpecified(_) => false,
        };
        if !is_expected {
            cluster.watch.violated(format!("{:?} of {}: {}", open.check, open.key, open.why));
        }
    }
    look_at_scrubs(cluster);
    let phantoms = std::mem::take(&mut cluster.workload.written.phantoms);
    for phantom in phantoms {
        cluster.watch.violated(phantom);
    }
}

fn take_finals(cluster: &mut Cluster) {
    let at = nanos(cluster.now());
    let keys: Vec<_> = cluster.workload.recorder.history.keys().collect();
    let keys: Vec<(Bucket, Key)> = keys
        .into_iter()
        .filter_map(|(bucket, name)| {
            let bucket = Bucket::ALL[usize::from(bucket.0)];
            let key = Key::new(bucket.name(), name.as_bytes().to_vec());
            (bucket != Bucket::Strong).then_some((bucket, key))
        })
        .collect();
    for (bucket, key) in keys {
        for owner in cluster.owners(&key) {
            let (cells, counter) = match state_at(cluster, owner, &key) {
                Ok(state) => (live_cells(&state), counter(&state)),
                Err(error) => {
                    cluster.watch.violated(format!("{key:?} is damaged at {owner}: {error}"));
                    continue;
                }
            };
            let index = cluster.index_of(owner).expect("owners are nodes");
            cluster.workload.recorder.last(FinalState {
                owner: Owner(index as u64),
                bucket: coterie_check::BucketId(bucket as u16),
                key: name(key.name()),
                at,
                cells,
                counter,
            });
        }
    }
}

/// Keys that the checkers know nothing of: the owners show the same, and nothing that nobody wrote.
fn compare_others(cluster: &mut Cluster) {
    let keys: Vec<Key> = cluster.workload.written.keys().cloned().collect();
    for key in keys {
        let operation = Written::whole(&key);
        let mut first: Option<Reply> = None;
        for owner in cluster.owners(&key) {
            let state = match state_at(cluster, owner, &key) {
                Ok(state) => state,
                Err(error) => {
                    cluster.watch.violated(format!("{key:?} is damaged at {owner}: {error}"));
                    continue;
                }
            };
            let lost = cluster.workload.written.lost(&key, &live_dots(&state));
            if let Some(first) = lost.first() {
                let count = lost.len();
                let what = format!("{owner} lacks {first} of {key:?}, which was acknowledged");
                cluster.watch.violated(format!("{what}, and {} more", count - 1));
            }
            // Concurrent operations may have left another type visible; that is the same everywhere, too.
            let Ok(reply) = evaluate(&state, &operation) else { continue };
            cluster.workload.written.check(&key, &reply, "an owner");
            match &first {
                None => first = Some(reply),
                Some(known) if *known == reply => {}
                Some(known) => {
                    let what = format!("the owners of {key:?} show {known:?} and {reply:?}");
                    cluster.watch.violated(what);
                }
            }
        }
    }
}

/// What is kept about rows is true (invariant 15): a scrub has nothing to repair but what a fault has damaged.
fn look_at_scrubs(cluster: &mut Cluster) {
    if cluster.options.faults.contains(&Fault::BitRot) {
        return;
    }
    let mut repaired = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let lanes = node.process.iter().flat_map(|process| &process.lanes);
        for counters in lanes.map(|seat| seat.driver.lane().shared().counters) {
            if counters.scrubbed_keys + counters.scrubbed_leaves + counters.damaged_keys > 0 {
                repaired
                    .push(format!("a scrub of node {index} found what was not so: {counters:?}"));
            }
        }
    }
    repaired.into_iter().for_each(|what| cluster.watch.violated(what));
}

/// The dots that live in some cell.
fn live_dots(state: &State) -> BTreeSet<Dot> {
    let root = coterie_crdt::Cells::root(state);
    let resident = root.into_iter().flat_map(|root| [&root.register, &root.expiry]);
    let cells = resident.chain(state.cells().values());
    cells.flat_map(Row::dots).map(|(dot, _)| *dot).collect()
}

/// What one owner holds of a key, swept of what was deleted.
fn state_at(cluster: &Cluster, owner: NodeId, key: &Key) -> Result<State, DecodeError> {
    let index = cluster.index_of(owner).expect("owners are nodes");
    let mut state = load(&cluster.nodes[index].disk, cluster.partition(key), key)?;
    state.sweep();
    Ok(state)
}

/// The rows of a key on a disk.
///
/// # Errors
/// If one of them does not decode.
pub fn load(disk: &Disk, partition: Partition, key: &Key) -> Result<State, DecodeError> {
    let mut root = Root::default();
    let mut cells = BTreeMap::new();
    for (at, value) in disk.image().range(Space::Rows, &KeyPrefix::new(partition, key).rows()) {
        match address::parse(at) {
            Some((_, _, KeyRow::Root)) => root = decode_root(value)?,
            Some((_, _, KeyRow::Cell(address))) => {
                let cell = decode_cell(address.kind, value)?;
                cells.insert(address, cell);
            }
            None => {}
        }
    }
    Ok(State::from_rows(root, cells))
}

fn evaluate(state: &State, operation: &Operation) -> Result<Reply, OpError> {
    let mut clock = Clock::new();
    // At the beginning of time nothing has expired.
    let mut mint = Mint::new(Dot::new(Actor(0), 1), &mut clock, 0, 0);
    operation.evaluate(state, &mut mint).map(|(reply, _)| reply)
}

fn live_cells(state: &State) -> Vec<LiveCell> {
    let register = &coterie_crdt::Cells::root(state).cloned().unwrap_or_default().register;
    let mut live = Vec::new();
    let mut add = |cell: Cell, row: &Row, values| {
        if row.is_live(Kind::Register) {
            let dots = row.dots().iter().map(|(minted, _)| dot(*minted)).collect();
            live.push(LiveCell { cell, values, dots: Some(dots) });
        }
    };
    if let Some(value) = register.assigned() {
        add(Cell::Register, register, vec![name(value)]);
    }
    for (address, row) in state.cells() {
        match address.kind {
            Kind::Member => add(Cell::Element(name(&address.path)), row, Vec::new()),
            Kind::EnableFlag => add(Cell::Flag, row, Vec::new()),
            _ => {}
        }
    }
    live
}

fn counter(state: &State) -> i64 {
    let read = Operation::String(coterie_crdt::operation::StringOperation::Get);
    match evaluate(state, &read) {
        Ok(Reply::Value(text)) => {
            std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
        _ => 0,
    }
}
