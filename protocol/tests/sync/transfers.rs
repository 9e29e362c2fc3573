//! Large keys of which one side has next to nothing: all cells of the other go there in order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::encoding::{encode_cell, encode_root};
use coterie_crdt::operation::{KeyOperation, Operation, SetOperation, SetVerb};
use coterie_crdt::{Address, Cells, Delta, Footprint, Kind, Partial, Root, State};
use coterie_protocol::rows::address::KeyPrefix;
use coterie_protocol::rows::{Rows, Space, fetch};
use coterie_ring::{BucketPolicy, NodeId};
use coterie_wire::Body;
use coterie_wire::Key;
use coterie_wire::peer::sync::{Answer, Chunk, Parcel, Step, Sync};
use coterie_wire::peer::write::Change;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus as Random;

use crate::harness::{Cluster, id, key};
use crate::writes::{are_equal, differing, store, write_over};

fn proof() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some()
}

fn owners(count: u8) -> Cluster {
    Cluster::new(u64::from(count), BucketPolicy { replicas: count, ..BucketPolicy::default() })
}

fn member(number: u64) -> Bytes {
    Bytes::from(format!("member:{number}"))
}

fn set(verb: SetVerb) -> Operation {
    Operation::Set(SetOperation::new(verb))
}

/// A large set, and what every owner is to have of it in the end.
struct Large {
    key: Key,
    /// All deltas joined.
    whole: State,
    /// A number that no member has yet.
    next: u64,
}

impl Large {
    /// A set of so many members at some owners.
    fn new(cluster: &mut Cluster, members: u64, at: &[NodeId]) -> Large {
        let mut large = Large { key: key("large"), whole: State::new(), next: 0 };
        while large.next < members {
            large.add(cluster, (members - large.next).min(200), at);
        }
        cluster.run();
        large
    }

    /// Adds members; only the root is looked at.
    fn add(&mut self, cluster: &mut Cluster, count: u64, at: &[NodeId]) {
        let members = (self.next..self.next + count).map(member).collect();
        self.next += count;
        let rows = State::from_rows(self.root(cluster, at[0]), BTreeMap::new());
        let added = write_over(cluster, at[0], &self.key, &rows, &set(SetVerb::Add(members)), at);
        self.join(added);
    }

    /// Removes members as the first of some owners sees them.
    fn remove(&mut self, cluster: &mut Cluster, members: Vec<Bytes>, at: &[NodeId]) {
        let prefix = self.prefix(cluster);
        let addresses: Vec<Address> =
            members.iter().map(|member| Address::new(Kind::Member, member.clone())).collect();
        let rows = fetch::cells(&cluster.node(at[0]).store, &prefix, &addresses);
        let rows = rows.expect("they are sound");
        let remove = set(SetVerb::Remove(members));
        let removed = write_over(cluster, at[0], &self.key, &rows, &remove, at);
        self.join(removed);
    }

    /// Deletes the whole set as an owner sees it, where that one sees enough of it.
    fn delete(&mut self, cluster: &mut Cluster, at: NodeId) {
        let rows = State::from_rows(self.root(cluster, at), BTreeMap::new());
        let delete = Operation::Key(KeyOperation::Delete);
        let deleted = write_over(cluster, at, &self.key, &rows, &delete, &[at]);
        self.join(deleted);
    }

    fn join(&mut self, delta: Option<Delta>) {
        if let Some(delta) = delta {
            self.whole.join_delta(&delta);
        }
    }

    fn prefix(&self, cluster: &Cluster) -> KeyPrefix {
        KeyPrefix::new(cluster.nodes[0].view.partition(&self.key), &self.key)
    }

    fn root(&self, cluster: &Cluster, at: NodeId) -> Root {
        fetch::root(&cluster.node(at).store, &self.prefix(cluster)).expect("it is sound")
    }

