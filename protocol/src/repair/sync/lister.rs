//! Lists what a session compares, on either side.

use bytes::Bytes;
use coterie_wire::Slice;

use super::cells::{self, CellLister};
use super::halving::{Entry, HashRange};
use super::listing::{self, KeyLister};
use super::space::{self, Subject};
use crate::lane::Shared;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows};

/// Keys of a slice, or cells of a key, being listed.
#[derive(Debug)]
pub(super) enum Lister {
    Keys(KeyLister),
    Cells(CellLister),
}

/// What one event has listed.
#[derive(Debug)]
pub(super) enum Listed {
    Keys(listing::Listed),
    Cells(cells::Listed),
}

impl Lister {
    /// To list what lies in `ranges`; `ordered` where the order of a key's cells is kept.
    pub(super) fn new(
        shared: &Shared,
        slice: Slice,
        subject: &Subject,
        ordered: bool,
        ranges: Vec<HashRange>,
        to: u64,
    ) -> Self {
        match subject {
            Subject::Keys => {
                let buckets: Vec<Bytes> = space::buckets(shared, slice);
                Lister::Keys(KeyLister::new(slice, buckets, ranges, to))
            }
            Subject::Cells(key) => {
                let prefix = KeyPrefix::new(slice.partition, key);
                Lister::Cells(CellLister::new(prefix, ordered, ranges, to))
            }
        }
    }

    /// Whether all is listed.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Lister::Keys(lister) => lister.is_done(),
            Lister::Cells(lister) => lister.is_done(),
        }
    }

    /// Whether something was left out.
    pub(super) fn is_incomplete(&self) -> bool {
        match self {
            Lister::Keys(lister) => lister.incomplete,
            Lister::Cells(lister) => lister.incomplete,
        }
    }

    /// Whether something was left out because it is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        match self {
            Lister::Keys(lister) => lister.damaged,
            Lister::Cells(_) => false,
        }
    }

    /// Reads the next rows.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Listed, NotResident> {
        match self {
            Lister::Keys(lister) => lister.read(rows).map(Listed::Keys),
            Lister::Cells(lister) => lister.read(rows).map(Listed::Cells),
        }
    }

    /// Takes in what was read.
    ///
    /// # Panics
    /// If another lister read it.
    pub(super) fn take(&mut self, listed: Listed) {
        match (self, listed) {
            (Lister::Keys(lister), Listed::Keys(listed)) => lister.take(listed),
            (Lister::Cells(lister), Listed::Cells(listed)) => lister.take(listed),
            (lister, listed) => panic!("{listed:?} was not read for {lister:?}"),
        }
    }

    /// What was listed, and up to which hash.
    pub(super) fn finish(self) -> (Vec<Entry>, u64) {
        match self {
            Lister::Keys(lister) => lister.finish(),
            Lister::Cells(lister) => lister.finish(),
        }
    }
}
