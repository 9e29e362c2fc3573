//! What peers send that makes no sense: it is answered with why, counted, and nothing is changed.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::operation::{KeyOperation, Operation, SetOperation, SetVerb, evaluate_all};
use coterie_crdt::{Actor, Clock, Delta, Dot, Footprint, Mint, State};
use coterie_protocol::Counters;
use coterie_protocol::rows::{Row, Space};
use coterie_ring::moves::{Quorum, SetVersion};
use coterie_ring::register::{Accepted, Ballot, Request as RegisterAsk};
use coterie_ring::{Level, NodeId, Partition};
use coterie_sim::Options;
use coterie_sim::cluster::Cluster;
use coterie_sim::random::Random;
use coterie_sim::workload::Bucket;
use coterie_wire::frame::{ClusterTag, FRAME_BYTES_MAX, FrameError, HEADER_BYTES, encode};
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::amnesia::Reception;
use coterie_wire::peer::control::ControlMessage;
use coterie_wire::peer::hint::{HintFor, Worth};
use coterie_wire::peer::linearizable::Query;
use coterie_wire::peer::moving::Move;
use coterie_wire::peer::purge::{PURGE_KEYS_MAX, Purge, Remains, Said};
use coterie_wire::peer::read::Read;
use coterie_wire::peer::strong::{LateVote, RegisterRequest};
use coterie_wire::peer::sync::{Step, Sync};
use coterie_wire::peer::write::{Change, Durability, Write};
use coterie_wire::{Body, Key, Message, Outcome, RequestId, SessionDots, Slice};

use crate::{begun, key, request};

const CLUSTER: ClusterTag = ClusterTag(0xc07e);
/// Who sends, where nothing else is said.
const FROM: usize = 0;
/// How long an answer takes at most.
const SOON: Duration = Duration::from_millis(20);

/// A cluster with some keys, in which what is left of deleted ones has been purged.
struct Bench {
    cluster: Cluster,
    key: Key,
    strong: Key,
    /// An owner of both.
    to: usize,
    /// Who sends.
    from: usize,
    requests: u128,
}

impl Bench {
    fn new() -> Bench {
        let mut cluster = begun(Options::calm(4, 1));
        let set = |verb| Operation::Set(SetOperation::new(verb));
        let add = || set(SetVerb::Add(vec![Bytes::from_static(b"m")]));
        let key = key(Bucket::Strict, "kept");
        let partition = cluster.partition(&key);
        let beside = |bucket: Bucket, name: &str| {
            let mut names = (0..).map(|number| crate::key(bucket, &format!("{name}{number}")));
            names.find(|key| cluster.partition(key) == partition).unwrap()
        };
        let (gone, strong) = (beside(Bucket::Strict, "gone"), beside(Bucket::Strong, "kept"));
        for (key, operation) in
            [(&key, add()), (&gone, add()), (&gone, Operation::Key(KeyOperation::Delete))]
        {
            cluster.request(1, request(key, operation, Level::All)).unwrap();
            cluster.pass(Duration::from_secs(1));
            let told = cluster.take_told();
            assert!(matches!(told[0].response.outcome, Outcome::Done(_)));
        }
        let owners = cluster.owners(&key);
        let to = owners.iter().filter_map(|owner| cluster.index_of(*owner)).find(|at| *at != FROM);
        let mut bench = Bench { cluster, key, strong, to: to.unwrap(), from: FROM, requests: 0 };
        let (limit, every) = (Duration::from_secs(300), Duration::from_secs(1));
        let slice = bench.slice();
        let to = bench.cluster.nodes[bench.to].id;
        let purged = |cluster: &Cluster| {
            cluster.slice(to, slice).is_some_and(|state| state.epoch > 0 && state.epoch_min > 0)
        };
        bench.cluster.wait_for(limit, every, purged).expect("what was deleted is purged");
        bench.cluster.pass(Duration::from_secs(5));
        bench
    }

    fn slice(&self) -> Slice {
        Slice { partition: self.cluster.partition(&self.key), replicas: 3 }
    }

    /// A message with the tags that the receiver knows.
    fn message(&mut self, body: Body) -> Message {
        self.requests += 1;
        let slice = self.slice();
        let state = self.cluster.slice(self.cluster.nodes[self.to].id, slice).unwrap();
        Message {
            request: RequestId(0xbad << 100 | self.requests),
            slice: Some(slice),
            layout: state.replica.sets().tag(),
            epoch: state.epoch,
            time_left: Some(Duration::from_secs(1)),
            trace: 0,
            committed: None,
            body,
        }
    }

