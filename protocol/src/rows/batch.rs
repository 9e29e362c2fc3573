//! Batches: what an event changes, written as one.

use bytes::Bytes;

use super::{KeyRange, Space};

/// One change of the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Write a row, in place of what is there.
    Put(Space, Bytes, Bytes),
    /// Remove a row, if it is there.
    Delete(Space, Bytes),
    /// Remove all rows of a range.
    DeleteRange(Space, KeyRange),
}

/// Changes to be written as one, in order: later ones prevail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Batch::default()
    }

    /// Writes a row.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.changes.push(Change::Put(space, key.into(), value.into()));
    }

    /// Removes a row.
    pub fn delete(&mut self, space: Space, key: impl Into<Bytes>) {
        self.changes.push(Change::Delete(space, key.into()));
    }

    /// Removes all rows of a range.
    pub fn delete_range(&mut self, space: Space, range: KeyRange) {
        self.changes.push(Change::DeleteRange(space, range));
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds the changes of another, after these.
    pub fn append(&mut self, mut other: Batch) {
        self.changes.append(&mut other.changes);
    }

    /// Takes all changes out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Change> + '_ {
        self.changes.drain(..)
    }

    /// Removes all changes.
    pub fn clear(&mut self) {
        self.changes.clear();
    }
}
