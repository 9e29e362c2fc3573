//! Frames: what is written is read, and no bytes make a reader panic, allocate or change its mind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coterie_crdt::operation::{Operation, Reply, SetKind, SetOperation, SetVerb, StringOperation};
use coterie_crdt::{Actor, Cell, Context, Delta, Dot, Footprint, Partial, Shown, State};
use coterie_ring::decision::Tip;
use coterie_ring::moves::{Quorum, SetVersion, Status};
use coterie_ring::register::{Accepted, Ballot, Reply as RegisterAnswer, Request as RegisterAsk};
use coterie_ring::{Intent, LayoutHash, Level, NodeId, Partition};
use coterie_wire::frame::{
    ClusterTag, FRAME_BYTES_MAX, Frame, FrameCounters, FrameError, HEADER_BYTES, Reader,
};
use coterie_wire::frame::{decode, encode, take};
use coterie_wire::peer::amnesia::Reception;
use coterie_wire::peer::control::{Compare, ControlMessage, GivenUp, Heard, Remember};
use coterie_wire::peer::hint::{HintFor, HintMessage, Worth};
use coterie_wire::peer::linearizable::{Compared, Query, QueryAnswer};
use coterie_wire::peer::listing::{KeyShown, Listing, ShowKeys, ShownKeys};
use coterie_wire::peer::moving::Move;
use coterie_wire::peer::purge::{Purge, Remains, Said};
use coterie_wire::peer::read::{Digests, Read, ReadAnswer};
use coterie_wire::peer::strong::{LateVote, RegisterReply, RegisterRequest};
use coterie_wire::peer::sync::{
    Answer, Chunk, Contents, Cursor, End, KeyState, Parcel, Root, Roots, Step, Sync,
};
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::peer::{Committed, PeerRefusal, Run};
use coterie_wire::{
    Answered, Body, ChangedDots, Key, Levels, List, ListFrom, Listed, ListedKey, Message, Outcome,
    Page, QuorumCount, Refused, Request, RequestId, Response, SessionDots, Slice, Unavailable,
};

const CLUSTER: ClusterTag = ClusterTag(7);

fn key() -> Key {
    Key::new(&b"db0"[..], &b"cart"[..])
}

fn context() -> Context {
    [Dot::new(Actor(3), 1), Dot::new(Actor(3), 2), Dot::new(Actor(9), 5)].into_iter().collect()
}

fn partial() -> Partial {
    Partial::extract(&State::new(), &Footprint::whole())
}

