//! Partial states: some of a replica's cells, with that replica's whole context.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, bounds, logical};
use crate::context::Context;
use crate::footprint::Footprint;
use crate::kind::Kind;
use crate::payload::Score;
use crate::root::Root;

/// Some of a replica's cells with its whole context: another type than a
/// [`Delta`](crate::delta::Delta), whose context is exact.
///
/// Those of several replicas over one footprint join into what that footprint would show of the joined
/// replicas, and an operation evaluates on it as on those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Context and resident cells; counts are upper bounds unless `exact`. Nothing pending.
    root: Root,
    /// Single cells covered, whether there or not, and those present in a covered range.
    cells: BTreeMap<Address, Cell>,
    /// Ranges covered entirely.
    ranges: Vec<AddressRange>,
    /// Standing tallies of all cells, where they were asked for: for a whole-key delete.
    tallies: Option<BTreeMap<Address, Cell>>,
    /// Whether the counts are those of the very replica the cells came from.
    exact: bool,
    /// Whether a replica that it came from was in the middle of a transfer: of its live dots the context
    /// then claims only those carried.
    transferring: bool,
}

/// Two partial states do not cover the same cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partial states of different footprints cannot be joined; nothing was changed")]
pub struct FootprintMismatch;

impl Partial {
    /// What a replica has under `footprint`. Needs of derived order or counts add nothing: they are
    /// not evaluated on partial states.
    pub fn extract(cells: &impl Cells, footprint: &Footprint) -> Self {
        let mut root = cells.root().cloned().unwrap_or_default();
        let mut covered = BTreeMap::new();
        let outside = footprint.cells.iter().filter(|address| !address.kind.lives_in_root());
        for address in outside {
            let cell = cells.cell(address).map(|cell| logical(&root, cell).into_owned());
            covered.insert(address.clone(), cell.unwrap_or_default());
        }
        for range in &footprint.ranges {
            for (address, cell) in cells.scan(range, Direction::Forward) {
                let cell = logical(&root, cell);
                if !cell.is_empty() {
                    covered.insert(address.clone(), cell.into_owned());
                }
            }
        }
        let bare = |address: &Address| {
            let mut cell = cells.cell(address).cloned().unwrap_or_default();
            cell.retain(|_, _| false);
            (address.clone(), cell)
        };
        let tallies = footprint.tallied.then(|| cells.tallied().map(bare).collect());
        let exact = cells.is_exact() && !root.is_counting();
        (root.pending, root.recount) = (None, None);
        let transferring = cells.is_transferring();
        // A context that claimed what a transfer has not brought would make unseen adds look removed
        // (invariant 5).
        if root.transfer.take().is_some() {
            let carried = covered.values().chain([&root.register, &root.expiry]);
            let carried = carried.flat_map(Cell::dots).map(|(dot, _)| *dot);
            root.context.extend(carried.collect::<Vec<_>>());
        }
        let ranges = footprint.ranges.to_vec();
        Partial { root, cells: covered, ranges, tallies, exact, transferring }
    }

    /// From parts that may come from elsewhere: `None` unless every live dot is in the context, every
    /// cell lives outside the root, no range ends before it starts, and no job is
    /// under way.
    pub fn from_parts(
        root: Root,
        cells: BTreeMap<Address, Cell>,
        ranges: Vec<AddressRange>,
        tallies: Option<BTreeMap<Address, Cell>>,
        exact: bool,
        transferring: bool,
    ) -> Option<Self> {
        let outside = |(address, _): (&Address, &Cell)| !address.kind.lives_in_root();
        let seen = |cell: &Cell| cell.dots().iter().all(|(dot, _)| root.context.contains(*dot));
        let bare = |(_, cell): (&Address, &Cell)| cell.dots().is_empty();
        let sound = cells.iter().chain(tallies.iter().flatten()).all(outside)
            && cells.values().chain([&root.register, &root.expiry]).all(seen)
            && tallies.iter().flatten().all(bare)
            && ranges.iter().all(AddressRange::is_sound)
            && root.pending.is_none()
            && root.transfer.is_none()
            && root.recount.is_none();
        sound.then_some(Partial { root, cells, ranges, tallies, exact, transferring })
    }

    /// The cell at an address that is covered, wherever it lives; `None` where there is none.
    pub(crate) fn covered_cell(&self, address: &Address) -> Option<&Cell> {
        match address.kind.lives_in_root() {
            true => Some(self.root.resident(address.kind)),
            false => self.cells.get(address),
        }
    }

    pub(crate) fn merged_root(&self) -> &Root {
        &self.root
    }

    /// Whether the root's counts are those of the rows carried.
    pub(crate) fn has_exact_counts(&self) -> bool {
        self.exact
    }

    /// All that the replica had seen of the key.
    pub fn context(&self) -> &Context {
        &self.root.context
    }

    /// The cells carried, sorted; of single ones that were asked for also the empty.
    pub fn cells(&self) -> &BTreeMap<Address, Cell> {
        &self.cells
    }

