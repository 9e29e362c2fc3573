//! Chunks: all cells of a key in order, as they are read and joined.

use std::collections::BTreeMap;

use coterie_crdt::{Address, Context, Footprint, Partial, State, TransferError};
use coterie_wire::Key;
use coterie_wire::Slice;
use coterie_wire::peer::sync::{Chunk, Cursor};

use super::cells;
use super::event::Event;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::{self, Stored, large, transfer};
use crate::rows::address::KeyPrefix;
use crate::rows::{Direction, NotResident, ReadError, Rows, Space, fetch};

/// Rows read for one event.
const ROWS_MAX: usize = 768;

/// Rows read at a time: values may be large, and what a chunk has no room for is read in vain.
const PAGE: usize = 64;

/// A chunk carries about so many bytes of rows.
const CHUNK_BYTES: usize = 128 << 10;

/// Reads the cells of a key after one; `None` where they are damaged (invariant 16).
pub(super) fn read(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    after: Option<&Address>,
) -> Result<Option<Box<Chunk>>, NotResident> {
    let read = || -> Result<Chunk, ReadError> {
        let root = fetch::root(rows, prefix)?;
        let (mut cells, mut bytes, mut ended) = (BTreeMap::new(), 0, false);
        let mut last = after.cloned();
        while !ended && bytes < CHUNK_BYTES && cells.len() + PAGE <= ROWS_MAX {
            let range = large::cells_after(prefix, last.as_ref());
            let page = rows.scan(Space::Rows, &range, Direction::Forward, PAGE)?;
            ended = page.len() < PAGE;
            for (row, value) in page {
                if bytes >= CHUNK_BYTES {
                    ended = false;
                    break;
                }
                let (address, cell) = replica::decode_cell_row(prefix, &row, &value)?;
                bytes += address.path.len() + value.len();
                last = Some(address.clone());
                cells.insert(address, cell);
            }
        }
        let upto = last.filter(|_| !ended).unwrap_or(Address::EXPIRY);
        let state = State::from_rows(root, cells);
        let partial = Partial::extract(&state, &Footprint::between(after, &upto));
        Ok(Chunk { after: after.cloned(), upto, cells: Box::new(partial) })
    };
    Ok(cells::now(read())?.map(Box::new))
}

/// A chunk that is being joined, some rows at a time.
#[derive(Debug)]
pub(super) struct Receiving {
    chunk: Chunk,
    /// What the sender had seen before it read the first of its cells.
    sender: Context,
}

/// What joining some rows of a chunk came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// More of the chunk is to be joined.
    Part,
    /// The next chunk follows after the cursor; `None` once all cells are here.
    All(Option<Cursor>),
    /// This chunk cannot be joined: another transfer stands in its way, or rows are damaged.
    Not,
}

impl Receiving {
    pub(super) fn new(chunk: Chunk, sender: Context) -> Self {
        Receiving { chunk, sender }
    }

    /// Reads what the next rows are joined with.
    pub(super) fn read(
        &self,
        rows: &impl Rows,
        prefix: &KeyPrefix,
    ) -> Result<Option<Box<Stored>>, NotResident> {
        let Chunk { upto, cells, .. } = &self.chunk;
        Ok(cells::now(transfer::fetch(rows, prefix, cells, upto))?.map(Box::new))
    }

    /// Joins them.
    pub(super) fn take(
        &self,
        shared: &mut Shared,
        (slice, key): (Slice, &Key),
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) -> Received {
        let Some(mut stored) = stored else { return Received::Not };
        let Chunk { after, upto, cells } = &self.chunk;
        let (sender, chunk) = ((&self.sender, after.is_none()), (&**cells, upto));
        note(slice, key, true, effects);
        match transfer::join(shared, (slice, key), &mut stored, sender, chunk, effects) {
            Ok(Some(cursor)) if cursor.after.as_ref().is_none_or(|after| after < upto) => {
                Received::Part
            }
            Ok(cursor) => Received::All(cursor),
            // Another session has brought these already: it goes on where that is.
            Err(TransferError::NotNext) => {
                let after = stored.root().transfer.and_then(|transfer| transfer.cursor);
                if after == self.chunk.after {
                    Received::Not
                } else {
                    Received::All(Some(Cursor { after }))
                }
            }
            Err(TransferError::NotUnderWay | TransferError::TooOld) => Received::Not,
        }
    }
}

/// Notes that a transfer is under way; `moved` where it has just gone on.
pub(super) fn note(slice: Slice, key: &Key, moved: bool, effects: &mut Effects) {
    let event = Event::Transfer { slice, key: key.clone(), moved };
    effects.lane(After::Written, crate::Event::Sync(event));
}
