//! Encodings of rows, deltas and partial states (docs/formats.md).
//!
//! Canonical: a value has one encoding, and a decoder refuses what the encoder would not have written.
//! Decoders take bytes from anywhere: they never panic, and never allocate from a declared length.

mod cell;
mod context;
mod delta;
#[cfg(feature = "serde")]
mod message;
mod root;

pub use cell::{decode_cell, encode_cell};
pub use context::{decode_context, encode_context};
pub use delta::{
    decode_contents, decode_delta, decode_partial, encode_contents, encode_delta, encode_partial,
};
pub use root::{decode_root, encode_root};

use std::collections::BTreeMap;

use bytes::Bytes;
use unsigned_varint::{decode, encode};

use crate::address::Address;
use crate::cell::Cell;
use crate::dot::{Actor, Dot};
use crate::kind::Kind;
use crate::stamp::HybridTime;

/// The version that rows and values are written in.
const VERSION: u8 = 1;
/// No count of cells comes near this.
const COUNT_MAX: u64 = 1 << 62;
/// No sequence comes near this: minting stops at 2^60.
const SEQUENCE_MAX: u64 = 1 << 62;

/// Why bytes are not what they should be. Nothing was taken from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("ends too early")]
    Truncated,
    /// They go on after the end.
    #[error("goes on after the end")]
    Trailing,
    /// They are of a version that this node does not know.
    #[error("unknown format version {0}")]
    UnknownVersion(u8),
    /// A tag or flag that this version does not have.
    #[error("unknown {what} {value}")]
    UnknownTag {
        /// Of what.
        what: &'static str,
        /// The value found.
        value: u8,
    },
    /// Not the one encoding of its value, or a value that breaks an invariant.
    #[error("{0} not as an encoder writes it")]
    NotCanonical(&'static str),
}

/// Bytes being decoded, and what is left of them.
pub(crate) struct Reader<'a> {
    source: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Bytes) -> Self {
        Reader { source, rest: source }
    }

    /// A reader that has checked the version byte.
    pub(crate) fn versioned(source: &'a Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(source);
        match reader.byte()? {
            VERSION => Ok(reader),
            version => Err(DecodeError::UnknownVersion(version)),
        }
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let (value, rest) = decode::u64(self.rest).map_err(varint_error)?;
        self.take_varint(rest, 10, 0x01)?;
        Ok(value)
    }

    pub(crate) fn varint_u128(&mut self) -> Result<u128, DecodeError> {
        let (value, rest) = decode::u128(self.rest).map_err(varint_error)?;
        self.take_varint(rest, 19, 0x03)?;
        Ok(value)
    }

    /// Goes past a varint. The library drops bits of a longest one that its type cannot hold, which
    /// would give one value two encodings.
    fn take_varint(
        &mut self,
        rest: &'a [u8],
        bytes_max: usize,
        last_max: u8,
    ) -> Result<(), DecodeError> {
        let taken = &self.rest[..self.rest.len() - rest.len()];
        if taken.len() == bytes_max && taken[bytes_max - 1] > last_max {
            return Err(DecodeError::NotCanonical("varint"));
        }
        self.rest = rest;
        Ok(())
    }

    /// A length and so many bytes, shared with the source. The length is checked against what is there.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = usize::try_from(self.varint()?).map_err(|_too_long| DecodeError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(self.source.slice_ref(bytes))
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::UnknownTag { what, value }),
        }
    }

    pub(crate) fn flags(&mut self, what: &'static str, known: u8) -> Result<u8, DecodeError> {
        let value = self.byte()?;
        if value & !known == 0 { Ok(value) } else { Err(DecodeError::UnknownTag { what, value }) }
    }

    pub(crate) fn dot(&mut self) -> Result<Dot, DecodeError> {
        let actor = Actor(self.u64()?);
        match self.varint()? {
            sequence @ 1..=SEQUENCE_MAX => Ok(Dot { actor, sequence }),
            _ => Err(DecodeError::NotCanonical("sequence")),
        }
    }

    pub(crate) fn count(&mut self) -> Result<u64, DecodeError> {
        let count = self.varint()?;
        if count <= COUNT_MAX { Ok(count) } else { Err(DecodeError::NotCanonical("count")) }
    }

    pub(crate) fn time(&mut self) -> Result<HybridTime, DecodeError> {
        Ok(HybridTime(self.u64()?))
    }

    pub(crate) fn kind(&mut self) -> Result<Kind, DecodeError> {
        let value = self.byte()?;
        Kind::from_byte(value).ok_or(DecodeError::UnknownTag { what: "kind of cell", value })
    }

    pub(crate) fn address(&mut self) -> Result<Address, DecodeError> {
        let address = Address { kind: self.kind()?, path: self.bytes()? };
        let sound = address.is_sound().then_some(address);
        sound.ok_or(DecodeError::NotCanonical("path of the only cell of a kind"))
    }

    /// A sorted list of cells with their addresses.
    pub(crate) fn cells(&mut self) -> Result<BTreeMap<Address, Cell>, DecodeError> {
        let mut cells = BTreeMap::new();
        for _ in 0..self.varint()? {
            let address = self.address()?;
            let cell = self.cell(address.kind)?;
            if cells.last_key_value().is_some_and(|(last, _)| *last >= address) {
                return Err(DecodeError::NotCanonical("order of cells"));
            }
            cells.insert(address, cell);
        }
        Ok(cells)
    }
}

fn varint_error(error: decode::Error) -> DecodeError {
    if matches!(error, decode::Error::Insufficient) {
        DecodeError::Truncated
    } else {
        DecodeError::NotCanonical("varint")
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(encode::u64(value, &mut encode::u64_buffer()));
}

pub(crate) fn put_varint_u128(out: &mut Vec<u8>, value: u128) {
    out.extend_from_slice(encode::u128(value, &mut encode::u128_buffer()));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_dot(out: &mut Vec<u8>, dot: Dot) {
    out.extend_from_slice(&dot.actor.0.to_le_bytes());
    put_varint(out, dot.sequence);
}

pub(crate) fn put_address(out: &mut Vec<u8>, address: &Address) {
    out.push(address.kind as u8);
    put_bytes(out, &address.path);
}

pub(crate) fn put_cells<'a>(
    out: &mut Vec<u8>,
    cells: impl ExactSizeIterator<Item = (&'a Address, &'a Cell)>,
) {
    put_varint(out, cells.len() as u64);
    for (address, cell) in cells {
        put_address(out, address);
        cell::put_cell(out, cell);
    }
}
