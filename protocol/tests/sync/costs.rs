//! What a synchronisation costs: bytes beyond the rows themselves, and rows read, for each differing row.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::encoding::encode_partial;
use coterie_crdt::operation::{
    Expire, Operation, SetCondition, SetOperation, SetVerb, StringOperation,
};
use coterie_crdt::{Actor, Actors, Clock, Mint, Root, State};
use coterie_ring::{BucketPolicy, Partition};
use coterie_wire::frame::{ClusterTag, encode};
use coterie_wire::peer::sync::{Answer, Contents, KeyState, Parcel, Step, Sync};
use coterie_wire::peer::write::Change;
use coterie_wire::{Body, Key, Message};

use crate::harness::{Cluster, id, key};
use crate::writes::{are_equal, store, write_over};

fn rows() -> u64 {
    if std::env::var_os("COTERIE_PROOF").is_some() { 1_000_000 } else { 20_000 }
}

/// Two owners of everything.
fn pair() -> Cluster {
    Cluster::new(2, BucketPolicy { replicas: 2, ..BucketPolicy::default() })
}

/// The bytes of the rows that a message carries.
fn carried(message: &Message) -> usize {
    let of_key = |state: &KeyState| {
        let rows = if let Contents::Whole(whole) = &state.contents {
            encode_partial(whole).len()
        } else {
            0
        };
        rows + state.key.bucket().len() + state.key.name().len()
    };
    let of_parcel = |parcel: &Parcel| match parcel {
        Parcel::Keys(keys) => keys.iter().map(of_key).sum(),
        Parcel::Cells(cells) => encode_partial(cells).len(),
    };
    let Body::Sync(sync) = &message.body else { return 0 };
    if let Sync::Step { step, .. } = sync
        && let Step::Push { parcel } = &**step
    {
        return of_parcel(parcel);
    }
    if let Sync::Answer { answer, .. } = sync
        && let Answer::Rows { parcel, .. } = &**answer
    {
        return of_parcel(parcel);
    }
    0
}

/// Lets two owners that differ in `differing` rows of `rows` become equal, and holds what that takes against the bounds.
fn costs(cluster: &mut Cluster, what: &str, rows: u64, differing: u64) {
    assert!(!are_equal(cluster));
    let exchanged = Rc::new(Cell::new(0));
    let counted = Rc::clone(&exchanged);
    cluster.watch(move |message| {
        if matches!(message.body, Body::Sync(_)) {
            let mut frame = Vec::new();
            encode(ClusterTag(7), message, &mut frame).expect("it is small enough");
            counted.set(counted.get() + frame.len() - carried(message));
        }
    });
    cluster.rows_read = 0;
    let began = cluster.now.monotonic;
    while !are_equal(cluster) {
        assert!(cluster.now.monotonic - began < Duration::from_secs(60), "{what}: never equal");
        cluster.advance(Duration::from_millis(500));
    }
    let bytes = exchanged.get() as u64;
    let read = cluster.rows_read as u64;
    println!(
        "{what}: {differing} of {rows} differ: {bytes} bytes beyond the rows, of at most {}; \
         {read} rows read by both, of at most {} by each",
        96 * differing + (64 << 10),
        8_192 * differing,
    );
    assert!(bytes <= 96 * differing + (64 << 10), "{what}, {differing} differ: {bytes} bytes");
    assert!(read <= 2 * 8_192 * differing, "{what}, {differing} differ: {read} rows");
}

fn set(value: u64) -> Operation {
    Operation::String(StringOperation::Set {
        value: Bytes::from(value.to_string()),
        condition: SetCondition::Always,
        get: false,
        expire: Expire::Never,
    })
}

#[test]
fn keys_that_differ_among_a_million_cost_what_the_difference_does() {
    let mut cluster = pair();
    let mut names = (0u64..).map(|n| key(&format!("key:{n}")));
    let mut next = |cluster: &Cluster| -> Key {
        let mut here =
            names.by_ref().filter(|key| cluster.nodes[0].view.partition(key) == Partition(0));
        here.next().expect("there is no end of names")
    };
    let both = [id(1), id(2)];
    for value in 0..rows() {
        let key = next(&cluster);
        write_over(&mut cluster, id(1), &key, &State::new(), &set(value), &both);
    }
    for differing in [1, 10, 100, 1_000, 4_000] {
        for value in 0..differing {
            let key = next(&cluster);
            let owner = both[usize::from(value % 2 == 0)];
            write_over(&mut cluster, owner, &key, &State::new(), &set(value), &[owner]);
        }
        costs(&mut cluster, "keys", rows(), differing);
    }
}

/// Adds members to a set at some owners, each a cell of one key.
fn add(
    cluster: &mut Cluster,
    root: &mut Root,
    members: std::ops::Range<u64>,
    to: &[coterie_ring::NodeId],
) {
    let state = State::from_rows(root.clone(), std::collections::BTreeMap::new());
    let names = members.map(|n| Bytes::from(format!("member:{n}"))).collect();
    let operation = Operation::Set(SetOperation::new(SetVerb::Add(names)));
    let next = Actors::new(Actor(9)).next_dot(&root.context).expect("few dots");
    let mut clock = Clock::new();
    let mut mint = Mint::new(next, &mut clock, cluster.now.wall_millis, 1);
    let (_, delta) = operation.evaluate(&state, &mut mint).expect("members are added");
    root.context.join(&delta.context);
    for to in to {
        store(cluster, *to, &key("large"), Change::Delta(delta.clone()));
    }
}

#[test]
fn cells_that_differ_in_a_key_of_a_million_cost_what_the_difference_does() {
    let (mut cluster, mut root, both) = (pair(), Root::default(), [id(1), id(2)]);
    let mut members = 0;
    while members < rows() {
        add(&mut cluster, &mut root, members..members + 200, &both);
        members += 200;
    }
    cluster.run();
    for differing in [1, 10, 100, 1_000] {
        for added in 0..differing {
            add(
                &mut cluster,
                &mut root,
                members..members + 1,
                &[both[usize::from(added % 2 == 0)]],
            );
            members += 1;
        }
        costs(&mut cluster, "cells", rows(), differing);
    }
}

#[test]
fn a_pair_in_step_costs_at_most_32_bytes_a_slice_and_round() {
    let mut cluster = pair();
    cluster.advance(Duration::from_secs(10));
    let exchanged = Rc::new(Cell::new((0, 0)));
    let counted = Rc::clone(&exchanged);
    cluster.watch(move |message| {
        let mut frame = Vec::new();
        encode(ClusterTag(7), message, &mut frame).expect("it is small enough");
        let (mut bytes, mut slices) = counted.get();
        if let Body::Sync(Sync::Roots { roots, .. }) = &message.body {
            slices += roots.unpack().expect("it was packed").len();
            bytes += roots.0.len();
        } else if let Body::Sync(Sync::Compared { differing, .. }) = &message.body {
            assert!(differing.is_empty());
        }
        counted.set((bytes, slices));
    });
    cluster.advance(Duration::from_secs(20));
    let (bytes, slices) = exchanged.get();
    assert!(slices > 0 && bytes <= 32 * slices, "{bytes} bytes for {slices} slices");
}
