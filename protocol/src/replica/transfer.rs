//! Transfers: all cells of another replica's key, joined in parts, with how far they have come in the root.

use std::collections::BTreeMap;
use std::ops::Bound;

use coterie_crdt::{
    Address, Context, Partial, TransferError, begin_transfer, complete_transfer, join_transferred,
};
use coterie_wire::peer::sync::Cursor;
use coterie_wire::{Key, Slice};

use super::{Stored, large, write};
use crate::effects::Effects;
use crate::lane::Shared;
use crate::rows::address::{self, KeyPrefix};
use crate::rows::{Direction, ReadError, Rows, Space, fetch};

/// The most cells of a part, of either side: with what is derived from them, they are within what one event
/// may touch.
pub(super) const PART: usize = 240;

/// Reads what the next part of the cells in `chunk`, which speaks for all of them up to `upto`, is joined with.
///
/// # Errors
/// [`ReadError`]
pub(crate) fn fetch(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    chunk: &Partial,
    upto: &Address,
) -> Result<Stored, ReadError> {
    let root = fetch::root(rows, prefix)?;
    let cursor = root.transfer.as_ref().and_then(|transfer| transfer.cursor.clone());
    let mut range = large::cells_after(prefix, cursor.as_ref());
    if !upto.kind.lives_in_root() {
        range.to = Some(address::after(&prefix.cell(upto)));
    }
    // More than a part tells that not all is read.
    let mine = if range.is_empty() {
        Vec::new()
    } else {
        rows.scan(Space::Rows, &range, Direction::Forward, PART + 1)?
    };
    let mine = mine.iter().map(|(row, value)| super::stored::decode(prefix, row, value));
    let mine = mine.collect::<Result<BTreeMap<_, _>, _>>()?;
    let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
    let theirs = chunk.cells().range((after, Bound::Unbounded)).take(PART);
    let theirs: Vec<&Address> = theirs.map(|(address, _)| address).collect();
    Stored::under(rows, prefix, root, mine, theirs)
}

/// Joins the next part of a chunk into what [`fetch`] has read: how far that comes, or `None` once it is all.
///
/// Where none is under way a transfer begins with the first chunk, of a replica that had seen `sender` before its
/// first row was read. Its context is claimed with the last row, no sooner (invariant 5).
///
/// # Errors
/// [`TransferError`]; nothing is changed then.
///
/// # Panics
/// If the lane does not own the slice.
pub(crate) fn join(
    shared: &mut Shared,
    (slice, key): (Slice, &Key),
    stored: &mut Stored,
    (sender, begins): (&Context, bool),
    (chunk, upto): (&Partial, &Address),
    effects: &mut Effects,
) -> Result<Option<Cursor>, TransferError> {
    if begins && stored.root().transfer.is_none() {
        let begun = begin_transfer(&stored.state, sender);
        write(shared, slice, key, stored, begun, effects);
    }
    // One of another sender may have been under way: it is gone on with, where this chunk can.
    let joined = join_transferred(&stored.state, chunk, upto, PART)?;
    write(shared, slice, key, stored, joined, effects);
    let transfer = stored.root().transfer.expect("it is under way");
    if transfer.is_at_end() {
        let completed = complete_transfer(&stored.state);
        write(shared, slice, key, stored, completed, effects);
        return Ok(None);
    }
    Ok(Some(Cursor { after: transfer.cursor }))
}
