//! What is not let in: typed, counted, and nothing changed.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::{Delta, Footprint, State};
use coterie_protocol::rows::Space;
use coterie_ring::Partition;
use coterie_ring::moves::{Quorum, SetVersion};
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::read::{Read, ReadAnswer};
use coterie_wire::peer::write::{Change, WriteAnswer};
use coterie_wire::{Body, Key, Message, SessionDots, Slice};

use crate::bench::Bench;
use crate::operations::{evaluate, root};

fn delta() -> Delta {
    let add =
        coterie_crdt::operation::SetOperation::new(coterie_crdt::operation::SetVerb::Add(vec![
            Bytes::from_static(b"m"),
        ]));
    let state = State::new();
    evaluate(&state, 1, &coterie_crdt::operation::Operation::Set(add), &root(&state)).1
}

fn write(bench: &mut Bench, key: &Key) -> Message {
    bench.written(key, Change::Delta(delta()))
}

fn read(bench: &mut Bench, key: &Key) -> Message {
    let set = bench.lane.shared().slices[&bench.slice(key)].replica.sets().tag();
    let read = Read {
        key: key.clone(),
        set,
        quorum: Quorum::Majority,
        footprint: Footprint::root(),
        digests: None,
        session: SessionDots::default(),
        hints: false,
    };
    bench.message(key, Body::Read(Box::new(read)))
}

/// The answer to a message that `spoil` has made wrong, and that nothing was stored.
fn refused(message: impl Fn(&mut Bench, &Key) -> Message, spoil: impl Fn(&mut Message)) -> Body {
    let mut bench = Bench::new(1);
    let key = Bench::key("k");
    let mut message = message(&mut bench, &key);
    spoil(&mut message);
    let rows = bench.store.space(Space::Rows).clone();
    let mut answers = bench.deliver(message);
    assert_eq!(*bench.store.space(Space::Rows), rows);
    let counters = bench.lane.shared().counters;
    assert_ne!(counters, coterie_protocol::Counters::default());
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

#[test]
fn a_message_that_contradicts_itself_is_malformed() {
    let malformed = Body::Refused(PeerRefusal::Malformed);
    let other = |message: &mut Message, change: fn(&mut Slice)| {
        change(message.slice.as_mut().unwrap());
    };
    for change in [
        |slice: &mut Slice| slice.partition = Partition((slice.partition.0 + 1) % 8),
        |slice: &mut Slice| slice.partition = Partition(9_999),
        |slice: &mut Slice| slice.replicas = 0,
        |slice: &mut Slice| slice.replicas = 200,
    ] {
        assert_eq!(refused(write, |message| other(message, change)), malformed);
        assert_eq!(refused(read, |message| other(message, change)), malformed);
    }
    let long = |message: &mut Message| {
        if let Body::Write(write) = &mut message.body {
            write.key = Key::new("db0", vec![0; 70_000]);
        }
    };
    assert_eq!(refused(write, long), malformed);
}

#[test]
fn writes_are_fenced_by_owners_and_epochs() {
    let newer = SetVersion { epoch: 9, number: 9 };
    let other = |body| matches!(body, Body::Wrote(WriteAnswer::OtherLayout { .. }));
    assert!(other(refused(write, |message| message.layout = newer)));
    assert!(other(refused(write, |message| message.layout = SetVersion::default())));
    assert_eq!(
        refused(write, |message| message.epoch = 3),
        Body::Wrote(WriteAnswer::EpochAhead { epoch: 0 })
    );
    assert_eq!(
        refused(write, |message| message.time_left = Some(Duration::ZERO)),
        Body::Wrote(WriteAnswer::Expired)
    );
}

#[test]
fn reads_are_answered_only_for_a_set_that_is_received() {
    let set = |message: &mut Message, set| {
        if let Body::Read(read) = &mut message.body {
            read.set = set;
        }
    };
    let not_ready = |body| matches!(body, Body::Shown(ReadAnswer::NotReady { .. }));
    assert!(not_ready(refused(read, |message| set(message, SetVersion { epoch: 9, number: 9 }))));
    assert!(not_ready(refused(read, |message| set(message, SetVersion::default()))));
    assert_eq!(
        refused(read, |message| message.epoch = 3),
        Body::Refused(PeerRefusal::EpochAhead { epoch: 0 })
    );
}
