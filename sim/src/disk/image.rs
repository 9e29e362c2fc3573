//! The rows of a disk.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, Row, Space};

use crate::random::Random;

/// Rows by space and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    spaces: [BTreeMap<Bytes, Bytes>; Space::ALL.len()],
}

impl Image {
    /// One row.
    #[must_use]
    pub fn get(&self, space: Space, key: &[u8]) -> Option<&Bytes> {
        self.spaces[space as usize].get(key)
    }

    /// The rows of a range, in order.
    pub fn range(
        &self,
        space: Space,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Bytes)> {
        let bounds = (!range.is_empty()).then(|| {
            let to = range.to.clone().map_or(Bound::Unbounded, Bound::Excluded);
            self.spaces[space as usize].range((Bound::Included(range.from.clone()), to))
        });
        bounds.into_iter().flatten()
    }

    /// How many rows a space has.
    #[must_use]
    pub fn count(&self, space: Space) -> usize {
        self.spaces[space as usize].len()
    }

    /// The first rows of a range, or the last.
    #[must_use]
    pub fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Vec<Row> {
        let owned = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        match direction {
            Direction::Forward => self.range(space, range).take(rows_max).map(owned).collect(),
            Direction::Backward => {
                self.range(space, range).rev().take(rows_max).map(owned).collect()
            }
        }
    }

    /// How many bytes the rows of a range take.
    #[must_use]
    pub fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        let bytes = self.range(space, range).map(|(key, value)| (key.len() + value.len()) as u64);
        bytes.sum()
    }

    pub(super) fn put(&mut self, space: Space, key: Bytes, value: Bytes) -> Option<Bytes> {
        self.spaces[space as usize].insert(key, value)
    }

    pub(super) fn delete(&mut self, space: Space, key: &[u8]) -> Option<Bytes> {
        self.spaces[space as usize].remove(key)
    }

    pub(super) fn delete_range(&mut self, space: Space, range: &KeyRange) -> Vec<Row> {
        let rows = self.scan(space, range, Direction::Forward, usize::MAX);
        for (key, _) in &rows {
            self.delete(space, key);
        }
        rows
    }

    /// One bit of one row turns over: its checksum is wrong from then on, so that it is shown as empty.
    pub(super) fn rot(&mut self, space: Space, random: &mut Random) -> Option<Bytes> {
        let rows = &mut self.spaces[space as usize];
        if rows.is_empty() {
            return None;
        }
        let chosen = random.index(rows.len());
        let (key, value) = rows.iter_mut().nth(chosen)?;
        if value.is_empty() {
            return None;
        }
        *value = Bytes::new();
        Some(key.clone())
    }
}
