//! The bytes of a register's messages and of an acceptor's durable state.

use super::rules::Rules;
use super::{Accepted, Acceptor, Ballot, Refusal, Reply, Request};
use crate::encoding::{Malformed, write_varint};
use unsigned_varint::decode;

/// The longest value a register carries: 64 KiB for `strong` keys, and a layout of 4,096 × 3 with a
/// thousand nodes' intent is within twice that.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// The format written, and the only one read.
const VERSION: u8 = 1;

/// A type with one encoding, read without trusting the bytes.
pub trait Wire: Sized {
    /// Appends the encoding.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes the encoding from the front of `input`.
    ///
    /// # Errors
    /// If `input` does not begin with one; how far it was consumed then is not said.
    fn read(input: &mut &[u8]) -> Result<Self, Malformed>;

    /// The encoding as a message of its own, behind a version byte.
    #[must_use]
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.write(&mut out);
        out
    }

    /// Reads a message of its own.
    ///
    /// # Errors
    /// If the bytes are not exactly one encoding of a known version.
    fn decode(mut input: &[u8]) -> Result<Self, Malformed> {
        let version = read_byte(&mut input)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let value = Self::read(&mut input)?;
        if !input.is_empty() {
            return Err(Malformed::LeftOver { bytes: input.len() });
        }
        Ok(value)
    }
}

pub(crate) fn read_varint(input: &mut &[u8]) -> Result<u64, Malformed> {
    let before = *input;
    match decode::u64(before) {
        // The tenth byte has room for one bit; the decoder drops what is above it.
        Ok((_, rest)) if before.len() - rest.len() == 10 && before[9] > 1 => {
            Err(Malformed::Integer)
        }
        Ok((value, rest)) => {
            *input = rest;
            Ok(value)
        }
        Err(decode::Error::Insufficient) => Err(Malformed::Truncated),
        Err(_) => Err(Malformed::Integer),
    }
}

/// Reads a count of what takes at least a byte each, so that it is safe to allocate for.
pub(crate) fn read_count(
    input: &mut &[u8],
    what: &'static str,
    max: usize,
) -> Result<usize, Malformed> {
    let count = usize::try_from(read_varint(input)?).unwrap_or(usize::MAX);
    if count > max {
        return Err(Malformed::OutOfBounds { what });
    }
    if count > input.len() { Err(Malformed::Truncated) } else { Ok(count) }
}

pub(crate) fn read_byte(input: &mut &[u8]) -> Result<u8, Malformed> {
    let (first, rest) = input.split_first().ok_or(Malformed::Truncated)?;
    *input = rest;
    Ok(*first)
}

pub(crate) fn read_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, rest) = input.split_first_chunk::<N>().ok_or(Malformed::Truncated)?;
    *input = rest;
    Ok(*first)
}

/// A value is its length and its bytes.
impl Wire for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.len() as u64);
        out.extend_from_slice(self);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let length = read_count(input, "value", VALUE_BYTES_MAX)?;
        let (value, rest) = input.split_at(length);
        *input = rest;
        Ok(value.to_vec())
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        match read_byte(input)? {
            0 => Ok(None),
            1 => T::read(input).map(Some),
            _ => Err(Malformed::OutOfBounds { what: "kind" }),
        }
    }
}

impl<Id: Wire> Wire for Ballot<Id> {
    fn write(&self, out: &mut Vec<u8>) {
        write_varint(out, self.round);
        self.proposer.write(out);
        out.extend_from_slice(&self.session.to_le_bytes());
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            round: read_varint(input)?,
            proposer: Id::read(input)?,
            session: u64::from_le_bytes(read_array(input)?),
        })
    }
}

impl<Id: Wire, V: Wire> Wire for Accepted<Id, V> {
    fn write(&self, out: &mut Vec<u8>) {
        self.ballot.write(out);
        self.value.write(out);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { ballot: Ballot::read(input)?, value: V::read(input)? })
    }
}

impl<Id: Wire + Copy + Ord, V: Wire> Wire for Acceptor<Id, V> {
    fn write(&self, out: &mut Vec<u8>) {
        self.promised.write(out);
        self.accepted.write(out);
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        let promised: Option<Ballot<Id>> = Option::read(input)?;
        let accepted: Option<Accepted<Id, V>> = Option::read(input)?;
        if accepted.as_ref().map(|accepted| accepted.ballot) > promised {
            return Err(Malformed::OutOfBounds { what: "accepted ballot" });
        }
        Ok(Self { promised, accepted, rules: Rules::default() })
    }
}

impl<Id: Wire, V: Wire> Wire for Request<Id, V> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Prepare { ballot } => {
                out.push(0);
                ballot.write(out);
            }
            Self::Accept { ballot, value, next } => {
                out.push(1);
                ballot.write(out);
                value.write(out);
                next.write(out);
            }
            Self::Read { nonce } => {
                out.push(2);
                out.extend_from_slice(&nonce.to_le_bytes());
            }
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        match read_byte(input)? {
            0 => Ok(Self::Prepare { ballot: Ballot::read(input)? }),
            1 => Ok(Self::Accept {
                ballot: Ballot::read(input)?,
                value: V::read(input)?,
                next: Option::read(input)?,
            }),
            2 => Ok(Self::Read { nonce: u64::from_le_bytes(read_array(input)?) }),
            _ => Err(Malformed::OutOfBounds { what: "kind" }),
        }
    }
}

impl<Id: Wire, V: Wire> Wire for Reply<Id, V> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Promised { ballot, accepted } => {
                out.push(0);
                ballot.write(out);
                accepted.write(out);
            }
            Self::Accepted { ballot, next } => {
                out.push(1);
                ballot.write(out);
                next.write(out);
            }
            Self::State { nonce, accepted } => {
                out.push(2);
                out.extend_from_slice(&nonce.to_le_bytes());
                accepted.write(out);
            }
            Self::Conflict { ballot, promised } => {
                out.push(3);
                ballot.write(out);
                promised.write(out);
            }
            Self::Refused { ballot, refusal } => {
                out.push(4);
                ballot.write(out);
                refusal.write(out);
            }
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        match read_byte(input)? {
            0 => {
                Ok(Self::Promised { ballot: Ballot::read(input)?, accepted: Option::read(input)? })
            }
            1 => Ok(Self::Accepted { ballot: Ballot::read(input)?, next: Option::read(input)? }),
            2 => Ok(Self::State {
                nonce: u64::from_le_bytes(read_array(input)?),
                accepted: Option::read(input)?,
            }),
            3 => {
                Ok(Self::Conflict { ballot: Ballot::read(input)?, promised: Ballot::read(input)? })
            }
            4 => Ok(Self::Refused { ballot: Ballot::read(input)?, refusal: Refusal::read(input)? }),
            _ => Err(Malformed::OutOfBounds { what: "kind" }),
        }
    }
}

impl Wire for Refusal {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::RoundTooHigh { limit } => {
                out.push(0);
                write_varint(out, *limit);
            }
            Self::RoundZero => out.push(1),
            Self::ForeignProposer => out.push(2),
            Self::NextNotAbove => out.push(3),
        }
    }

    fn read(input: &mut &[u8]) -> Result<Self, Malformed> {
        match read_byte(input)? {
            0 => Ok(Self::RoundTooHigh { limit: read_varint(input)? }),
            1 => Ok(Self::RoundZero),
            2 => Ok(Self::ForeignProposer),
            3 => Ok(Self::NextNotAbove),
            _ => Err(Malformed::OutOfBounds { what: "kind" }),
        }
    }
}
