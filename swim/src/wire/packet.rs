//! Packets: a header and items, of which unknown ones are skipped.

use super::record::{RECORD_BYTES_MAX, RecordHead};
use super::{
    DecodeError, ITEMS_MAX, PACKET_BYTES_MAX, Reader, VERSION, encode_record, encode_varint,
};
use crate::identity::{Generation, Incarnation, Layout, NodeId};
use crate::record::Record;

/// What every packet and stream message says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who sends.
    pub sender: NodeId,
    /// Its life.
    pub generation: Generation,
    /// Its newest claim: a header is first-hand evidence of being alive.
    pub incarnation: Incarnation,
    /// Sum over the members it believes in; equal sums mean equal views.
    pub digest: u64,
    /// The layout it works under.
    pub layout: Layout,
    /// Its local health score, 0 (well) to 7.
    pub health: u8,
}

/// What a packet is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for an [`Message::Ack`] with the same number.
    Ping {
        /// The round (probes), or the number of a helper's ping, by the highest bit.
        sequence: u32,
        /// Who is meant: another node may have the address by now.
        target: NodeId,
        /// Which life of it is believed in.
        generation: Generation,
    },
    /// Answers a ping.
    Ack {
        /// The ping's number.
        sequence: u32,
    },
    /// Asks a helper to ping somebody in the sender's place.
    PingRequest {
        /// The round.
        sequence: u32,
        /// Whom to ping.
        target: NodeId,
        /// After this long without an answer the helper sends a [`Message::Nack`].
        budget_millis: u16,
    },
    /// A helper's ping was answered.
    RelayAck {
        /// The round.
        sequence: u32,
    },
    /// A helper's ping was not answered in time: the helper is well, and a witness.
    Nack {
        /// The round.
        sequence: u32,
    },
    /// Nothing but records: gossip, or telling the destination what is said of it.
    Gossip,
}

/// One item of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "items are looked at one by one, on the stack")]
pub enum Item {
    /// What the packet is sent for.
    Message(Message),
    /// A record riding along. One whose subject is the destination says what is said of it.
    Record(Record),
}

/// One item of a packet, a record no further read than to know whether it matters.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    Message(Message),
    Record(UnreadRecord<'a>),
}

/// A record of a packet that was found in order.
#[derive(Debug)]
pub(crate) struct UnreadRecord<'a> {
    pub(crate) head: RecordHead,
    tail: Reader<'a>,
}

impl UnreadRecord<'_> {
    pub(crate) fn read(mut self) -> Record {
        self.tail.record_tail(self.head).expect("it was read before")
    }

    fn check(mut self) -> Result<(), DecodeError> {
        if self.head.is_all() { Ok(()) } else { self.tail.record_tail(self.head).map(drop) }
    }
}

const PING: u8 = 1;
const ACK: u8 = 2;
const PING_REQUEST: u8 = 3;
const RELAY_ACK: u8 = 4;
const NACK: u8 = 5;
const RECORD: u8 = 6;

/// The longest header.
const HEADER_BYTES_MAX: usize = 1 + 16 + 7 + 5 + 8 + 12 + 1;
/// The longest message item.
const MESSAGE_BYTES_MAX: usize = 2 + 4 + 16 + 7;
/// The smallest budget of a packet: a message and any one record always fit.
pub(crate) const PACKET_BYTES_MIN: usize =
    HEADER_BYTES_MAX + MESSAGE_BYTES_MAX + 3 + RECORD_BYTES_MAX;

pub(super) fn encode_header(header: &Header, out: &mut Vec<u8>) {
    out.extend_from_slice(&header.sender.0.to_be_bytes());
    encode_varint(header.generation.0, out);
    encode_varint(u64::from(header.incarnation.0), out);
    out.extend_from_slice(&header.digest.to_le_bytes());
    out.extend_from_slice(&header.layout.version.to_le_bytes());
    out.extend_from_slice(&header.layout.hash.to_le_bytes());
    out.push(header.health);
}

impl Reader<'_> {
    pub(super) fn header(&mut self) -> Result<Header, DecodeError> {
        Ok(Header {
            sender: self.id()?,
            generation: self.generation()?,
            incarnation: Incarnation(self.varint_u32()?),
            digest: self.u64()?,
            layout: Layout { version: self.u32()?, hash: self.u64()? },
            health: self.u8()?,
        })
    }
}

/// Fills one packet up to its budget.
#[derive(Debug)]
pub(crate) struct PacketWriter<'a> {
    out: &'a mut Vec<u8>,
    bytes_max: usize,
    scratch: &'a mut Vec<u8>,
}

