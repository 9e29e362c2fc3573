//! What an event has read of a key.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::encoding::decode_cell;
use coterie_crdt::{Address, Cell, Cells, Footprint, Root, State};

use coterie_wire::peer::write::Change;

use super::large::Index;
use super::needs;
use crate::rows::address::{Derived, KeyPrefix};
use crate::rows::lazy::Recorded;
use crate::rows::{Direction, KeyRange, ReadError, Rows, Space, fetch};

/// What an event has read of a key: its root, and the rows of a footprint.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The rows. One that is not here was not read, or is not there.
    pub state: State,
    /// How many bytes they take as stored.
    pub bytes: usize,
    pub(super) index: Option<Index>,
    /// Whether it was looked for: one that was not cannot follow a change.
    pub(super) index_was_read: bool,
}

impl Stored {
    /// Reads the root and the rows of a footprint; its derived needs are not looked at.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::TooMany`] where it is more than `cells_max` cells.
    pub fn fetch(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        footprint: &Footprint,
        cells_max: usize,
    ) -> Result<Stored, ReadError> {
        let root = fetch::root(rows, prefix)?;
        Stored::fetch_under(rows, prefix, root, footprint, cells_max)
    }

    /// As [`Stored::fetch`], where the root is at hand.
    ///
    /// # Errors
    /// As [`Stored::fetch`].
    pub fn fetch_under(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        root: Root,
        footprint: &Footprint,
        cells_max: usize,
    ) -> Result<Stored, ReadError> {
        let (cells, bytes) = cells(rows, prefix, &root, footprint, cells_max)?;
        let written = footprint.cells.iter();
        let stored = Stored::under(rows, prefix, root, cells, written)?;
        Ok(Stored { bytes, ..stored })
    }

    /// Reads what joining `change` has to see.
    ///
    /// # Errors
    /// As [`Stored::fetch`].
    pub fn fetch_to_join(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        change: &Change,
        cells_max: usize,
    ) -> Result<Stored, ReadError> {
        let root = fetch::root(rows, prefix)?;
        let (cells, _) = cells(rows, prefix, &root, &needs(change), cells_max)?;
        match change {
            Change::Delta(delta) => {
                let written = delta.cells().iter().map(|(address, _)| address);
                Stored::under(rows, prefix, root, cells, written)
            }
            Change::Partial(partial) | Change::Whole(partial) => {
                Stored::under(rows, prefix, root, cells, partial.cells().keys())
            }
        }
    }

    /// What an evaluation has seen, to join into what it came to.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn fetch_recorded(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        recorded: &Recorded,
    ) -> Result<Stored, ReadError> {
        let (touched, bytes) = (recorded.touched(), recorded.bytes());
        let (root, mut cells) = recorded.clone().into_rows();
        cells.retain(|address, _| touched.contains(address));
        let stored = Stored::under(rows, prefix, root, cells, &touched)?;
        Ok(Stored { bytes, ..stored })
    }

    /// Cells at hand, with what changing them, or some `written` beside, has to see.
    pub(crate) fn under<'a>(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        root: Root,
        cells: BTreeMap<Address, Cell>,
        written: impl IntoIterator<Item = &'a Address>,
    ) -> Result<Stored, ReadError> {
        let written: Vec<&Address> = written.into_iter().collect();
        let index = Index::fetch(rows, prefix, &root, written.into_iter().chain(cells.keys()))?;
        Ok(Stored { state: State::from_rows(root, cells), bytes: 0, index, index_was_read: true })
    }

    /// The root; an empty one where the key has no rows.
    #[must_use]
    pub fn root(&self) -> Root {
        self.state.root().cloned().unwrap_or_default()
    }
}

/// A small key, all of whose rows are at hand.
impl From<State> for Stored {
    fn from(state: State) -> Self {
        Stored { state, bytes: 0, index: None, index_was_read: false }
    }
}

/// The cells of a footprint, and how many bytes they take.
pub(super) fn cells(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    root: &Root,
    footprint: &Footprint,
    cells_max: usize,
) -> Result<(BTreeMap<Address, Cell>, usize), ReadError> {
    let mut found = Reading { cells: BTreeMap::new(), bytes: 0, cells_left: cells_max };
    let outside = footprint.cells.iter().filter(|address| !address.kind.lives_in_root());
    for address in outside {
        found.single(rows, prefix, address.clone())?;
    }
    for range in &footprint.ranges {
        found.range(rows, prefix, &prefix.range(range))?;
    }
    // Counted in the root, so that no mark is read in vain.
    if footprint.tallied && root.counts.tallied > 0 {
        for address in tallied(rows, prefix, root.counts.tallied, found.cells_left)? {
            found.single(rows, prefix, address)?;
        }
    }
    Ok((found.cells, found.bytes))
}

/// A row of a key outside the root.
pub(crate) fn decode(
    prefix: &KeyPrefix,
    row: &Bytes,
    value: &Bytes,
) -> Result<(Address, Cell), ReadError> {
    let address = prefix.parse_cell(row).ok_or(ReadError::DamagedAddress)?;
    let cell = decode_cell(address.kind, value)?;
    Ok((address, cell))
}

/// The cells that a fetch has found so far.
struct Reading {
    cells: BTreeMap<Address, Cell>,
    bytes: usize,
    cells_left: usize,
}

impl Reading {
    fn single(
        &mut self,
        rows: &impl Rows,
        prefix: &KeyPrefix,
        address: Address,
    ) -> Result<(), ReadError> {
        if self.cells.contains_key(&address) {
            return Ok(());
        }
        self.cells_left = self.cells_left.checked_sub(1).ok_or(ReadError::TooMany)?;
        if let Some(row) = rows.get(Space::Rows, &prefix.cell(&address))? {
            self.bytes += address.path.len() + row.len();
            let cell = decode_cell(address.kind, &row)?;
            self.cells.insert(address, cell);
        }
        Ok(())
    }

    fn range(
        &mut self,
        rows: &impl Rows,
        prefix: &KeyPrefix,
        range: &KeyRange,
    ) -> Result<(), ReadError> {
        if range.is_empty() {
            return Ok(());
        }
        let found = rows.scan(Space::Rows, range, Direction::Forward, self.cells_left + 1)?;
        self.cells_left = self.cells_left.checked_sub(found.len()).ok_or(ReadError::TooMany)?;
        for (row, cell) in found {
            self.bytes += row.len() - prefix.bytes().len() + cell.len();
            self.cells.extend([decode(prefix, &row, &cell)?]);
        }
        Ok(())
    }
}

fn tallied(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    count: u64,
    cells_left: usize,
) -> Result<Vec<Address>, ReadError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > cells_left / 2 {
        return Err(ReadError::TooMany);
    }
    let range = KeyRange::prefix(prefix.derived(Derived::Tallied, &[]));
    let marks = rows.scan(Space::Derived, &range, Direction::Forward, count)?;
    let address = |(mark, _): (Bytes, Bytes)| prefix.parse_tallied(&mark);
    marks.into_iter().map(|mark| address(mark).ok_or(ReadError::DamagedAddress)).collect()
}
