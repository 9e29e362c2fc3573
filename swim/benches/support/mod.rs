//! A node that knows a thousand others, and packets for it.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use coterie_swim::{
    Accusers, Address, Attributes, Buckets, Effects, Event, Evidence, Generation, Header,
    Incarnation, Instance, Item, Label, Layout, Message, NodeId, Now, Parameters, Rank, Record,
    Start, StreamMessage, Swim, encode_packet, encode_stream,
};

const MEMBERS: u32 = 1_000;

/// A node, and a packet that it is about to handle.
pub(crate) struct Prepared {
    swim: Swim,
    from: Address,
    packet: Vec<u8>,
    effects: Effects,
    out: Vec<u8>,
}

impl Prepared {
    fn new(items: &[Item]) -> Box<Self> {
        let own = record(0);
        let others: Vec<Record> = (1..MEMBERS).map(record).collect();
        let start = Start {
            id: own.id,
            attributes: own.attributes.expect("it has some"),
            seeds: Vec::new(),
            remembered: others.clone(),
            seed: 1,
        };
        let mut swim = Swim::new(start, Parameters::default(), now(0));
        let mut effects = Effects::default();
        let mut buckets = Buckets::default();
        (0..256).for_each(|bucket| buckets.insert(bucket));
        let everyone = StreamMessage::Records { buckets, answer: false, records: others };
        let witness = record(1);
        let bytes = encode_stream(&header(&witness, 0), &everyone);
        swim.handle(Event::Stream { peer: witness.id, bytes: &bytes }, now(1), &mut effects);
        let packet = encode_packet(&header(&witness, swim.digest()), items);
        let from = witness.attributes.expect("it has some").gossip;
        let mut out = Vec::with_capacity(1_500);
        // The own record is still told of at first; the benchmarks are of the time after.
        for second in 2..40 {
            swim.handle(Event::Tick, now(second), &mut effects);
            for transmit in effects.transmits.drain(..) {
                swim.write_packet(&transmit, 1_150, now(second), &mut out);
            }
        }
        effects = Effects::default();
        Box::new(Self { swim, from, packet, effects, out })
    }

    /// Handles the packet and writes whatever answers it. Returns the bytes written.
    pub(crate) fn handle(&mut self) -> usize {
        let Self { swim, from, packet, effects, out } = self;
        let event = Event::Packet { from: *from, bytes: black_box(packet) };
        swim.handle(event, now(40), effects);
        let mut bytes = 0;
        for transmit in effects.transmits.drain(..) {
            swim.write_packet(&transmit, 1_150, now(40), out);
            bytes += out.len();
        }
        bytes
    }
}

/// A ping, which is answered by an ack.
pub(crate) fn ping() -> Box<Prepared> {
    let target = record(0).id;
    let ping = Message::Ping { sequence: 7, target, generation: Generation(1) };
    Prepared::new(&[Item::Message(ping)])
}

/// An ack to nothing under way.
pub(crate) fn ack() -> Box<Prepared> {
    Prepared::new(&[Item::Message(Message::Ack { sequence: 7 })])
}

/// Gossip of ten members, all of it known.
pub(crate) fn known_gossip() -> Box<Prepared> {
    let known = (10..20).map(|index| Record { attributes: None, ..record(index) });
    Prepared::new(&known.map(Item::Record).collect::<Vec<_>>())
}

/// Gossip of one member's refutation: news the first time.
pub(crate) fn refutation() -> Box<Prepared> {
    let mut refuted = Record { attributes: None, ..record(10) };
    refuted.evidence.incarnation = Incarnation(1);
    Prepared::new(&[Item::Record(refuted)])
}

fn now(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), wall_millis: 0 }
}

fn header(sender: &Record, digest: u64) -> Header {
    Header {
        sender: sender.id,
        generation: sender.evidence.generation,
        incarnation: sender.evidence.incarnation,
        digest,
        layout: Layout::default(),
        health: 0,
    }
}

fn record(index: u32) -> Record {
    let address = |port| Address::from((Ipv4Addr::from(0x0a00_0000 | index), port));
    let generation = Generation(1);
    let label = |text| Label::new(text).expect("short");
    Record {
        id: NodeId(u128::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        evidence: Evidence { generation, incarnation: Incarnation(0), rank: Rank::Alive },
        accusers: Accusers::default(),
        age_seconds: 0,
        attributes: Some(Attributes {
            generation,
            version: 0,
            instance: Instance(u64::from(index)),
            gossip: address(7381),
            peer: address(7400),
            resp: address(7379),
            http: address(7380),
            lanes: 8,
            weight: 100,
            protocols: (1, 1),
            region: label("region-1"),
            zone: label("a"),
        }),
    }
}
