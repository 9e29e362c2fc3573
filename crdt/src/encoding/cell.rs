//! The encoding of cells.

use bytes::Bytes;

use crate::cell::Cell;
use crate::dot::Actor;
use crate::encoding::{
    DecodeError, Reader, VERSION, put_bytes, put_dot, put_varint, put_varint_u128,
};
use crate::kind::Kind;
use crate::payload::{Payload, Score};
use crate::tally::{Share, Tally};

/// Amounts that are all multiples of this, as those of integers are, are stored divided by it.
const WHOLE: u128 = 10u128.pow(17);

/// The row of a cell outside the root.
///
/// # Panics
/// If the cell is empty: such a row is deleted, not written.
pub fn encode_cell(cell: &Cell) -> Vec<u8> {
    assert!(!cell.is_empty(), "empty cells are not stored");
    let mut out = Vec::with_capacity(1 + cell_bytes(cell));
    out.push(VERSION);
    put_cell(&mut out, cell);
    out
}

/// Reads the row of a cell of `kind`.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_cell(kind: Kind, bytes: &Bytes) -> Result<Cell, DecodeError> {
    let mut reader = Reader::versioned(bytes)?;
    let cell = reader.cell(kind)?;
    reader.finish()?;
    if cell.is_empty() { Err(DecodeError::NotCanonical("empty cell")) } else { Ok(cell) }
}

/// As many bytes as a cell takes, and few more, so that what it is written into need not grow.
pub(super) fn cell_bytes(cell: &Cell) -> usize {
    let dots = cell.dots().iter().map(|(_, payload)| match payload {
        Payload::Value(_, value) => DOT_BYTES + 4 + value.len(),
        Payload::Present
        | Payload::Removed
        | Payload::Score(..)
        | Payload::Rank(_)
        | Payload::Deadline(..) => DOT_BYTES + 8,
    });
    4 + dots.sum::<usize>() + cell.tallies().len() * TALLY_BYTES
}

/// A dot whose sequence is below 2^28, and the kind and time of what it wrote.
const DOT_BYTES: usize = 8 + 4 + 1 + 8;

/// A tally of amounts that are integers of up to 32 bits, with its share.
const TALLY_BYTES: usize = 8 + 2 + 4 * 6;

pub(super) fn put_cell(out: &mut Vec<u8>, cell: &Cell) {
    put_varint(out, cell.dots().len() as u64);
    for (dot, payload) in cell.dots() {
        put_dot(out, *dot);
        put_payload(out, payload);
    }
    put_varint(out, cell.tallies().len() as u64);
    for (share, tally) in cell.tallies() {
        out.extend_from_slice(&share.actor.0.to_le_bytes());
        put_varint(out, share.ordinal.into());
        put_tally(out, tally);
    }
}

fn put_payload(out: &mut Vec<u8>, payload: &Payload) {
    match payload {
        Payload::Present => out.push(0),
        Payload::Removed => out.push(1),
        Payload::Value(time, value) => {
            out.push(2);
            out.extend_from_slice(&time.0.to_le_bytes());
            put_bytes(out, value);
        }
        Payload::Score(time, score) => {
            out.push(3);
            out.extend_from_slice(&time.0.to_le_bytes());
            out.extend_from_slice(&score.get().to_le_bytes());
        }
        Payload::Rank(rank) => out.extend_from_slice(&[4, *rank]),
        Payload::Deadline(time, Some(deadline)) => {
            out.push(5);
            out.extend_from_slice(&time.0.to_le_bytes());
            out.extend_from_slice(&deadline.to_le_bytes());
        }
        Payload::Deadline(time, None) => {
            out.push(6);
            out.extend_from_slice(&time.0.to_le_bytes());
        }
    }
}

fn put_tally(out: &mut Vec<u8>, tally: &Tally) {
    let amounts = [tally.p, tally.n, tally.p0, tally.n0];
    let whole = amounts.iter().all(|amount| amount % WHOLE == 0);
    let mut flags = u8::from(whole);
    for (bit, amount) in amounts.iter().enumerate() {
        flags |= u8::from(*amount != 0) << (bit + 1);
    }
    out.push(flags);
    for amount in amounts.into_iter().filter(|&amount| amount != 0) {
        put_varint_u128(out, if whole { amount / WHOLE } else { amount });
    }
}

impl Reader<'_> {
    pub(super) fn cell(&mut self, kind: Kind) -> Result<Cell, DecodeError> {
        let mut dots = smallvec::SmallVec::<[_; 1]>::new();
        for _ in 0..self.varint()? {
            let dot = self.dot()?;
            let payload = self.payload()?;
            if !kind.admits(&payload) {
                return Err(DecodeError::NotCanonical("payload of this kind of cell"));
            }
            dots.push((dot, payload));
        }
        let mut tallies = smallvec::SmallVec::<[_; 0]>::new();
        for _ in 0..self.varint()? {
            let actor = Actor(self.u64()?);
            let ordinal = u32::try_from(self.varint()?)
                .map_err(|_too_large| DecodeError::NotCanonical("ordinal"))?;
            let tally = self.tally()?;
            if !kind.has_tallies() || !tally.is_sound(kind.unit()) {
                return Err(DecodeError::NotCanonical("tally"));
            }
            tallies.push((Share { actor, ordinal }, tally));
        }
        Cell::from_parts(dots, tallies).ok_or(DecodeError::NotCanonical("order in a cell"))
    }

    pub(super) fn score(&mut self) -> Result<Score, DecodeError> {
        let number = f64::from_le_bytes(self.array()?);
        let score = Score::new(number).filter(|s| s.get().to_bits() == number.to_bits());
        score.ok_or(DecodeError::NotCanonical("score"))
    }

    fn payload(&mut self) -> Result<Payload, DecodeError> {
        match self.byte()? {
            0 => Ok(Payload::Present),
            1 => Ok(Payload::Removed),
            2 => Ok(Payload::Value(self.time()?, self.bytes()?)),
            3 => Ok(Payload::Score(self.time()?, self.score()?)),
            4 => match self.byte()? {
                rank @ 1..=51 => Ok(Payload::Rank(rank)),
                _ => Err(DecodeError::NotCanonical("rank")),
            },
            5 => Ok(Payload::Deadline(self.time()?, Some(self.u64()?))),
            6 => Ok(Payload::Deadline(self.time()?, None)),
            value => Err(DecodeError::UnknownTag { what: "payload", value }),
        }
    }

    fn tally(&mut self) -> Result<Tally, DecodeError> {
        let flags = self.flags("tally", 0b1_1111)?;
        let unit = if flags & 1 == 1 { WHOLE } else { 1 };
        let mut amounts = [0u128; 4];
        for (bit, amount) in amounts.iter_mut().enumerate() {
            if flags >> (bit + 1) & 1 == 1 {
                let stored = self.varint_u128()?;
                *amount = stored.checked_mul(unit).filter(|&amount| amount != 0).ok_or(TALLY)?;
            }
        }
        let [p, n, p0, n0] = amounts;
        let tally = Tally { p, n, p0, n0 };
        let whole = amounts.iter().all(|amount| amount % WHOLE == 0);
        if whole == (unit == WHOLE) { Ok(tally) } else { Err(TALLY) }
    }
}

const TALLY: DecodeError = DecodeError::NotCanonical("tally");