    /// One request of each kind that a peer may make about a slice.
    fn requests(&mut self) -> Vec<Message> {
        let (key, set) =
            (self.key.clone(), self.message(Body::Control(ControlMessage::Join)).layout);
        let write = |hint_for| {
            let change = Change::Delta(delta());
            let write = Write {
                key: key.clone(),
                change,
                durability: Durability::AsSet,
                hint_for,
                expects: None,
            };
            Body::Write(Box::new(write))
        };
        let read = Read {
            key: key.clone(),
            set,
            quorum: Quorum::Majority,
            footprint: Footprint::root(),
            digests: None,
            session: SessionDots::default(),
            hints: false,
        };
        let hint = HintFor { owner: NodeId(0x1000), worth: Worth::Counted };
        let query = Query { key: key.clone(), hold: Duration::ZERO, digest: 7, join: None };
        let ballot = Ballot { round: 9, proposer: NodeId(0x1000), session: 1 };
        let asked = RegisterAsk::Prepare { ballot };
        let register = RegisterRequest { key: self.strong.clone(), request: asked };
        let vote = Accepted { ballot, value: b"no value".to_vec() };
        let late = LateVote { key: self.strong.clone(), vote };
        let step = Box::new(Step::Close { root: 7 });
        let decided = self.decided();
        let remains = Remains { key: self.key.clone(), digest: 7 };
        let purge = |said| Body::Purge(Box::new(Purge { decided, said, settled: 0 }));
        let life = Actor(77);
        [
            write(None),
            write(Some(hint)),
            Body::Read(Box::new(read)),
            Body::Query(Box::new(query)),
            Body::Register(Box::new(register)),
            Body::Sync(Sync::Step { number: 1, step }),
            Body::Vote(Box::new(late)),
            Body::Move(Move::Offer),
            Body::Move(Move::Pushed { fenced: set, life }),
            Body::Reception(Reception::Ask),
            purge(Said::Propose(vec![remains.clone()])),
            purge(Said::Adopt),
            purge(Said::Drop(vec![remains])),
            purge(Said::Renew),
        ]
        .map(|body| self.message(body))
        .into()
    }

    /// The version of the decision that is in force.
    fn decided(&self) -> SetVersion {
        let process = self.cluster.nodes[self.to].process.as_ref().unwrap();
        process.lanes[0].driver.lane().shared().view.decision.version()
    }

    fn counters(&self) -> Vec<Counters> {
        let process = self.cluster.nodes[self.to].process.as_ref().unwrap();
        process.lanes.iter().map(|lane| lane.driver.lane().shared().counters).collect()
    }

    /// All rows of keys and hints, wherever they are.
    fn rows(&self) -> Vec<Vec<Row>> {
        let disks = self.cluster.nodes.iter().map(|node| node.disk.image());
        let all = |image: &coterie_sim::disk::Image| {
            let range = coterie_protocol::rows::KeyRange { from: Bytes::new(), to: None };
            let of = |space| {
                image.scan(space, &range, coterie_protocol::rows::Direction::Forward, usize::MAX)
            };
            [Space::Rows, Space::Hints, Space::Derived, Space::Leaves].map(of).concat()
        };
        disks.map(all).collect()
    }

    /// Lets bytes come in, and gives what is said of the request; nothing may be stored anywhere.
    fn answers(&mut self, request: RequestId, bytes: &[u8]) -> Vec<Body> {
        let rows = self.rows();
        self.cluster.overheard();
        self.cluster.receive(self.from, self.to, bytes).unwrap();
        self.cluster.pass(SOON);
        assert!(self.rows() == rows, "rows were changed");
        let answers = self.cluster.overheard().into_iter();
        let answers =
            answers.filter(|message| message.request == request && message.body.is_answer());
        answers.map(|message| message.body).collect()
    }

    /// The answer to a message, which has to be counted.
    fn refused(&mut self, message: &Message) -> String {
        let mut bytes = Vec::new();
        encode(CLUSTER, message, &mut bytes).unwrap();
        let before = self.counters();
        let answers = self.answers(message.request, &bytes);
        assert_eq!(answers.len(), 1, "{message:?} is answered with {answers:?}");
        assert_ne!(self.counters(), before, "{message:?} is counted");
        format!("{:?}", answers[0])
    }
}

fn delta() -> Delta {
    let mut clock = Clock::new();
    let mut mint = Mint::new(Dot::new(Actor(77), 1), &mut clock, 0, 0);
    let add = Operation::Set(SetOperation::new(SetVerb::Add(vec![Bytes::from_static(b"bad")])));
    evaluate_all(&[add], &State::new(), &mut mint).1
}