    /// How far a transfer has come at an owner.
    fn cursor(&self, cluster: &Cluster, at: NodeId) -> Option<Address> {
        self.root(cluster, at).transfer.and_then(|transfer| transfer.cursor)
    }

    /// Goes on until an owner has received so many chunks; then nothing passes any more. How many members it
    /// has not received.
    fn receive_chunks(&self, cluster: &mut Cluster, at: NodeId, chunks: usize) -> usize {
        let mut passed = 0;
        cluster.lose(move |_, _, message| {
            let is_chunk = match &message.body {
                Body::Sync(Sync::Step { step, .. }) => matches!(**step, Step::Chunk { .. }),
                Body::Sync(Sync::Answer { answer, .. }) => matches!(**answer, Answer::Chunk { .. }),
                _ => false,
            };
            passed += usize::from(is_chunk);
            passed > chunks
        });
        cluster.advance(Duration::from_secs(1));
        let cursor = self.cursor(cluster, at).expect("a transfer is under way");
        self.whole.cells().keys().filter(|address| **address > cursor).count()
    }

    /// That an owner has what was written, all of it, and no more.
    fn check(&mut self, cluster: &Cluster, at: NodeId, what: &str) {
        self.whole.sweep();
        let (store, prefix) = (&cluster.node(at).store, self.prefix(cluster));
        let rows: BTreeMap<&Bytes, &Bytes> = store
            .space(Space::Rows)
            .range(prefix.rows().from..)
            .take_while(|(row, _)| row.starts_with(prefix.bytes()))
            .collect();
        let root = self.whole.root().expect("it was written");
        assert_eq!(rows.len(), self.whole.cells().len() + 1, "{what}: rows at {at:?}");
        assert_eq!(rows[&prefix.root()], &encode_root(root), "{what}: the root at {at:?}");
        for (address, cell) in self.whole.cells() {
            let row = store.get(Space::Rows, &prefix.cell(address)).expect("it is in memory");
            assert_eq!(row, Some(encode_cell(cell).into()), "{what}: {address:?} at {at:?}");
        }
    }
}

/// Lets time pass until all owners have the same rows.
fn converge(cluster: &mut Cluster, within: Duration, what: &str) {
    let began = cluster.now.monotonic;
    while !are_equal(cluster) {
        let passed = cluster.now.monotonic - began;
        assert!(passed < within, "{what}: {} rows differ", differing(cluster));
        cluster.advance(Duration::from_millis(500));
    }
}

/// What crosses from now on: cells in chunks, and cells that were found to differ.
#[derive(Debug, Default)]
struct Crossed {
    in_chunks: usize,
    compared: usize,
}

fn watch(cluster: &mut Cluster) -> Rc<RefCell<Crossed>> {
    let crossed = Rc::new(RefCell::new(Crossed::default()));
    let counted = Rc::clone(&crossed);
    cluster.watch(move |message| {
        let mut counted = counted.borrow_mut();
        let Body::Sync(sync) = &message.body else { return };
        let mut chunk = |chunk: &Chunk| counted.in_chunks += chunk.cells.cells().len();
        match sync {
            Sync::Step { step, .. } => {
                if let Step::Chunk { chunk: sent } = &**step {
                    chunk(sent);
                } else if let Step::Push { parcel: Parcel::Cells(cells) } = &**step {
                    counted.compared += cells.cells().len();
                }
            }
            Sync::Answer { answer, .. } => {
                if let Answer::Chunk { chunk: sent } = &**answer {
                    chunk(sent);
                } else if let Answer::Rows { parcel: Parcel::Cells(cells), .. } = &**answer {
                    counted.compared += cells.cells().len();
                }
            }
            Sync::Roots { .. } | Sync::Compared { .. } => {}
        }
    });
    crossed
}