/// A body of every kind, and of every variant that carries something of its own.
fn bodies() -> Vec<Body> {
    let ballot = Ballot { round: 4, proposer: NodeId(2), session: 8 };
    let vote = Accepted { ballot, value: b"value".to_vec() };
    let member = Bytes::from_static(b"apples");
    let add = SetOperation { kind: SetKind::AddWins, verb: SetVerb::Add(vec![member.clone()]) };
    let request = Request {
        id: RequestId(1),
        key: key(),
        operations: vec![Operation::Set(add), Operation::String(StringOperation::Get)],
        levels: Levels { write: Some(Level::Quorum), read: None },
        time_left: Duration::from_millis(1_500),
        session: SessionDots {
            dots: context(),
            epoch: 3,
            newer: vec![(4, context())],
            everywhere: true,
        },
        explain: true,
    };
    let done = Answered {
        replies: vec![Ok(Reply::Integer(1)), Ok(Reply::Value(member.clone()))],
        changed: ChangedDots { minted: vec![Dot::new(Actor(3), 2)], observed: context(), epoch: 3 },
        seen: (context(), 3),
        owners: vec![NodeId(1), NodeId(2)],
        fallbacks: vec![NodeId(5)],
        everywhere: false,
        explanation: Some(Box::default()),
    };
    let count = QuorumCount { have: 1, need: 2 };
    let outcomes = [
        Outcome::Done(Box::new(done)),
        Outcome::Refused(Refused::Busy),
        Outcome::Refused(Refused::StrongValue { bytes: 70_000, bytes_max: 65_536 }),
        Outcome::Unavailable(Unavailable::Owners(count)),
        Outcome::Unknown { count, changed: ChangedDots::default() },
    ];
    let changes = [
        Change::Delta(Delta::from_parts(context(), None, [(address(), Cell::new())]).unwrap()),
        Change::Partial(partial()),
        Change::Whole(partial()),
    ];
    let writes = changes.map(|change| {
        let (durability, hint_for) =
            (Durability::Synced, Some(HintFor { owner: NodeId(7), worth: Worth::Held }));
        Body::Write(Box::new(Write {
            key: key(),
            change,
            durability,
            hint_for,
            expects: Some(9 << 90),
        }))
    });
    let known = SetVersion { epoch: 1, number: 9 };
    let read = Read {
        key: key(),
        set: known,
        quorum: Quorum::Majority,
        footprint: Footprint::cell(address()),
        digests: Some(Digests { key: 5, footprint: Some(u128::MAX) }),
        session: SessionDots::default(),
        hints: true,
    };
    let query =
        Query { key: key(), join: Some(partial()), digest: 77, hold: Duration::from_millis(3) };
    let compared = Compared::Different(Box::new(partial()));
    let accept = RegisterAsk::Accept { ballot, value: b"value".to_vec(), next: Some(ballot) };
    let promised = RegisterAnswer::Promised { ballot, accepted: Some(vote.clone()) };
    let tip = Tip { version: known, hash: LayoutHash(1 << 90) };
    let given_up = Some(GivenUp { version: known, owners: 2 });
    let compare = Compare { intent: 1 << 77, tip, given_up };
    let run = Run(u64::MAX);
    let heard = vec![Heard { run: Run(3), commits: vec![(0, 5), (9, 1 << 40)] }];
    let remember = Remember { run, heard, tip: Some(tip), forgot: true };
    let slice = Slice { partition: Partition(1_023), replicas: 3 };
    let mut bodies = vec![
        Body::Forward(Box::new(request)),
        Body::Wrote(WriteAnswer::OtherLayout { known }),
        Body::Read(Box::new(read)),
        Body::Shown(ReadAnswer::State(Box::new(partial()))),
        Body::Shown(ReadAnswer::Large { digest: 9 }),
        Body::Query(Box::new(query)),
        Body::Queried(Box::new(QueryAnswer { asked: 77, compared })),
        Body::Register(Box::new(RegisterRequest { key: key(), request: accept })),
        Body::Registered(Box::new(RegisterReply::Reply(promised))),
        Body::Registered(Box::new(RegisterReply::NotVoting)),
        Body::Vote(Box::new(LateVote { key: key(), vote })),
        Body::Control(ControlMessage::Swim(member)),
        Body::Control(ControlMessage::Intent(Box::new(Intent::new()))),
        Body::Control(ControlMessage::Join),
        Body::Control(ControlMessage::Compare(compare)),
        Body::Control(ControlMessage::Remember(remember)),
        Body::Control(ControlMessage::MovesDone { tip, slices: vec![slice] }),
        Body::Refused(PeerRefusal::TooLarge { bytes_max: 1 << 20 }),
        Body::Hint(HintMessage::Offer { bytes: 1 << 20 }),
        Body::Hint(HintMessage::Dirty { owner: NodeId(7) }),
    ];
    bodies.extend(listings());
    bodies.extend(syncs());
    bodies.extend(slices());
    bodies.extend(writes);
    let forwarded = |outcome| Body::Forwarded(Box::new(Response { outcome }));
    bodies.extend(outcomes.map(forwarded));
    bodies
}

fn listings() -> impl Iterator<Item = Body> {
    let from = ListFrom { hash: u64::MAX - 7, after: Some(Bytes::from_static(b"cart")) };
    let (bucket, set) = (Bytes::from_static(b"db0"), SetVersion { epoch: 1, number: 9 });
    let name = Bytes::from_static(b"cart");
    let list = List {
        id: RequestId(1),
        bucket: bucket.clone(),
        from: from.clone(),
        keys_max: 10,
        read: Some(Level::One),
        time_left: Duration::from_millis(1_500),
    };
    let show = ShowKeys { bucket, from: from.clone(), keys_max: 10, set, quorum: Quorum::All };
    let keys = vec![KeyShown { name: name.clone(), digest: Some(u128::MAX), remains: false }];
    let key = ListedKey { name, shown: Shown::SortedSet };
    let page = Page { keys: vec![key], next: Some(from.clone()), owners: vec![NodeId(1)] };
    let count = QuorumCount { have: 1, need: 2 };
    let listings = [
        Listing::Forward(list),
        Listing::Forwarded(Listed::Page(page)),
        Listing::Forwarded(Listed::Refused(Refused::Busy)),
        Listing::Forwarded(Listed::Unavailable(Unavailable::Answers(count))),
        Listing::Show(show),
        Listing::Shown(ShownKeys { keys, end: Some(from) }),
    ];
    listings.into_iter().map(|listing| Body::Listing(Box::new(listing)))
}

