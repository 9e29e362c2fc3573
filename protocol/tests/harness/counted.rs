//! A storage that counts what is read of it.

use std::cell::Cell;

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, MemoryStore, NotResident, Row, Rows, Space};

/// Rows of a storage, counted.
pub(super) struct Counted<'r> {
    pub(super) rows: &'r MemoryStore,
    pub(super) read: Cell<usize>,
}

impl Rows for Counted<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        self.read.set(self.read.get() + 1);
        self.rows.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        let rows = self.rows.scan(space, range, direction, rows_max)?;
        self.read.set(self.read.get() + rows.len());
        Ok(rows)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.rows.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.rows.free_permille()
    }
}
