//! A storage in memory: what tests run on, and what others are compared with.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{Batch, Change, Direction, KeyRange, NotResident, Row, Rows, Space, Store, StoreError};

/// The rows of each space, in order of their keys.
type Spaces = [BTreeMap<Bytes, Bytes>; Space::ALL.len()];

/// A storage in memory that loses what was not synced when it crashes.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    spaces: Spaces,
    /// As they were when last synced, and the batches since.
    synced: Spaces,
    since: Vec<Batch>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Crashes and starts again: of the batches that were not synced, the first `kept` survive.
    #[must_use]
    pub fn crash(mut self, kept: usize) -> Self {
        for batch in self.since.iter().take(kept) {
            write(&mut self.synced, batch);
        }
        MemoryStore { spaces: self.synced.clone(), synced: self.synced, since: Vec::new() }
    }

    /// How many batches are not synced.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.since.len()
    }

    /// All rows of a space.
    #[must_use]
    pub fn space(&self, space: Space) -> &BTreeMap<Bytes, Bytes> {
        &self.spaces[space as usize]
    }
}

impl Rows for MemoryStore {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        Ok(self.space(space).get(key).cloned())
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        let rows = within(self.space(space), range).map(|(key, row)| (key.clone(), row.clone()));
        Ok(match direction {
            Direction::Forward => rows.take(rows_max).collect(),
            Direction::Backward => rows.rev().take(rows_max).collect(),
        })
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        let rows = within(self.space(space), range);
        rows.map(|(key, row)| (key.len() + row.len()) as u64).sum()
    }

    fn free_permille(&self) -> u16 {
        1_000
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        write(&mut self.spaces, batch);
        self.since.push(batch.clone());
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        for batch in self.since.drain(..) {
            write(&mut self.synced, &batch);
        }
        Ok(())
    }
}

fn within<'a>(
    rows: &'a BTreeMap<Bytes, Bytes>,
    range: &KeyRange,
) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Bytes)> {
    let to = match &range.to {
        // The map panics where an end is before a start.
        Some(to) => Bound::Excluded(to.max(&range.from).clone()),
        None => Bound::Unbounded,
    };
    rows.range((Bound::Included(range.from.clone()), to))
}

fn write(spaces: &mut Spaces, batch: &Batch) {
    for change in batch.changes() {
        match change {
            Change::Put(space, key, row) => {
                spaces[*space as usize].insert(key.clone(), row.clone());
            }
            Change::Delete(space, key) => {
                spaces[*space as usize].remove(key);
            }
            Change::DeleteRange(space, range) => {
                let rows = &mut spaces[*space as usize];
                let gone: Vec<Bytes> = within(rows, range).map(|(key, _)| key.clone()).collect();
                for key in gone {
                    rows.remove(&key);
                }
            }
        }
    }
}
