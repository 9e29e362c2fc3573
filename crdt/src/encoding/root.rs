//! The encoding of roots.

use bytes::Bytes;

use crate::address::Address;
use crate::cell::Cell;
use crate::encoding::cell::{cell_bytes, put_cell};
use crate::encoding::context::context_bytes;
use crate::encoding::{DecodeError, Reader, VERSION, encode_context, put_address, put_varint};
use crate::kind::Kind;
use crate::recount::Recount;
use crate::root::{Counts, PendingDelete, Root};
use crate::transfer::Transfer;

const REGISTER: u8 = 1;
const EXPIRY: u8 = 1 << 1;
const COUNTS: u8 = 1 << 2;
const PENDING: u8 = 1 << 3;
const TRANSFER: u8 = 1 << 4;
const RECOUNT: u8 = 1 << 5;
/// Counts of fields with a deadline follow: where there are any.
const DEADLINES: u8 = 1 << 6;
const KNOWN: u8 = (1 << 7) - 1;

/// The root row of a key.
pub fn encode_root(root: &Root) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + root_bytes(root));
    out.push(VERSION);
    put_root(&mut out, root);
    out
}

/// Reads the root row of a key.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_root(bytes: &Bytes) -> Result<Root, DecodeError> {
    let mut reader = Reader::versioned(bytes)?;
    let root = reader.root()?;
    reader.finish()?;
    Ok(root)
}

/// About as many bytes as a root takes in which nothing is under way.
fn root_bytes(root: &Root) -> usize {
    let cells = [&root.register, &root.expiry].into_iter().filter(|cell| !cell.is_empty());
    let counted = root.counts != Counts::default();
    1 + context_bytes(&root.context)
        + cells.map(cell_bytes).sum::<usize>()
        + usize::from(counted) * 56
}

pub(super) fn put_root(out: &mut Vec<u8>, root: &Root) {
    let counted = root.dots_sum != 0 || root.tallies_sum != 0 || root.counts != Counts::default();
    let deadlines = has_deadlines(root);
    let flags = [
        (!root.register.is_empty(), REGISTER),
        (!root.expiry.is_empty(), EXPIRY),
        (counted, COUNTS),
        (root.pending.is_some(), PENDING),
        (root.transfer.is_some(), TRANSFER),
        (root.recount.is_some(), RECOUNT),
        (deadlines, DEADLINES),
    ];
    out.push(flags.into_iter().map(|(set, flag)| u8::from(set) * flag).sum());
    encode_context(out, &root.context);
    for cell in [&root.register, &root.expiry] {
        if !cell.is_empty() {
            put_cell(out, cell);
        }
    }
    if counted {
        put_totals(out, &root.counts, [root.dots_sum, root.tallies_sum], deadlines);
    }
    if let Some(pending) = &root.pending {
        encode_context(out, &pending.settled);
        encode_context(out, &pending.counting);
        put_cursor(out, pending.cursor.as_ref());
    }
    if let Some(transfer) = &root.transfer {
        encode_context(out, &transfer.context);
        put_cursor(out, transfer.cursor.as_ref());
    }
    if let Some(Recount { cursor, counts, dots_sum, tallies_sum }) = root.recount.as_deref() {
        put_cursor(out, cursor.as_ref());
        put_totals(out, counts, [*dots_sum, *tallies_sum], deadlines);
    }
}

/// Whether the root counts a field with a deadline, or a recount of it does.
fn has_deadlines(root: &Root) -> bool {
    let recounted = root.recount.as_ref().is_some_and(|recount| recount.counts.deadlined > 0);
    root.counts.deadlined > 0 || recounted
}

fn put_totals(out: &mut Vec<u8>, counts: &Counts, sums: [u128; 2], deadlines: bool) {
    counts.numbers().for_each(|number| put_varint(out, number));
    if deadlines {
        put_varint(out, counts.deadlined);
    }
    sums.into_iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()));
}

fn put_cursor(out: &mut Vec<u8>, cursor: Option<&Address>) {
    out.push(u8::from(cursor.is_some()));
    if let Some(cursor) = cursor {
        put_address(out, cursor);
    }
}

impl Reader<'_> {
    pub(super) fn root(&mut self) -> Result<Root, DecodeError> {
        let flags = self.flags("root flags", KNOWN)?;
        let deadlines = flags & DEADLINES != 0;
        let mut root = Root { context: self.context()?, ..Root::default() };
        root.register = self.resident(flags & REGISTER != 0, Kind::Register)?;
        root.expiry = self.resident(flags & EXPIRY != 0, Kind::Expiry)?;
        if flags & COUNTS != 0 {
            (root.counts, root.dots_sum, root.tallies_sum) = self.totals(deadlines)?;
            if root.dots_sum == 0 && root.tallies_sum == 0 && root.counts == Counts::default() {
                return Err(DecodeError::NotCanonical("counts of nothing"));
            }
        }
        if flags & PENDING != 0 {
            let (settled, counting) = (self.context()?, self.context()?);
            let cursor = self.cursor()?;
            if !root.context.covers(&settled) || !root.context.covers(&counting) {
                return Err(DecodeError::NotCanonical("deletion outside the context"));
            }
            root.pending = Some(Box::new(PendingDelete { settled, counting, cursor }));
        }
        if flags & TRANSFER != 0 {
            let (context, cursor) = (self.context()?, self.cursor()?);
            root.transfer = Some(Box::new(Transfer { context, cursor }));
        }
        if flags & RECOUNT != 0 {
            let cursor = self.cursor()?;
            let (counts, dots_sum, tallies_sum) = self.totals(deadlines)?;
            root.recount = Some(Box::new(Recount { cursor, counts, dots_sum, tallies_sum }));
        }
        if deadlines != has_deadlines(&root) {
            return Err(DecodeError::NotCanonical("no deadlines"));
        }
        let seen = |address: Address| {
            let mut dots = root.resident(address.kind).dots().iter();
            dots.all(|(dot, _)| root.knows(&address, *dot))
        };
        if seen(Address::REGISTER) && seen(Address::EXPIRY) {
            Ok(root)
        } else {
            Err(DecodeError::NotCanonical("dot outside the context"))
        }
    }

    fn totals(&mut self, deadlines: bool) -> Result<(Counts, u128, u128), DecodeError> {
        let mut counts = Counts::from_numbers(|| self.count())?;
        if deadlines {
            counts.deadlined = self.count()?;
        }
        Ok((counts, self.u128()?, self.u128()?))
    }

    fn cursor(&mut self) -> Result<Option<Address>, DecodeError> {
        if self.flag("cursor")? { Ok(Some(self.address()?)) } else { Ok(None) }
    }

    fn resident(&mut self, there: bool, kind: Kind) -> Result<Cell, DecodeError> {
        if !there {
            return Ok(Cell::new());
        }
        let cell = self.cell(kind)?;
        if cell.is_empty() { Err(DecodeError::NotCanonical("empty cell")) } else { Ok(cell) }
    }
}
