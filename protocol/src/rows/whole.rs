//! A whole key in memory, if it is small enough.

use std::collections::BTreeMap;

use coterie_crdt::encoding::decode_cell;
use coterie_crdt::{Root, State};

use super::address::{KeyPrefix, KeyRow, parse};
use super::fetch::{self, ReadError};
use super::{Direction, Rows, Space};

/// The most rows beside the root that a key is handled whole with: in one event and one message.
pub const WHOLE_ROWS_MAX: usize = 512;

/// The most bytes of such rows.
pub const WHOLE_BYTES_MAX: usize = 256 << 10;

/// A key as far as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// All rows of it; empty where there is no such key.
    Small(State),
    /// The root only: there is more than one event should touch.
    Large(Root),
}

impl Whole {
    /// The root.
    #[must_use]
    pub fn root(&self) -> Root {
        match self {
            Whole::Small(state) => coterie_crdt::Cells::root(state).cloned().unwrap_or_default(),
            Whole::Large(root) => root.clone(),
        }
    }
}

/// All rows of a key, or its root where these are more than one event should touch.
///
/// # Errors
/// [`ReadError`]
pub fn whole(rows: &impl Rows, prefix: &KeyPrefix) -> Result<Whole, ReadError> {
    let root = fetch::root(rows, prefix)?;
    if root.counts.rows > WHOLE_ROWS_MAX as u64 {
        return Ok(Whole::Large(root));
    }
    let found = rows.scan(Space::Rows, &prefix.cells(), Direction::Forward, WHOLE_ROWS_MAX + 1)?;
    let bytes: usize = found.iter().map(|(_, value)| value.len()).sum();
    if found.len() > WHOLE_ROWS_MAX || bytes > WHOLE_BYTES_MAX {
        return Ok(Whole::Large(root));
    }
    let mut cells = BTreeMap::new();
    for (address, value) in found {
        let Some((_, _, KeyRow::Cell(cell))) = parse(&address) else {
            return Err(ReadError::DamagedAddress);
        };
        let decoded = decode_cell(cell.kind, &value)?;
        cells.insert(cell, decoded);
    }
    Ok(Whole::Small(State::from_rows(root, cells)))
}
