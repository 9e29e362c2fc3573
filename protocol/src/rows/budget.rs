//! The bound on what one event reads.

use std::cell::Cell;

use bytes::Bytes;

use super::{Direction, KeyRange, NotResident, Row, Rows, Space};

/// The most rows that one event touches; what must touch more goes on as a job of chunks.
pub const ROWS_PER_EVENT_MAX: usize = 1_024;

/// Rows of a storage with a count of those read.
#[derive(Debug)]
pub struct Budget<'r, R> {
    rows: &'r R,
    read: Cell<usize>,
}

impl<'r, R: Rows> Budget<'r, R> {
    /// None read yet.
    pub fn new(rows: &'r R) -> Self {
        Budget { rows, read: Cell::new(0) }
    }

    /// How many were read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read.get()
    }

    /// How many more may be read.
    #[must_use]
    pub fn left(&self) -> usize {
        ROWS_PER_EVENT_MAX.saturating_sub(self.read.get())
    }

    fn count(&self, rows: usize) {
        let read = self.read.get() + rows;
        assert!(read <= ROWS_PER_EVENT_MAX, "an event reads {read} rows");
        self.read.set(read);
    }
}

impl<R: Rows> Rows for Budget<'_, R> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        let row = self.rows.get(space, key)?;
        self.count(usize::from(row.is_some()));
        Ok(row)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        let rows = self.rows.scan(space, range, direction, rows_max)?;
        self.count(rows.len());
        Ok(rows)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.rows.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.rows.free_permille()
    }
}