    /// The ranges covered entirely.
    pub fn ranges(&self) -> &[AddressRange] {
        &self.ranges
    }

    /// Standing tallies of all cells, without their dots, where they were asked for.
    pub fn tallies(&self) -> Option<&BTreeMap<Address, Cell>> {
        self.tallies.as_ref()
    }

    /// Joins what another replica has under the same footprint.
    ///
    /// # Errors
    /// [`FootprintMismatch`]; nothing is changed then.
    pub fn join(&mut self, other: &Partial) -> Result<(), FootprintMismatch> {
        let missing = |from: &Partial, to: &Partial| {
            from.cells.keys().any(|address| {
                !to.cells.contains_key(address) && !to.ranges.iter().any(|r| r.contains(address))
            })
        };
        let differ =
            self.ranges != other.ranges || self.tallies.is_some() != other.tallies.is_some();
        if differ || missing(self, other) || missing(other, self) {
            return Err(FootprintMismatch);
        }
        // Equal contexts and sums mean equal rows, and then the counts are those of both.
        self.exact &= other.exact
            && self.root.context == other.root.context
            && self.root.dots_sum == other.root.dots_sum
            && self.root.tallies_sum == other.root.tallies_sum
            && self.root.counts == other.root.counts;
        self.transferring |= other.transferring;
        let (mine, theirs) = (&self.root.context, &other.root.context);
        let nothing = Cell::new();
        for (address, cell) in &mut self.cells {
            cell.join(mine, other.cells.get(address).unwrap_or(&nothing), theirs);
        }
        for (address, cell) in &other.cells {
            if !self.cells.contains_key(address) {
                let mut joined = Cell::new();
                joined.join(mine, cell, theirs);
                self.cells.insert(address.clone(), joined);
            }
        }
        for (address, theirs) in other.tallies.iter().flatten() {
            let tallies = self.tallies.get_or_insert_default();
            let cell = tallies.entry(address.clone()).or_default();
            for (share, tally) in theirs.tallies() {
                cell.join_tally(*share, tally);
            }
        }
        let context = std::mem::take(&mut self.root.context);
        self.root.register.join(&context, &other.root.register, theirs);
        self.root.expiry.join(&context, &other.root.expiry, theirs);
        self.root.context = context;
        self.root.context.join(theirs);
        if !self.exact {
            self.root.counts.raise(&other.root.counts);
        }
        Ok(())
    }

    /// Every cell that this state speaks for and that it or `mine` has, resident ones included.
    pub(crate) fn covered(&self, mine: &impl Cells) -> Vec<(Address, Cell)> {
        let mut addresses: BTreeSet<Address> = self.cells.keys().cloned().collect();
        for range in &self.ranges {
            let inside = mine.scan(range, Direction::Forward);
            addresses.extend(inside.map(|(address, _)| address.clone()));
        }
        let resident = [
            (Address::REGISTER, self.root.register.clone()),
            (Address::EXPIRY, self.root.expiry.clone()),
        ];
        let outside = addresses.into_iter().map(|address| {
            let cell = self.cells.get(&address).cloned().unwrap_or_default();
            (address, cell)
        });
        resident.into_iter().chain(outside).collect()
    }
}

impl Cells for Partial {
    fn root(&self) -> Option<&Root> {
        Some(&self.root)
    }

    fn cell(&self, address: &Address) -> Option<&Cell> {
        self.cells.get(address).or_else(|| self.tallies.as_ref()?.get(address))
    }

    fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, &Cell)> {
        walk(self.cells.range(bounds(range)), direction)
    }

    fn by_score(
        &self,
        scores: (Bound<Score>, Bound<Score>),
        direction: Direction,
    ) -> impl Iterator<Item = (Score, &Bytes)> {
        let members = self.cells.iter().filter(|(address, _)| address.kind == Kind::Scored);
        let mut members: Vec<_> = members
            .filter_map(|(address, cell)| Some((cell.score()?, &address.path)))
            .filter(|(score, _)| scores.contains(score))
            .collect();
        members.sort();
        walk(members.into_iter(), direction)
    }

    fn tallied(&self) -> impl Iterator<Item = &Address> {
        let covered = self.cells.iter().filter(|(_, cell)| cell.has_standing_tallies());
        let covered = covered.map(|(address, _)| address);
        let all: BTreeSet<&Address> =
            covered.chain(self.tallies.iter().flatten().map(|(address, _)| address)).collect();
        all.into_iter()
    }

    fn is_exact(&self) -> bool {
        self.exact
    }

    fn is_transferring(&self) -> bool {
        self.transferring
    }

    fn shows_tallies(&self) -> bool {
        self.tallies.is_some()
    }
}

/// An iterator, or the same one from its end.
pub(crate) fn walk<I: DoubleEndedIterator>(
    iterator: I,
    direction: Direction,
) -> impl Iterator<Item = I::Item> {
    let (forward, backward) = match direction {
        Direction::Forward => (Some(iterator), None),
        Direction::Backward => (None, Some(iterator.rev())),
    };
    forward.into_iter().flatten().chain(backward.into_iter().flatten())
}