#[test]
fn an_empty_replica_receives_a_large_key_at_a_cost_that_is_linear_in_its_size() {
    let sizes: &[u64] = if proof() { &[250_000, 1_000_000] } else { &[10_000, 40_000] };
    // Either side may be the one that has it, and the one that begins the session.
    for (members, from, to) in
        sizes.iter().flat_map(|&members| [(members, id(1), id(2)), (members, id(2), id(1))])
    {
        let mut cluster = owners(2);
        let mut large = Large::new(&mut cluster, members, &[from]);
        let crossed = watch(&mut cluster);
        (cluster.rows_read, cluster.bytes_written) = (0, 0);
        let began = cluster.now.monotonic;
        converge(&mut cluster, Duration::from_secs(120), "an empty replica");
        let took = cluster.now.monotonic - began;
        let (read, written) = (cluster.rows_read as u64, cluster.bytes_written as u64);
        println!(
            "{members} members, {from:?} to {to:?}: {took:?} at the default pace, {read} rows read by both, \
             {written} bytes written, {:?}",
            crossed.borrow()
        );
        large.check(&cluster, to, "an empty replica");
        assert_eq!(crossed.borrow().in_chunks as u64, members, "each member crosses once");
        assert_eq!(crossed.borrow().compared, 0, "nothing is compared");
        assert!(read <= 4 * members, "{read} rows read for {members} members");
        assert!(written <= 400 * members, "{written} bytes written for {members} members");
    }
}

#[test]
fn a_transfer_goes_on_where_a_crash_of_either_side_broke_it_off() {
    for seed in 0..if proof() { 200 } else { 6 } {
        let mut random = Random::seed_from_u64(seed);
        let members = 9_000;
        let (mut cluster, what) = (owners(2), format!("seed {seed}"));
        let mut large = Large::new(&mut cluster, members, &[id(1)]);
        let chunks = random.random_range(1..12);
        let left = large.receive_chunks(&mut cluster, id(2), chunks);
        let cursor = large.cursor(&cluster, id(2));
        let crashed = id(random.random_range(1..=2));
        cluster.take_down(crashed);
        cluster.messages.clear();
        cluster.advance(Duration::from_millis(random.random_range(0..3_000)));
        let crossed = watch(&mut cluster);
        cluster.bring_up(crashed);
        assert_eq!(large.cursor(&cluster, id(2)), cursor, "{what}: the cursor is durable");
        cluster.heal();
        converge(&mut cluster, Duration::from_secs(60), &what);
        large.check(&cluster, id(2), &what);
        assert!(crossed.borrow().in_chunks <= left, "{what}: {crossed:?}, and {left} were left");
        assert_eq!(crossed.borrow().compared, 0, "{what}");
    }
}

#[test]
fn writes_and_deletes_on_both_sides_of_a_transfer_are_kept() {
    let mut transferred = 0;
    for seed in 0..if proof() { 300 } else { 12 } {
        let mut random = Random::seed_from_u64(seed);
        let (mut cluster, what) = (owners(3), format!("seed {seed}"));
        let mut large = Large::new(&mut cluster, 6_000, &[id(1), id(2)]);
        let crossed = watch(&mut cluster);
        let deletes = random.random_ratio(1, 3);
        for _ in 0..random.random_range(10..120) {
            for _ in 0..random.random_range(0..6) {
                if !cluster.step() {
                    cluster.advance(Duration::from_millis(random.random_range(1..300)));
                }
            }
            let at = id(random.random_range(1..=3));
            let some: Vec<Bytes> =
                (0..40).map(|_| member(random.random_range(0..large.next))).collect();
            // Messages under way are not lost by a write that comes between.
            let under_way = std::mem::take(&mut cluster.messages);
            match random.random_range(0..20) {
                0 if deletes => {
                    large.delete(&mut cluster, at);
                    // A key with nothing live could be purged, which the model knows nothing of.
                    large.add(&mut cluster, 1, &[at]);
                }
                0..8 => large.remove(&mut cluster, some, &[at]),
                _ => large.add(&mut cluster, random.random_range(1..60), &[at]),
            }
            cluster.messages = under_way;
            if random.random_ratio(1, 40) {
                cluster.take_down(at);
                cluster.bring_up(at);
            }
        }
        converge(&mut cluster, Duration::from_secs(120), &what);
        for owner in [id(1), id(2), id(3)] {
            large.check(&cluster, owner, &what);
        }
        transferred += crossed.borrow().in_chunks;
    }
    assert!(transferred > 0, "transfers were under way");
}