impl<'a> PacketWriter<'a> {
    pub(crate) fn new(
        header: &Header,
        message: &Message,
        bytes_max: usize,
        out: &'a mut Vec<u8>,
        scratch: &'a mut Vec<u8>,
    ) -> Self {
        out.clear();
        out.push(VERSION);
        encode_header(header, out);
        let mut writer = Self { out, bytes_max, scratch };
        assert!(writer.push_message(message), "a message fits the smallest budget");
        writer
    }

    fn push_message(&mut self, message: &Message) -> bool {
        let scratch = &mut *self.scratch;
        scratch.clear();
        let tag = match message {
            Message::Ping { sequence, target, generation } => {
                scratch.extend_from_slice(&sequence.to_le_bytes());
                scratch.extend_from_slice(&target.0.to_be_bytes());
                encode_varint(generation.0, scratch);
                Some(PING)
            }
            Message::Ack { sequence } => {
                scratch.extend_from_slice(&sequence.to_le_bytes());
                Some(ACK)
            }
            Message::PingRequest { sequence, target, budget_millis } => {
                scratch.extend_from_slice(&sequence.to_le_bytes());
                scratch.extend_from_slice(&target.0.to_be_bytes());
                encode_varint(u64::from(*budget_millis), scratch);
                Some(PING_REQUEST)
            }
            Message::RelayAck { sequence } => {
                scratch.extend_from_slice(&sequence.to_le_bytes());
                Some(RELAY_ACK)
            }
            Message::Nack { sequence } => {
                scratch.extend_from_slice(&sequence.to_le_bytes());
                Some(NACK)
            }
            Message::Gossip => None,
        };
        tag.is_none_or(|tag| self.push_item(tag))
    }

    /// Whether the record still fitted, and so was added.
    pub(crate) fn push(&mut self, record: &Record) -> bool {
        self.scratch.clear();
        encode_record(record, self.scratch);
        self.push_item(RECORD)
    }

    fn push_item(&mut self, tag: u8) -> bool {
        // A length below 128 takes one byte, and no item is longer than two can say.
        let length_bytes = if self.scratch.len() < 128 { 1 } else { 2 };
        if self.out.len() + 1 + length_bytes + self.scratch.len() > self.bytes_max {
            return false;
        }
        self.out.push(tag);
        encode_varint(self.scratch.len() as u64, self.out);
        self.out.extend_from_slice(self.scratch);
        true
    }
}

/// Makes a packet of these items, whatever its size: for tools and tests. Nodes use [`crate::Swim::write_packet`].
#[must_use]
pub fn encode_packet(header: &Header, items: &[Item]) -> Vec<u8> {
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    let mut writer =
        PacketWriter::new(header, &Message::Gossip, usize::MAX, &mut out, &mut scratch);
    for item in items {
        let fitted = match item {
            Item::Message(message) => writer.push_message(message),
            Item::Record(record) => writer.push(record),
        };
        assert!(fitted, "there is no limit");
    }
    out
}

/// A packet that was read to its end and found in order.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// What it says of its sender.
    pub header: Header,
    body: Reader<'a>,
}

impl<'a> Packet<'a> {
    /// What it carries, read anew each time: a packet of many records would take far more room read than unread.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        self.parts().map(|part| match part {
            Part::Message(message) => Item::Message(message),
            Part::Record(record) => Item::Record(record.read()),
        })
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let mut rest = self.body;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                if let Some(part) = next_part(&mut rest).expect("it was read before") {
                    return Some(part);
                }
            }
            None
        })
    }
}

/// Reads a packet.
///
/// Items of unknown kinds are skipped and so are bytes at the end of known ones: later versions of this
/// format only add.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_packet(bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(DecodeError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let header = reader.header()?;
    let body = reader;
    let mut items = 0;
    while !reader.is_empty() {
        if items == ITEMS_MAX {
            return Err(DecodeError::Items);
        }
        if let Some(Part::Record(record)) = next_part(&mut reader)? {
            record.check()?;
        }
        items += 1;
    }
    Ok(Packet { header, body })
}

#[inline]
fn next_part<'a>(reader: &mut Reader<'a>) -> Result<Option<Part<'a>>, DecodeError> {
    let tag = reader.u8()?;
    let mut body = Reader::new(reader.counted()?);
    let message = match tag {
        PING => Message::Ping {
            sequence: body.u32()?,
            target: body.id()?,
            generation: body.generation()?,
        },
        ACK => Message::Ack { sequence: body.u32()? },
        PING_REQUEST => Message::PingRequest {
            sequence: body.u32()?,
            target: body.id()?,
            budget_millis: body.varint_u16()?,
        },
        RELAY_ACK => Message::RelayAck { sequence: body.u32()? },
        NACK => Message::Nack { sequence: body.u32()? },
        RECORD => {
            let head = body.record_head()?;
            return Ok(Some(Part::Record(UnreadRecord { head, tail: body })));
        }
        _ => return Ok(None),
    };
    Ok(Some(Part::Message(message)))
}
