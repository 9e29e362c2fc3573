//! Records and attributes.

use super::{DecodeError, Reader};
use crate::attributes::{Address, Attributes, Label};
use crate::identity::{Generation, Incarnation, Instance, NodeId};
use crate::record::{Accusers, Evidence, Rank, Record};

const RANK_MASK: u8 = 0b11;
const HAS_ATTRIBUTES: u8 = 0b100;

/// The longest encoded record: a suspicion with four accusers and IPv6 addresses throughout.
pub(crate) const RECORD_BYTES_MAX: usize =
    16 + 7 + 5 + 1 + (1 + 16 * Accusers::MAX) + 7 + 5 + 8 + 4 * 19 + 3 + 5 + 6 + 2 * 24;

pub(crate) fn encode_varint(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(unsigned_varint::encode::u64(
        number,
        &mut unsigned_varint::encode::u64_buffer(),
    ));
}

/// What a record begins with: enough to tell whether the rest can be news.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    pub(crate) id: NodeId,
    pub(crate) evidence: Evidence,
    pub(crate) has_attributes: bool,
}

impl RecordHead {
    /// Whether nothing follows.
    pub(crate) fn is_all(&self) -> bool {
        self.evidence.rank == Rank::Alive && !self.has_attributes
    }
}

/// Appends a record; its attributes only if they are to go along.
pub(crate) fn encode_record(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.id.0.to_be_bytes());
    encode_varint(record.evidence.generation.0, out);
    encode_varint(u64::from(record.evidence.incarnation.0), out);
    let rank = match record.evidence.rank {
        Rank::Alive => 0,
        Rank::Suspect => 1,
        Rank::Down => 2,
        Rank::Left => 3,
    };
    out.push(rank | if record.attributes.is_some() { HAS_ATTRIBUTES } else { 0 });
    match record.evidence.rank {
        Rank::Alive => {}
        Rank::Suspect => {
            let ids = record.accusers.as_slice();
            out.push(u8::try_from(ids.len()).expect("at most four accusers"));
            for id in ids {
                out.extend_from_slice(&id.0.to_be_bytes());
            }
        }
        Rank::Down | Rank::Left => encode_varint(u64::from(record.age_seconds), out),
    }
    if let Some(attributes) = &record.attributes {
        encode_attributes(attributes, out);
    }
}

fn encode_attributes(attributes: &Attributes, out: &mut Vec<u8>) {
    encode_varint(attributes.generation.0, out);
    encode_varint(u64::from(attributes.version), out);
    out.extend_from_slice(&attributes.instance.0.to_le_bytes());
    for address in [attributes.gossip, attributes.peer, attributes.resp, attributes.http] {
        match address.ipv4() {
            Some(octets) => {
                out.push(4);
                out.extend_from_slice(&octets);
            }
            None => {
                out.push(6);
                out.extend_from_slice(&address.octets());
            }
        }
        out.extend_from_slice(&address.port().to_le_bytes());
    }
    encode_varint(u64::from(attributes.lanes), out);
    encode_varint(u64::from(attributes.weight), out);
    encode_varint(u64::from(attributes.protocols.0), out);
    encode_varint(u64::from(attributes.protocols.1), out);
    for label in [attributes.region, attributes.zone] {
        let text = label.as_str().as_bytes();
        encode_varint(text.len() as u64, out);
        out.extend_from_slice(text);
    }
}

impl Reader<'_> {
    #[inline]
    pub(crate) fn id(&mut self) -> Result<NodeId, DecodeError> {
        Ok(NodeId(u128::from_be_bytes(self.array()?)))
    }

    #[inline]
    pub(crate) fn generation(&mut self) -> Result<Generation, DecodeError> {
        let generation = Generation(self.varint_u64()?);
        if generation > Generation::MAX {
            return Err(DecodeError::Generation);
        }
        Ok(generation)
    }

    #[inline]
    pub(crate) fn record_head(&mut self) -> Result<RecordHead, DecodeError> {
        let id = self.id()?;
        let generation = self.generation()?;
        let incarnation = Incarnation(self.varint_u32()?);
        let flags = self.u8()?;
        if flags & !(RANK_MASK | HAS_ATTRIBUTES) != 0 {
            return Err(DecodeError::Flags);
        }
        let rank = match flags & RANK_MASK {
            0 => Rank::Alive,
            1 => Rank::Suspect,
            2 => Rank::Down,
            _ => Rank::Left,
        };
        let evidence = Evidence { generation, incarnation, rank };
        Ok(RecordHead { id, evidence, has_attributes: flags & HAS_ATTRIBUTES != 0 })
    }

    /// What follows a record's head.
    pub(crate) fn record_tail(&mut self, head: RecordHead) -> Result<Record, DecodeError> {
        let RecordHead { id, evidence, has_attributes } = head;
        let (accusers, age_seconds) = match evidence.rank {
            Rank::Alive => (Accusers::default(), 0),
            Rank::Suspect => (self.accusers()?, 0),
            Rank::Down | Rank::Left => (Accusers::default(), self.varint_u32()?),
        };
        let attributes = if has_attributes { Some(self.attributes()?) } else { None };
        Ok(Record { id, evidence, accusers, age_seconds, attributes })
    }

    pub(crate) fn record(&mut self) -> Result<Record, DecodeError> {
        let head = self.record_head()?;
        self.record_tail(head)
    }

    fn accusers(&mut self) -> Result<Accusers, DecodeError> {
        let count = usize::from(self.u8()?);
        if count > Accusers::MAX {
            return Err(DecodeError::Accusers);
        }
        let mut accusers = Accusers::default();
        for _ in 0..count {
            let id = self.id()?;
            if accusers.as_slice().last().is_some_and(|last| *last >= id) {
                return Err(DecodeError::Accusers);
            }
            accusers.insert(id);
        }
        Ok(accusers)
    }

    fn attributes(&mut self) -> Result<Attributes, DecodeError> {
        Ok(Attributes {
            generation: self.generation()?,
            version: self.varint_u32()?,
            instance: Instance(self.u64()?),
            gossip: self.address()?,
            peer: self.address()?,
            resp: self.address()?,
            http: self.address()?,
            lanes: self.varint_u16()?,
            weight: self.varint_u32()?,
            protocols: (self.varint_u16()?, self.varint_u16()?),
            region: self.label()?,
            zone: self.label()?,
        })
    }

    fn address(&mut self) -> Result<Address, DecodeError> {
        let ip = match self.u8()? {
            4 => std::net::IpAddr::from(self.array::<4>()?),
            6 => std::net::IpAddr::from(self.array::<16>()?),
            _ => return Err(DecodeError::Address),
        };
        let port = u16::from_le_bytes(self.array()?);
        // One form per address: equal addresses are equal bytes.
        if matches!(ip, std::net::IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
            return Err(DecodeError::Address);
        }
        Ok(std::net::SocketAddr::new(ip, port).into())
    }

    fn label(&mut self) -> Result<Label, DecodeError> {
        let text = std::str::from_utf8(self.counted()?).map_err(|_bytes| DecodeError::Label)?;
        Label::new(text).map_err(|_long| DecodeError::Label)
    }
}
