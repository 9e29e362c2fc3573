//! Footprints: the rows that an operation has to see.

use smallvec::SmallVec;

use crate::address::{Address, AddressRange};
use crate::kind::COUNTED_KINDS;

/// The rows that an operation has to see, the root always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Single cells.
    pub cells: SmallVec<[Address; 2]>,
    /// Ranges of cells, every one of which it may read.
    pub ranges: SmallVec<[AddressRange; 1]>,
    /// What is derived from all cells of the key. An operation with such a need is evaluated on the
    /// rows of one replica, once these are equal to R − 1 others', and never on partial states.
    pub derived: SmallVec<[Need; 1]>,
    /// Whether it needs the tallies of every cell, though not their dots: a whole-key delete.
    pub tallied: bool,
}

/// Something derived from all cells of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Need {
    /// The root's counts: cardinality.
    Counts,
    /// The order of scores: ranks, score ranges, the least and greatest.
    ScoreOrder,
    /// The order of list elements: indexes, both ends.
    ListOrder,
}

impl Footprint {
    /// Just the root.
    pub fn root() -> Self {
        Footprint::default()
    }

    /// The root and one cell.
    pub fn cell(address: Address) -> Self {
        Footprint { cells: SmallVec::from_iter([address]), ..Footprint::default() }
    }

    /// The root and some cells.
    pub fn cells(addresses: impl IntoIterator<Item = Address>) -> Self {
        Footprint { cells: addresses.into_iter().collect(), ..Footprint::default() }
    }

    /// The root and every cell of a range.
    pub fn range(range: AddressRange) -> Self {
        Footprint { ranges: SmallVec::from_iter([range]), ..Footprint::default() }
    }

    /// The root and something derived.
    pub fn derived(need: Need) -> Self {
        Footprint { derived: SmallVec::from_iter([need]), ..Footprint::default() }
    }

    /// The root and all tallies.
    pub fn tallied() -> Self {
        Footprint { tallied: true, ..Footprint::default() }
    }

    /// The root and every cell after one address, up to another and with it: one chunk of a
    /// [transfer](crate::Transfer).
    pub fn between(after: Option<&Address>, upto: &Address) -> Self {
        let ranges = AddressRange::between(after, upto).collect();
        Footprint { ranges, ..Footprint::default() }
    }

    /// Every cell of the key.
    pub fn whole() -> Self {
        let ranges = COUNTED_KINDS.into_iter().map(AddressRange::all).collect();
        Footprint { ranges, ..Footprint::default() }
    }

    /// This footprint and more.
    #[must_use]
    pub fn and(mut self, more: Footprint) -> Self {
        self.cells.extend(more.cells);
        self.ranges.extend(more.ranges);
        self.derived.extend(more.derived);
        self.tallied |= more.tallied;
        self.cells.sort();
        self.cells.dedup();
        self.derived.sort();
        self.derived.dedup();
        self
    }
}
