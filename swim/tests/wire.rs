//! Bytes: what is written is read back, and anything else is refused without harm.

#[path = "support/speaking.rs"]
mod speaking;

use std::time::Duration;

use coterie_swim::simulation::Cluster;
use coterie_swim::{
    Accusers, DecodeError, Effects, Event, Generation, Header, Incarnation, Item, Layout, Message,
    NodeId, Now, Parameters, Rank, Record, Start, StreamMessage, Swim, decode_packet,
    decode_stream, encode_packet, encode_stream, snapshot,
};

fn iterations() -> usize {
    if std::env::var_os("COTERIE_PROOF").is_some() { 1_000_000 } else { 20_000 }
}

fn header() -> Header {
    Header {
        sender: NodeId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
        generation: Generation(300),
        incarnation: Incarnation(5),
        digest: 0x1122_3344_5566_7788,
        layout: Layout { version: 9, hash: 0xaabb_ccdd_eeff_0011 },
        health: 2,
    }
}

fn records() -> Vec<Record> {
    let cluster = Cluster::converged(4, 1, Parameters::default());
    let pattern = cluster.swim(0).expect("it runs").own_record();
    [Rank::Alive, Rank::Suspect, Rank::Down, Rank::Left]
        .into_iter()
        .map(|rank| Record {
            evidence: pattern.evidence.ranked(rank),
            accusers: match rank {
                Rank::Suspect => [NodeId(1), NodeId(u128::MAX)].into_iter().collect(),
                Rank::Alive | Rank::Down | Rank::Left => Accusers::default(),
            },
            age_seconds: if rank >= Rank::Down { 77 } else { 0 },
            attributes: pattern.attributes.filter(|_| rank != Rank::Down),
            ..pattern.clone()
        })
        .collect()
}

fn items() -> Vec<Item> {
    let target = NodeId(7);
    let messages = [
        Message::Ping { sequence: 1, target, generation: Generation(2) },
        Message::Ack { sequence: 3 },
        Message::PingRequest { sequence: 4, target, budget_millis: 510 },
        Message::RelayAck { sequence: 5 },
        Message::Nack { sequence: 6 },
    ];
    messages.map(Item::Message).into_iter().chain(records().into_iter().map(Item::Record)).collect()
}