fn syncs() -> impl Iterator<Item = Body> {
    let slice = Slice { partition: Partition(4), replicas: 3 };
    let root = Root { slice, epoch: 300, digest: 1 << 100 };
    let pause = Duration::from_millis(3);
    let contents = Contents::Whole(Box::new(partial()));
    let state = KeyState { key: key(), digest: 12, contents };
    let parcel = Parcel::Keys(vec![state]);
    let cells = Box::new(partial());
    let chunk = Chunk { after: Some(address()), upto: coterie_crdt::Address::EXPIRY, cells };
    let syncs = [
        Sync::Roots { lanes: 2, roots: Roots::pack([root]) },
        Sync::Compared { lanes: 2, lane: 1, differing: vec![slice] },
        Sync::Step { number: 1, step: Box::new(Step::Push { parcel: parcel.clone() }) },
        Sync::Step {
            number: 2,
            step: Box::new(Step::Open { from: 1, to: u64::MAX, sums: vec![7; 16].into() }),
        },
        Sync::Answer {
            number: 1,
            pause,
            answer: Box::new(Answer::Rows {
                parcel,
                more: true,
                incomplete: false,
                undecided: true,
            }),
        },
        Sync::Answer { number: 2, pause, answer: Box::new(Answer::Ended(End::Busy)) },
        Sync::Step { number: 3, step: Box::new(Step::Fetch { after: Some(address()) }) },
        Sync::Step { number: 3, step: Box::new(Step::Chunk { chunk }) },
        Sync::Answer {
            number: 3,
            pause,
            answer: Box::new(Answer::Received { transfer: Some(Cursor { after: None }) }),
        },
    ];
    syncs.into_iter().map(Body::Sync)
}

fn slices() -> [Body; 7] {
    let version = SetVersion { epoch: 1, number: 9 };
    let status = Status { version, complete: true, retired: false };
    let remains = vec![Remains { key: key(), digest: u128::MAX }];
    [
        Body::Move(Move::Status(status)),
        Body::Move(Move::Offer),
        Body::Move(Move::Pushed { fenced: version, life: Actor(7) }),
        Body::Reception(Reception::Source { fenced: Some(version) }),
        Body::Purge(Box::new(Purge { decided: version, said: Said::Propose(remains), settled: 3 })),
        Body::Purge(Box::new(Purge {
            decided: version,
            said: Said::Reported(vec![true, false]),
            settled: 3,
        })),
        Body::Purge(Box::new(Purge { decided: version, said: Said::Renew, settled: 0 })),
    ]
}

fn address() -> coterie_crdt::Address {
    coterie_crdt::Address::new(coterie_crdt::Kind::Member, &b"apples"[..])
}

fn message(body: Body) -> Message {
    Message {
        request: RequestId(u128::MAX - 1),
        slice: Some(Slice { partition: Partition(1_023), replicas: 3 }),
        layout: SetVersion { epoch: 2, number: 11 },
        epoch: 6,
        time_left: Some(Duration::from_micros(1_250)),
        trace: 99,
        committed: Some(Committed { run: Run(4), lane: 1, number: 1 << 40 }),
        body,
    }
}

fn frame_of(message: &Message) -> Bytes {
    let mut out = Vec::new();
    encode(CLUSTER, message, &mut out).unwrap();
    let mut received = BytesMut::from(&out[..]);
    let frame = take(&mut received).unwrap().unwrap();
    assert!(received.is_empty());
    frame
}

#[test]
fn every_kind_of_message_is_read_as_it_was_written() {
    for body in bodies() {
        let message = message(body);
        assert_eq!(decode(CLUSTER, &frame_of(&message)), Frame::Message(Box::new(message)));
    }
    let bare = Message {
        slice: None,
        time_left: None,
        committed: None,
        ..message(Body::Control(ControlMessage::Join))
    };
    assert_eq!(decode(CLUSTER, &frame_of(&bare)), Frame::Message(Box::new(bare)));
}

#[test]
fn a_stream_is_cut_into_frames_wherever_packets_end() {
    let messages: Vec<Message> = bodies().into_iter().map(message).collect();
    let mut stream = Vec::new();
    messages.iter().for_each(|message| encode(CLUSTER, message, &mut stream).unwrap());
    for step in [1, 7, 100, 4_096] {
        let (mut reader, mut read) = (Reader::new(CLUSTER), Vec::new());
        for packet in stream.chunks(step) {
            reader.push(packet);
            while let Some(frame) = reader.next_frame().unwrap() {
                let Frame::Message(message) = frame else { panic!("refused") };
                read.push(*message);
            }
        }
        assert_eq!(read, messages);
        assert_eq!(reader.counters(), FrameCounters::default());
    }
}