/// The name of a kind of message.
fn kind(message: &Message) -> String {
    let kind = format!("{:?}", message.body);
    kind.split(['(', ' ', '{']).next().unwrap().to_owned()
}

#[test]
fn frames_that_are_not_understood_are_answered_counted_and_change_nothing() {
    let mut bench = Bench::new();
    let mut random = Random::new(1, "frames");
    let sent = bench.requests();
    let mut counted = bench.cluster.frame_counters();
    for message in &sent {
        let mut good = Vec::new();
        encode(CLUSTER, message, &mut good).unwrap();

        let mut other = Vec::new();
        encode(ClusterTag(0xc07f), message, &mut other).unwrap();
        let refused = |refusal| vec![Body::Refused(refusal)];
        assert_eq!(bench.answers(message.request, &other), refused(PeerRefusal::OtherCluster));
        counted.other_cluster += 1;

        let mut unknown = good.clone();
        unknown[4..6].copy_from_slice(&999_u16.to_le_bytes());
        let unsupported = refused(PeerRefusal::Unsupported { kind: 999 });
        assert_eq!(bench.answers(message.request, &unknown), unsupported);
        counted.unsupported += 1;

        let mut garbage = good[..4 + HEADER_BYTES].to_vec();
        // No array of MessagePack begins like this.
        garbage.push(0xc1);
        garbage.extend((0..random.below(0, 200)).map(|_| random.number().to_le_bytes()[0]));
        let length = u32::try_from(garbage.len() - 4).unwrap();
        garbage[..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(bench.answers(message.request, &garbage), refused(PeerRefusal::Malformed));
        counted.malformed += 1;
        assert_eq!(bench.cluster.frame_counters(), counted);
    }
    // Where the next frame begins is not known any more: the connection is closed.
    let (rows, to) = (bench.rows(), bench.to);
    let too_large = u32::try_from(FRAME_BYTES_MAX + 1).unwrap();
    let ends = [
        (too_large, FrameError::TooLarge { bytes: too_large }),
        (5, FrameError::TooShort { bytes: 5 }),
    ];
    for (from, (length, error)) in (0..).filter(|from| *from != to).zip(ends) {
        assert_eq!(bench.cluster.receive(from, to, &length.to_le_bytes()), Err(error));
        counted.unbounded += 1;
        assert_eq!(bench.cluster.frame_counters(), counted);
    }
    bench.cluster.pass(SOON);
    assert!(bench.rows() == rows);
}

#[test]
fn requests_of_a_slice_that_is_not_are_malformed() {
    let mut bench = Bench::new();
    for spoil in [
        |slice: &mut Slice| slice.partition = Partition(9_999),
        |slice: &mut Slice| slice.partition = Partition(u16::MAX),
        |slice: &mut Slice| slice.replicas = 0,
    ] {
        for mut message in bench.requests() {
            spoil(message.slice.as_mut().unwrap());
            assert_eq!(bench.refused(&message), "Refused(Malformed)", "{}", kind(&message));
        }
    }
    // What is for a lane names a slice.
    for mut message in bench.requests() {
        message.slice = None;
        let mut bytes = Vec::new();
        encode(CLUSTER, &message, &mut bytes).unwrap();
        let misplaced = |bench: &Bench| {
            bench.cluster.nodes[bench.to]
                .process
                .as_ref()
                .unwrap()
                .control
                .driver
                .control()
                .misplaced()
        };
        let before = misplaced(&bench);
        let answers = bench.answers(message.request, &bytes);
        assert_eq!(answers, [Body::Refused(PeerRefusal::Malformed)], "{}", kind(&message));
        assert_eq!(misplaced(&bench), before + 1);
    }
}

/// Makes something wrong with a message.
type Spoil = fn(&mut Message);

#[test]
fn other_owners_and_epochs_are_answered_with_those_known_here() {
    // The kinds are in the order of `requests`. Hints are taken whatever owners their senders know, since those are looked
    // up when they are delivered, and under epochs that their keepers may not have heard of; sessions of
    // synchronisation are among whoever has a copy.
    let owners = [
        (0, "OtherLayout"),
        (2, "NotReady"),
        (3, "OtherLayout"),
        (4, "OtherLayout"),
        (6, "OtherLayout"),
        (7, "OtherLayout"),
    ];
    let newer = [
        (0, "EpochAhead"),
        (2, "EpochAhead"),
        (3, "OtherEpoch"),
        (4, "NotVoting"),
        (5, "Refused"),
        (6, "EpochAhead"),
    ];
    let older = [
        (0, "StaleEpoch"),
        (1, "StaleEpoch"),
        (2, "StaleEpoch"),
        (3, "OtherEpoch"),
        (4, "NotVoting"),
        (5, "Refused"),
        (6, "StaleEpoch"),
    ];
    let spoils: [(Spoil, &[(usize, &str)]); 5] = [
        (|message| owners_are(message, SetVersion::default()), &owners),
        (|message| owners_are(message, SetVersion { epoch: 9, number: 9 }), &owners),
        (|message| message.epoch -= 1, &older),
        // The next epoch is adopted when it is heard of. What was read before that is asked for again.
        (|message| message.epoch += 1, &newer[..2]),
        (|message| message.epoch = u64::MAX, &newer),
    ];
    for (turn, (spoil, expected)) in spoils.into_iter().enumerate() {
        for (at, answer) in expected {
            // Whoever hears of a next epoch adopts it where it may: each message finds a cluster of its own.
            let mut bench = Bench::new();
            let mut message = bench.requests().swap_remove(*at);
            spoil(&mut message);
            let refused = bench.refused(&message);
            assert!(refused.contains(answer), "{turn}, {}: {refused}", kind(&message));
        }
    }
}

#[test]
fn purges_are_refused_under_another_decision_and_of_too_many_keys() {
    let mut bench = Bench::new();
    let decided = bench.decided();
    let versions = [
        SetVersion::default(),
        SetVersion { number: decided.number + 1, ..decided },
        SetVersion { epoch: u32::MAX, number: u64::MAX },
    ];
    for version in versions {
        for mut message in bench.requests() {
            let Body::Purge(purge) = &mut message.body else { continue };
            purge.decided = version;
            let refused = bench.refused(&message);
            assert!(refused.contains("OtherLayout"), "{}: {refused}", kind(&message));
        }
    }
    for mut message in bench.requests() {
        let Body::Purge(purge) = &mut message.body else { continue };
        let (Said::Propose(remains) | Said::Drop(remains)) = &mut purge.said else { continue };
        *remains = vec![remains[0].clone(); PURGE_KEYS_MAX + 1];
        assert_eq!(bench.refused(&message), "Refused(Malformed)");
    }
}

#[test]
fn offers_and_receptions_of_a_slice_that_the_receiver_does_not_own_are_refused() {
    let mut bench = Bench::new();
    let owners = bench.cluster.owners(&bench.key);
    let sent = bench.requests();
    let other = (0..4).find(|at| !owners.contains(&bench.cluster.nodes[*at].id)).unwrap();
    (bench.from, bench.to) = (bench.to, other);
    let moves = |message: &Message| matches!(message.body, Body::Move(_) | Body::Reception(_));
    for message in sent.iter().filter(|message| moves(message)) {
        assert_eq!(bench.refused(message), "Refused(NotOwner)", "{}", kind(message));
    }
}

/// Lets a message name these owners; a read those that it is to count in.
fn owners_are(message: &mut Message, owners: SetVersion) {
    if let Body::Read(read) = &mut message.body {
        read.set = owners;
    } else {
        message.layout = owners;
    }
}

#[test]
fn gossip_that_is_not_understood_is_counted_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut random = Random::new(1, "packets");
    let to = bench.to;
    let gossip = |bench: &Bench| {
        *bench.cluster.nodes[to].process.as_ref().unwrap().control.driver.control().gossip()
    };
    let view = |bench: &Bench| {
        let process = bench.cluster.nodes[to].process.as_ref().unwrap();
        process.lanes[0].driver.lane().shared().view.members.clone()
    };
    let (before, members, rows) = (gossip(&bench), view(&bench), bench.rows());
    for length in 0..500 {
        let bytes: Vec<u8> = (0..length).map(|_| random.number().to_le_bytes()[0]).collect();
        bench.cluster.receive_datagram(FROM, to, Some(bytes.clone().into()));
        bench.cluster.receive_datagram(FROM, to, None);
        let swim = Body::Control(ControlMessage::Swim(bytes.into()));
        let message = Message { slice: None, ..bench.message(swim) };
        let mut frame = Vec::new();
        encode(CLUSTER, &message, &mut frame).unwrap();
        bench.cluster.receive(FROM, to, &frame).unwrap();
        bench.cluster.pass(Duration::from_millis(1));
    }
    let after = gossip(&bench);
    assert_eq!(after.foreign - before.foreign, 500);
    let not_understood = after.malformed + after.unknown_version;
    assert_eq!(not_understood - before.malformed - before.unknown_version, 1_000);
    assert_eq!(view(&bench), members);
    assert!(bench.rows() == rows);
}
