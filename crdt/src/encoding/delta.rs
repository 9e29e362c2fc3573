//! The encodings of deltas, partial states and contents.

use bytes::Bytes;

use crate::address::AddressRange;
use crate::cells::Cells;
use crate::delta::Delta;
use crate::encoding::cell::cell_bytes;
use crate::encoding::context::context_bytes;
use crate::encoding::root::put_root;
use crate::encoding::{
    DecodeError, Reader, VERSION, encode_context, put_address, put_bytes, put_cells, put_varint,
};
use crate::operation::{Contents, Item};
use crate::partial::Partial;

/// A delta as it crosses the wire and is kept in hints.
pub fn encode_delta(delta: &Delta) -> Vec<u8> {
    let cells =
        delta.cells().iter().map(|(address, cell)| 4 + address.path.len() + cell_bytes(cell));
    let mut out = Vec::with_capacity(4 + context_bytes(&delta.context) + cells.sum::<usize>());
    out.extend([VERSION, u8::from(delta.whole.is_some())]);
    encode_context(&mut out, &delta.context);
    if let Some(whole) = &delta.whole {
        encode_context(&mut out, whole);
    }
    put_cells(&mut out, delta.cells().iter().map(|(address, cell)| (address, cell)));
    out
}

/// Reads a delta.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_delta(bytes: &Bytes) -> Result<Delta, DecodeError> {
    let mut reader = Reader::versioned(bytes)?;
    let has_whole = reader.flags("delta flags", 1)? == 1;
    let context = reader.context()?;
    let whole = if has_whole { Some(reader.context()?) } else { None };
    let cells = reader.cells()?;
    reader.finish()?;
    Delta::from_parts(context, whole, cells)
        .ok_or(DecodeError::NotCanonical("delta with dots outside its context"))
}

/// A partial state as it crosses the wire.
pub fn encode_partial(partial: &Partial) -> Vec<u8> {
    let tallies = partial.tallies();
    let flags = u8::from(partial.has_exact_counts())
        | u8::from(tallies.is_some()) << 1
        | u8::from(partial.is_transferring()) << 2;
    let mut out = vec![VERSION, flags];
    put_root(&mut out, partial.merged_root());
    put_varint(&mut out, partial.ranges().len() as u64);
    for range in partial.ranges() {
        out.push(range.kind as u8);
        put_bytes(&mut out, &range.from);
        out.push(u8::from(range.to.is_some()));
        if let Some(to) = &range.to {
            put_bytes(&mut out, to);
        }
    }
    put_cells(&mut out, partial.cells().iter());
    if let Some(tallies) = tallies {
        put_cells(&mut out, tallies.iter());
    }
    out
}

/// Reads a partial state.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_partial(bytes: &Bytes) -> Result<Partial, DecodeError> {
    let mut reader = Reader::versioned(bytes)?;
    let flags = reader.flags("partial state flags", 0b111)?;
    let root = reader.root()?;
    let mut ranges = Vec::new();
    for _ in 0..reader.varint()? {
        let (kind, from) = (reader.kind()?, reader.bytes()?);
        let to = if reader.flag("end of a range")? { Some(reader.bytes()?) } else { None };
        ranges.push(AddressRange { kind, from, to });
    }
    let cells = reader.cells()?;
    let tallies = if flags & 0b10 != 0 { Some(reader.cells()?) } else { None };
    reader.finish()?;
    Partial::from_parts(root, cells, ranges, tallies, flags & 1 != 0, flags & 0b100 != 0)
        .ok_or(DecodeError::NotCanonical("partial state"))
}

/// Contents of a key on their way to another.
pub fn encode_contents(contents: &Contents) -> Vec<u8> {
    let mut out = vec![VERSION, u8::from(contents.deadline.is_some())];
    if let Some(deadline) = contents.deadline {
        out.extend_from_slice(&deadline.to_le_bytes());
    }
    put_varint(&mut out, contents.cells.len() as u64);
    for (address, item) in &contents.cells {
        put_address(&mut out, address);
        match item {
            Item::Present => out.push(0),
            Item::Value(value) => {
                out.push(2);
                put_bytes(&mut out, value);
            }
            Item::Score(score) => {
                out.push(3);
                out.extend_from_slice(&score.get().to_le_bytes());
            }
            Item::Rank(rank) => out.extend_from_slice(&[4, *rank]),
            Item::ValueUntil(value, deadline) => {
                out.push(5);
                put_bytes(&mut out, value);
                out.extend_from_slice(&deadline.to_le_bytes());
            }
        }
    }
    out
}

/// Reads contents.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_contents(bytes: &Bytes) -> Result<Contents, DecodeError> {
    let mut reader = Reader::versioned(bytes)?;
    let deadline = if reader.flag("deadline")? { Some(reader.u64()?) } else { None };
    let mut cells: Vec<(_, Item)> = Vec::new();
    for _ in 0..reader.varint()? {
        let address = reader.address()?;
        let item = match reader.byte()? {
            0 => Item::Present,
            2 => Item::Value(reader.bytes()?),
            3 => Item::Score(reader.score()?),
            4 => Item::Rank(reader.byte()?),
            5 => Item::ValueUntil(reader.bytes()?, reader.u64()?),
            value => return Err(DecodeError::UnknownTag { what: "item", value }),
        };
        if !item.fits(address.kind) || cells.last().is_some_and(|(last, _)| *last >= address) {
            return Err(DecodeError::NotCanonical("item"));
        }
        cells.push((address, item));
    }
    reader.finish()?;
    Ok(Contents { cells, deadline })
}
