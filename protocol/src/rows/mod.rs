//! Rows: what a node keeps, and how its state machines read and change it.
//!
//! A storage is an ordered map from bytes to bytes in five [`Space`]s. State machines read through
//! [`Rows`] and gather what they change in a [`Batch`]; only the driver commits. The bytes of every key are
//! made in [`address`] and written down in `docs/formats.md`.

pub mod address;
mod batch;
mod budget;
#[cfg(feature = "contract")]
pub mod contract;
pub mod fetch;
pub mod lazy;
#[cfg(feature = "contract")]
mod memory;
mod whole;

use bytes::Bytes;
use thiserror::Error;

pub use batch::{Batch, Change};
pub use budget::{Budget, ROWS_PER_EVENT_MAX};
pub use coterie_crdt::Direction;
pub use fetch::ReadError;
#[cfg(feature = "contract")]
pub use memory::MemoryStore;
pub use whole::{WHOLE_BYTES_MAX, WHOLE_ROWS_MAX, Whole, whole};

/// What kind of rows: those of one space never mix with another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Roots and cells of keys.
    Rows = 0,
    /// What is derived from them: orders, deadlines, marks. Local, never replicated.
    Derived = 1,
    /// Deltas kept for other nodes.
    Hints = 2,
    /// What the node knows of itself: actors, purge epochs, votes, layouts.
    Control = 3,
    /// Leaves of the digest trees of slices: written with every change of a key, and read at a start only.
    Leaves = 4,
}

impl Space {
    /// All of them, in order.
    pub const ALL: [Space; 5] =
        [Space::Rows, Space::Derived, Space::Hints, Space::Control, Space::Leaves];
}

/// Keys from `from` up to, and not with, `to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRange {
    /// The first key inside.
    pub from: Bytes,
    /// The first key after it, or `None` for the end of the space.
    pub to: Option<Bytes>,
}

impl KeyRange {
    /// All keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let from = prefix.into();
        let kept = from.iter().rposition(|&byte| byte != 0xff);
        let to = kept.map(|kept| {
            let mut to = from[..=kept].to_vec();
            to[kept] += 1;
            Bytes::from(to)
        });
        KeyRange { from, to }
    }

    /// Whether `key` is inside.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.from[..] && self.to.as_ref().is_none_or(|to| key < &to[..])
    }

    /// Whether no key can be inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| self.from >= *to)
    }
}

/// Rows that have to be fetched before an event can be read: the driver fetches them on a read thread
/// and reads the event again with them in hand.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("rows in {space:?} are not in memory")]
pub struct NotResident {
    /// Where they are.
    pub space: Space,
    /// Which; the range of one row is that of its key as a prefix.
    pub range: KeyRange,
    /// From which end.
    pub direction: Direction,
    /// How many at most.
    pub rows_max: usize,
}

/// One row.
pub type Row = (Bytes, Bytes);

/// A storage as state machines see it: all committed batches, and the one being gathered.
///
/// What it finds damaged by its checksums it shows as an empty value, never as the bytes that it has: those may decode
/// as something that nobody wrote. No row that is read for its value is empty.
pub trait Rows {
    /// The value of one row, if it is there.
    ///
    /// # Errors
    /// [`NotResident`] where it has to be fetched first.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident>;

    /// The first `rows_max` rows of a range, or the last where `direction` is backward, in that order.
    ///
    /// # Errors
    /// [`NotResident`] where they have to be fetched first.
    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident>;

    /// About how many bytes the rows of a range take, for planning and pacing only.
    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64;

    /// How much of the disk is free, as parts of 1,000; see [`crate::disk`] for what that stops.
    fn free_permille(&self) -> u16;
}

/// Numbers the batches that a lane commits, from 1 on, without a gap. What an acknowledgement names, so that peers can
/// tell a node that it lost some (invariant 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitNumber(pub u64);

/// A storage as its driver sees it.
pub trait Store: Rows {
    /// Writes a batch: all of it or nothing survives any crash. Durable only once synced.
    ///
    /// # Errors
    /// Only by an error of the disk. Nothing may be written afterwards (invariant 12): the lanes stop, and the
    /// store is opened anew under new actors.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Makes all that was committed durable.
    ///
    /// # Errors
    /// As [`Store::commit`].
    fn sync(&mut self) -> Result<(), StoreError>;
}

/// Why a storage stopped. What was synced is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk failed; what was committed and not synced may be lost.
    #[error("the disk failed")]
    Io,
    /// The disk is full; nothing of the batch was written.
    #[error("the disk is full")]
    Full,
}