#[test]
fn what_is_not_understood_is_answered_under_its_request() {
    let asked = message(Body::Wrote(WriteAnswer::Stored));
    let frame = frame_of(&asked);
    let refusal_of = |cluster, frame: &[u8]| match decode(cluster, &Bytes::copy_from_slice(frame)) {
        Frame::Refused(refused) => {
            assert_eq!((refused.request, refused.slice), (asked.request, asked.slice));
            refused.body
        }
        Frame::Message(message) => panic!("{message:?} was understood"),
    };
    let other = Body::Refused(PeerRefusal::OtherCluster);
    assert_eq!(refusal_of(ClusterTag(8), &frame), other);
    let mut unknown = frame.to_vec();
    unknown[..2].copy_from_slice(&60_000_u16.to_le_bytes());
    let unsupported = Body::Refused(PeerRefusal::Unsupported { kind: 60_000 });
    assert_eq!(refusal_of(CLUSTER, &unknown), unsupported);
    let malformed = Body::Refused(PeerRefusal::Malformed);
    assert_eq!(refusal_of(CLUSTER, &frame[..HEADER_BYTES]), malformed);
}

#[test]
fn a_frame_too_large_or_too_short_ends_the_stream_before_anything_is_allocated() {
    let mut received = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
    assert_eq!(take(&mut received), Err(FrameError::TooLarge { bytes: u32::MAX }));
    let mut received = BytesMut::from(&3_u32.to_le_bytes()[..]);
    assert_eq!(take(&mut received), Err(FrameError::TooShort { bytes: 3 }));
    let huge = Body::Control(ControlMessage::Swim(Bytes::from(vec![0; FRAME_BYTES_MAX])));
    let mut out = b"before".to_vec();
    assert!(encode(CLUSTER, &message(huge), &mut out).is_err());
    assert_eq!(out, b"before");
}

#[test]
fn what_a_stream_did_not_take_is_counted() {
    let mut reader = Reader::new(CLUSTER);
    let frame = |change: fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(CLUSTER, &message(Body::Wrote(WriteAnswer::Stored)), &mut bytes).unwrap();
        change(&mut bytes);
        bytes
    };
    reader.push(&frame(|bytes| bytes[4..6].fill(0xff)));
    reader.push(&frame(|bytes| bytes[8] ^= 1));
    reader.push(&frame(|bytes| *bytes.last_mut().unwrap() = 0xc1));
    reader.push(&frame(|_| {}));
    reader.push(&u32::MAX.to_le_bytes());
    for _ in 0..3 {
        assert!(matches!(reader.next_frame(), Ok(Some(Frame::Refused(_)))));
    }
    assert!(matches!(reader.next_frame(), Ok(Some(Frame::Message(_)))));
    assert_eq!(reader.next_frame(), Err(FrameError::TooLarge { bytes: u32::MAX }));
    let counted = FrameCounters { unbounded: 1, other_cluster: 1, unsupported: 1, malformed: 1 };
    assert_eq!(reader.counters(), counted);
}

/// A body as a newer version would write it: one field more at the end of an array.
#[test]
fn a_field_that_a_newer_version_added_is_skipped() {
    let slice = Slice { partition: Partition(5), replicas: 3 };
    let older = rmp_serde::to_vec(&slice).unwrap();
    let newer = rmp_serde::to_vec(&(5_u16, 3_u8, "a field from the future")).unwrap();
    assert_eq!(older, rmp_serde::to_vec(&(5_u16, 3_u8)).unwrap());
    assert_eq!(rmp_serde::from_slice::<Slice>(&newer).unwrap(), slice);
    let cut = rmp_serde::to_vec(&(5_u16,)).unwrap();
    assert!(rmp_serde::from_slice::<Slice>(&cut).is_err());
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let frames: Vec<Vec<u8>> =
        bodies().into_iter().map(|body| frame_of(&message(body)).to_vec()).collect();
    bolero::check!().with_iterations(20_000).for_each(|input: &[u8]| {
        let Some((&[which, at, flip], rest)) = input.split_first_chunk() else { return };
        let mut frame = frames[usize::from(which) % frames.len()].clone();
        let from = HEADER_BYTES + usize::from(at) % (frame.len() - HEADER_BYTES + 1);
        match flip % 3 {
            0 => frame.truncate(from),
            1 => frame.splice(from.., rest.iter().copied()).for_each(drop),
            _ => frame.iter_mut().skip(from).zip(rest).for_each(|(byte, by)| *byte ^= by),
        }
        // What is understood can be said again, and means the same.
        if let Frame::Message(message) = decode(CLUSTER, &Bytes::from(frame)) {
            let again = decode(CLUSTER, &frame_of(&message));
            assert_eq!(format!("{again:?}"), format!("{:?}", Frame::Message(message)));
        }
    });
}