#[test]
fn a_transfer_whose_sender_is_gone_is_given_up_and_another_owner_stands_in() {
    let mut cluster = owners(3);
    let mut large = Large::new(&mut cluster, 8_000, &[id(1), id(2)]);
    // What only the sender has seen: some more members, and that others are gone.
    large.add(&mut cluster, 100, &[id(1)]);
    large.remove(&mut cluster, (0..100).map(member).collect(), &[id(1)]);
    cluster.cut(id(2), id(3));
    cluster.cut(id(3), id(2));
    cluster.cut(id(1), id(2));
    cluster.cut(id(2), id(1));
    large.receive_chunks(&mut cluster, id(3), 6);
    cluster.take_down(id(1));
    cluster.messages.clear();
    cluster.heal();
    cluster.advance(Duration::from_secs(30));
    assert!(large.cursor(&cluster, id(3)).is_some(), "it waits for its sender");
    cluster.advance(Duration::from_secs(60));
    assert_eq!(large.root(&cluster, id(3)).transfer, None, "it is given up");
    let roots = [id(2), id(3)].map(|owner| large.root(&cluster, owner));
    assert_eq!(roots[0], roots[1], "those that are left are equal");
    // Whatever the sender alone knew is there again when it is.
    cluster.bring_up(id(1));
    converge(&mut cluster, Duration::from_secs(60), "the sender is back");
    for owner in [id(1), id(2), id(3)] {
        large.check(&cluster, owner, "the sender is back");
    }
}

#[test]
fn a_whole_state_that_meets_a_transfer_from_another_owner_is_joined_all_the_same() {
    let mut cluster = owners(3);
    let mut large = Large::new(&mut cluster, 5_000, &[id(1), id(2)]);
    let whole = Partial::extract(&large.whole, &Footprint::whole());
    large.add(&mut cluster, 100, &[id(1)]);
    cluster.cut(id(2), id(3));
    cluster.cut(id(3), id(2));
    large.receive_chunks(&mut cluster, id(3), 2);
    store(&mut cluster, id(3), &large.key, Change::Whole(whole));
    assert!(large.root(&cluster, id(3)).counts.rows >= 5_000, "it is all there once acknowledged");
    cluster.heal();
    converge(&mut cluster, Duration::from_secs(90), "a whole state");
    large.check(&cluster, id(3), "a whole state");
}

#[test]
fn what_one_side_has_removed_does_not_cross_again() {
    let mut cluster = owners(2);
    let mut large = Large::new(&mut cluster, 6_000, &[id(1), id(2)]);
    for first in (3..6_000).step_by(200) {
        let some = (first..(first + 200).min(6_000)).map(member).collect();
        large.remove(&mut cluster, some, &[id(2)]);
    }
    let crossed = watch(&mut cluster);
    converge(&mut cluster, Duration::from_secs(60), "removed");
    large.check(&cluster, id(1), "removed");
    assert!(crossed.borrow().in_chunks + crossed.borrow().compared <= 10, "{crossed:?}");
}

#[test]
fn two_empty_replicas_receive_a_large_key_at_the_same_time() {
    let mut cluster = owners(3);
    let mut large = Large::new(&mut cluster, 8_000, &[id(1)]);
    converge(&mut cluster, Duration::from_secs(60), "two empty replicas");
    for owner in [id(2), id(3)] {
        large.check(&cluster, owner, "two empty replicas");
    }
}