#[test]
fn packet_bytes_are_as_documented() {
    let bytes = encode_packet(&header(), &[Item::Message(Message::Ack { sequence: 0x0a0b_0c0d })]);
    let expected: &[u8] = &[
        1, // version
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // sender
        0xac, 2, // generation 300
        5, // incarnation
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, // digest
        9, 0, 0, 0, // layout version
        0x11, 0, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, // layout hash
        2,    // health
        2, 4, 0x0d, 0x0c, 0x0b, 0x0a, // ack
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn packets_and_stream_messages_are_read_back_as_written() {
    let bytes = encode_packet(&header(), &items());
    let packet = decode_packet(&bytes).expect("valid");
    assert_eq!(packet.header, header());
    assert_eq!(packet.items().collect::<Vec<_>>(), items());

    let sums = Box::new(std::array::from_fn(|bucket| bucket as u64));
    let mut buckets = coterie_swim::Buckets::default();
    buckets.insert(3);
    buckets.insert(255);
    for message in [
        StreamMessage::Join { record: Box::new(records().remove(0)), sums: sums.clone() },
        StreamMessage::Digest { sums },
        StreamMessage::Records { buckets, answer: true, records: records() },
    ] {
        let bytes = encode_stream(&header(), &message);
        assert_eq!(decode_stream(&bytes), Ok((header(), message)));
    }
    assert_eq!(snapshot::decode(&snapshot::encode(records())), Ok(records()));
}

#[test]
fn unknown_items_and_longer_known_ones_are_skipped() {
    let mut bytes = encode_packet(&header(), &[]);
    bytes.extend_from_slice(&[200, 3, 1, 2, 3]); // an item of a later version
    bytes.extend_from_slice(&[2, 6, 9, 0, 0, 0, 0xff, 0xff]); // an ack with more to it
    let packet = decode_packet(&bytes).expect("valid");
    assert_eq!(packet.items().collect::<Vec<_>>(), [Item::Message(Message::Ack { sequence: 9 })]);
}

#[test]
fn every_prefix_of_a_message_is_refused_or_shorter() {
    let bytes = encode_packet(&header(), &items());
    for length in 0..bytes.len() {
        let whole =
            decode_packet(&bytes[..length]).is_ok_and(|p| p.items().count() == items().len());
        assert!(!whole, "{length} bytes");
    }
    let damaged = snapshot::encode(records());
    for length in 0..damaged.len() {
        assert!(snapshot::decode(&damaged[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn limits_are_checked_before_anything_is_taken_in() {
    let refusal = |bytes: &[u8]| decode_packet(bytes).err();
    assert_eq!(refusal(&[1; 9_001]), Some(DecodeError::TooLarge));
    assert_eq!(refusal(&[9]), Some(DecodeError::Version(9)));
    assert_eq!(decode_stream(&vec![1; (1 << 20) + 1]), Err(DecodeError::TooLarge));
    let mut many = encode_packet(&header(), &[]);
    for _ in 0..300 {
        many.extend_from_slice(&[200, 0]);
    }
    assert_eq!(refusal(&many), Some(DecodeError::Items));
    let mut generation = vec![1; 17];
    generation.extend_from_slice(&[0xff; 9]);
    generation.push(1);
    generation.extend_from_slice(&[0; 22]);
    assert_eq!(refusal(&generation), Some(DecodeError::Generation));
}

/// A node of a small cluster, to throw bytes at.
struct Target {
    swim: Swim,
    effects: Effects,
    elapsed: Duration,
    out: Vec<u8>,
}

impl Target {
    const MEMBERS_MAX: usize = 50;

    fn new() -> Self {
        let own = records().remove(0);
        let attributes = own.attributes.expect("it has some");
        let start =
            Start { id: own.id, attributes, seeds: Vec::new(), remembered: Vec::new(), seed: 1 };
        let parameters = Parameters { members_max: Self::MEMBERS_MAX, ..Parameters::default() };
        let now = Now { monotonic: Duration::ZERO, wall_millis: 0 };
        let swim = Swim::new(start, parameters, now);
        Self { swim, effects: Effects::default(), elapsed: Duration::ZERO, out: Vec::new() }
    }

    /// Gives it the bytes as a packet, as a stream message and as a snapshot, and lets it do what follows.
    fn receive(&mut self, bytes: &[u8]) {
        self.elapsed += Duration::from_millis(37);
        let now = Now { monotonic: self.elapsed, wall_millis: 0 };
        let from = records()[0].attributes.expect("it has some").gossip;
        let peer = decode_stream(bytes).map_or(NodeId(2), |(header, _)| header.sender);
        self.swim.handle(Event::Packet { from, bytes }, now, &mut self.effects);
        self.swim.handle(Event::Stream { peer, bytes }, now, &mut self.effects);
        if self.swim.next_deadline().is_some_and(|deadline| deadline <= self.elapsed) {
            self.swim.handle(Event::Tick, now, &mut self.effects);
        }
        for transmit in self.effects.transmits.drain(..) {
            self.swim.write_packet(&transmit, Swim::PACKET_BYTES_MIN, now, &mut self.out);
            assert!(self.out.len() <= Swim::PACKET_BYTES_MIN);
        }
        self.effects = Effects::default();
        assert!(self.swim.members_held() <= Self::MEMBERS_MAX);
        assert!(self.swim.member_bytes() < 200_000);
        let _refused = snapshot::decode(bytes).is_err();
    }
}

#[test]
fn any_bytes_are_refused_or_taken_in_without_harm() {
    let mut target = Target::new();
    bolero::check!().with_iterations(iterations()).with_max_len(512).for_each(|bytes: &[u8]| {
        let mut framed = vec![1];
        framed.extend_from_slice(bytes);
        target.receive(bytes);
        target.receive(&framed);
    });
    let counters = target.swim.counters();
    eprintln!(
        "{} malformed, {} of an unknown version",
        counters.malformed, counters.unknown_version
    );
    assert!(counters.malformed > 0 && counters.unknown_version > 0);
}

#[test]
fn damaged_messages_are_refused_or_taken_in_without_harm() {
    let sums = Box::new([7; 256]);
    let mut buckets = coterie_swim::Buckets::default();
    (0..256).for_each(|bucket| buckets.insert(bucket));
    let whole = [
        encode_packet(&header(), &items()),
        encode_stream(
            &header(),
            &StreamMessage::Records { buckets, answer: true, records: records() },
        ),
        encode_stream(
            &header(),
            &StreamMessage::Join { record: Box::new(records().remove(0)), sums },
        ),
    ];
    let mut target = Target::new();
    bolero::check!()
        .with_iterations(iterations())
        .with_type::<(u8, Vec<(u16, u8)>, u16)>()
        .for_each(|(which, changes, cut)| {
            let mut bytes = whole[usize::from(*which) % whole.len()].clone();
            for (place, value) in changes.iter().take(8) {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *value;
            }
            if cut.is_multiple_of(4) {
                bytes.truncate(usize::from(*cut) % (bytes.len() + 1));
            }
            target.receive(&bytes);
        });
    let counters = target.swim.counters();
    eprintln!("{counters:?}");
    assert!(counters.malformed > 0 && counters.table_full > 0);
}

#[test]
fn packet_of_an_unknown_version_is_counted_and_changes_nothing() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let digest = cluster.swim(0).expect("it runs").digest();
    let from = cluster.seed_address(1);
    let mut bytes = encode_packet(&header(), &items());
    bytes[0] = 2;
    cluster.give(0, Event::Packet { from, bytes: &bytes });
    let swim = cluster.swim(0).expect("it runs");
    assert_eq!((swim.counters().unknown_version, swim.digest()), (1, digest));
}

#[test]
fn incarnation_at_the_end_of_its_range_is_refuted_by_a_new_generation() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let mut accusation = cluster.swim(0).expect("it runs").own_record();
    accusation.evidence.incarnation = Incarnation(u32::MAX);
    accusation.evidence.rank = Rank::Suspect;
    accusation.attributes = None;
    speaking::tell(&mut cluster, 1, 0, &[accusation.clone()]);
    let swim = cluster.swim(0).expect("it runs");
    assert_eq!(swim.own_record().evidence.generation, accusation.evidence.generation.next());
    assert_eq!(swim.counters().refutations, 1);
    cluster.run_for(Duration::from_secs(5));
    assert!(cluster.full_view() && cluster.digests_equal());
}

#[test]
fn packet_that_claims_our_own_id_is_counted_and_not_believed() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let own = cluster.swim(0).expect("it runs").own_record();
    let from = cluster.seed_address(2);
    let claim = Header { sender: own.id, ..header() };
    let bytes = encode_packet(&claim, &[Item::Message(Message::Ack { sequence: 1 })]);
    cluster.give(0, Event::Packet { from, bytes: &bytes });
    let swim = cluster.swim(0).expect("it runs");
    assert_eq!(swim.counters().own_id_claimed, 1);
    assert_eq!(swim.own_record(), own);
}

#[test]
fn stream_whose_sender_is_not_the_certificates_is_refused() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let digest = cluster.swim(0).expect("it runs").digest();
    let peer = cluster.id(1);
    let records = StreamMessage::Records {
        buckets: coterie_swim::Buckets::default(),
        answer: false,
        records: records(),
    };
    let bytes = encode_stream(&header(), &records);
    cluster.give(0, Event::Stream { peer, bytes: &bytes });
    let swim = cluster.swim(0).expect("it runs");
    assert_eq!((swim.counters().impostors, swim.digest()), (1, digest));
}

#[test]
fn foreign_datagram_is_counted_and_reported_once_in_a_while() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let from = cluster.seed_address(1);
    for _ in 0..100 {
        cluster.give(0, Event::Unopened { from });
    }
    assert_eq!(cluster.swim(0).expect("it runs").counters().foreign, 100);
    assert_eq!(cluster.observer.own.len(), 1);
}

#[test]
fn ping_meant_for_another_node_is_counted_and_not_answered() {
    let mut cluster = Cluster::converged(3, 1, Parameters::default());
    let sender = cluster.swim(1).expect("it runs").own_record();
    let from = sender.attributes.expect("it has some").gossip;
    let ping = Message::Ping { sequence: 1, target: NodeId(99), generation: Generation(1) };
    let claim = Header { sender: sender.id, generation: sender.evidence.generation, ..header() };
    let bytes = encode_packet(&claim, &[Item::Message(ping)]);
    let sent = cluster.messages_sent();
    cluster.give(0, Event::Packet { from, bytes: &bytes });
    assert_eq!(cluster.swim(0).expect("it runs").counters().misdirected, 1);
    assert_eq!(cluster.messages_sent(), sent);
}
