//! Join: the only way that data enters a replica.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, accounted, logical};
use crate::context::Context;
use crate::delta::Delta;
use crate::digest::{dots_digest, key_digest, tallies_digest};
use crate::dot::Dot;
use crate::kind::{COUNTED_KINDS, Kind};
use crate::mutants::{Mutant, mutant};
use crate::partial::Partial;
use crate::payload::Score;
use crate::root::{PendingDelete, Root};

/// Rows to write, all in one batch: the root, cells, and what is derived from them.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The root to write, or to delete where it [is empty](Root::is_empty); nothing changed where the
    /// changes [are empty](Changes::is_empty).
    pub root: Root,
    /// Cells to write; empty ones are to be deleted. Sorted by address, each once.
    pub cells: SmallVec<[(Address, Cell); 1]>,
    /// Derived rows to move along.
    pub derived: SmallVec<[Derived; 1]>,
    /// The key's digest before and after, for the leaf that sums it.
    pub digest: (u128, u128),
    /// Whether the root differs from the stored one.
    pub root_changed: bool,
    /// Whether what is stored contradicts itself: a row says other than the root does of it, which only
    /// damage to the storage can bring about. The changes are to be written all the same, and then the
    /// key [recounted](crate::recount).
    pub contradiction: bool,
}

/// A change to a row that is derived from others, local, and never replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derived {
    /// A member of the sorted set moves in the order of scores.
    Score {
        /// Which member.
        member: Bytes,
        /// The score under which it is listed, if it is.
        from: Option<Score>,
        /// The score under which it is to be listed, if at all.
        to: Option<Score>,
    },
    /// A cell gets a tally that a delete would have to take back, or no longer has one.
    Tallied {
        /// Which cell.
        address: Address,
        /// Whether it has such tallies now.
        now: bool,
    },
    /// A field gets another deadline, or one no more.
    FieldDeadline {
        /// Which field.
        field: Bytes,
        /// Milliseconds since 1970.
        from: Option<u64>,
        /// Milliseconds since 1970.
        to: Option<u64>,
    },
    /// The key's expiry changes.
    Deadline {
        /// Milliseconds since 1970.
        from: Option<u64>,
        /// Milliseconds since 1970.
        to: Option<u64>,
    },
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        !self.root_changed && self.cells.is_empty()
    }

    /// How many rows it writes, derived ones aside.
    pub fn rows(&self) -> usize {
        usize::from(self.root_changed) + self.cells.len()
    }
}

/// Joins a delta into the rows of a key.
///
/// Reads and writes the root and the listed cells, no more; a whole-key delete leaves the other rows to
/// [`sweep`].
pub fn join_delta(cells: &impl Cells, delta: &Delta) -> Changes {
    let mut join = Join::new(cells);
    if let Some(whole) = &delta.whole {
        join.delete_whole(whole);
    }
    for (address, theirs) in delta.cells() {
        join.cell(address, theirs, &delta.context);
    }
    join.root.context.join(&delta.context);
    join.finish()
}

/// Joins a partial state into the rows of a key.
///
/// Its context covers dots of cells that it does not carry, so of it only the live dots gained are
/// taken in: a context that claimed more would make unseen adds look removed (invariant 5).
pub fn join_partial(cells: &impl Cells, partial: &Partial) -> Changes {
    let mut join = Join::new(cells);
    for (address, theirs) in partial.covered(cells) {
        join.cell(&address, &theirs, partial.context());
        let gained = theirs.dots().iter().map(|(dot, _)| *dot);
        join.gained.extend(gained.filter(|dot| !join.root.knows(&address, *dot)));
    }
    join.root.context.extend(std::mem::take(&mut join.gained));
    if mutant(Mutant::PartialClaimsContext) {
        join.root.context.join(partial.context());
    }
    join.finish()
}

/// Takes in the context of a peer with which every cell of the key has been joined.
///
/// Only sound at the end of a whole-key synchronisation whose sender read this context *before* its
/// first row: then every dot of it has been joined, or was dead already.
pub fn adopt_context(cells: &impl Cells, context: &Context) -> Changes {
    let mut join = Join::new(cells);
    join.root.context.join(context);
    join.finish()
}

/// Goes on with a pending delete for at most `rows_max` rows; done when the root has none pending.
///
/// Changes what is stored, not what a reader sees.
pub fn sweep(cells: &impl Cells, rows_max: usize) -> Changes {
    let mut join = Join::new(cells);
    let Some(cursor) = join.root.pending.as_ref().map(|pending| pending.cursor.clone()) else {
        return join.finish();
    };
    let mut seen = 0;
    let mut last = None;
    'kinds: for kind in COUNTED_KINDS {
        let mut range = AddressRange::all(kind);
        match &cursor {
            Some(after) if after.kind > kind => continue,
            Some(after) if after.kind == kind => range.from = after.path.clone(),
            Some(_) | None => {}
        }
        for (address, stored) in cells.scan(&range, Direction::Forward) {
            if cursor.as_ref() == Some(address) {
                continue;
            }
            if seen == rows_max {
                break 'kinds;
            }
            seen += 1;
            last = Some(address.clone());
            let cell = logical(&join.root, stored).into_owned();
            join.put(address.clone(), stored, cell);
        }
    }
    if seen < rows_max {
        join.root.pending = None;
    } else if let Some(pending) = &mut join.root.pending {
        pending.cursor = last.or(cursor);
    }
    join.finish()
}

/// One join under way: the root as it will be, and the rows that go with it.
pub(crate) struct Join<'c, C> {
    stored: &'c C,
    pub(crate) root: Root,
    digest_before: u128,
    deadline_before: Option<u64>,
    cells: SmallVec<[(Address, Cell); 1]>,
    derived: SmallVec<[Derived; 1]>,
    /// Live dots gained from a partial state.
    pub(crate) gained: SmallVec<[Dot; 4]>,
    pub(crate) contradiction: bool,
}

impl<'c, C: Cells> Join<'c, C> {
    pub(crate) fn new(stored: &'c C) -> Self {
        let root = stored.root().cloned().unwrap_or_default();
        Join {
            stored,
            digest_before: key_digest(&root),
            deadline_before: root.expiry.deadline(),
            root,
            cells: SmallVec::new(),
            derived: SmallVec::new(),
            gained: SmallVec::new(),
            contradiction: false,
        }
    }

    /// Joins what a delta or partial state says of one cell.
    pub(crate) fn cell(&mut self, address: &Address, theirs: &Cell, their_context: &Context) {
        if address.kind.lives_in_root() {
            let mut cell = std::mem::take(self.root.resident_mut(address.kind));
            cell.join_knowing(|dot| self.root.knows(address, dot), theirs, their_context);
            *self.root.resident_mut(address.kind) = cell;
            return;
        }
        let nothing = Cell::new();
        let stored = self.stored.cell(address).unwrap_or(&nothing);
        let mut cell = logical(&self.root, stored).into_owned();
        cell.join_knowing(|dot| self.root.knows(address, dot), theirs, their_context);
        self.put(address.clone(), stored, cell);
    }

    /// Writes a cell outside the root and keeps sums, counts and derived rows in step with it.
    fn put(&mut self, address: Address, stored: &Cell, cell: Cell) {
        if cell == *stored {
            return;
        }
        let before = accounted(&self.root, stored);
        let dots = dots_digest(&address, &cell).wrapping_sub(dots_digest(&address, &before));
        let tallies =
            tallies_digest(&address, &cell).wrapping_sub(tallies_digest(&address, stored));
        let root = &mut self.root;
        root.dots_sum = root.dots_sum.wrapping_add(dots);
        root.tallies_sum = root.tallies_sum.wrapping_add(tallies);
        let mut counted = root.counts.replace(address.kind, &before, &cell)
            & root.counts.replace_row(stored, &cell);
        if let Some(recount) = root.recount.as_mut().filter(|r| r.has_passed(&address)) {
            recount.dots_sum = recount.dots_sum.wrapping_add(dots);
            recount.tallies_sum = recount.tallies_sum.wrapping_add(tallies);
            counted &= recount.counts.replace(address.kind, &before, &cell)
                & recount.counts.replace_row(stored, &cell);
        }
        self.contradiction |= !counted;
        self.derive(&address, stored, &cell);
        self.cells.push((address, cell));
    }

    fn derive(&mut self, address: &Address, stored: &Cell, cell: &Cell) {
        if address.kind == Kind::Scored && stored.score() != cell.score() {
            let (member, from, to) = (address.path.clone(), stored.score(), cell.score());
            self.derived.push(Derived::Score { member, from, to });
        }
        if address.kind == Kind::Field && stored.deadline() != cell.deadline() {
            let (field, from, to) = (address.path.clone(), stored.deadline(), cell.deadline());
            self.derived.push(Derived::FieldDeadline { field, from, to });
        }
        let now = cell.has_standing_tallies();
        if now != stored.has_standing_tallies() {
            self.derived.push(Derived::Tallied { address: address.clone(), now });
        }
    }

    /// Makes every dot of `whole` dead; see [`PendingDelete`].
    fn delete_whole(&mut self, whole: &Context) {
        self.root.register.retain(|dot, _| !whole.contains(dot));
        self.root.expiry.retain(|dot, _| !whole.contains(dot));
        if self.root.counts.rows == 0 {
            return;
        }
        let covered = self.root.is_covered_by(whole) || mutant(Mutant::SettleUncovered);
        let PendingDelete { settled, counting, cursor } =
            self.root.pending.get_or_insert_default().as_mut();
        *cursor = None;
        if covered {
            // Every dot is dead, so what is left of the rows is their tallies.
            settled.join(&std::mem::take(counting));
            settled.join(whole);
            self.root.dots_sum = 0;
            self.root.counts.clear_dots();
            if let Some(recount) = &mut self.root.recount {
                recount.dots_sum = 0;
                recount.counts.clear_dots();
            }
        } else {
            counting.join(whole);
        }
    }

    pub(crate) fn finish(mut self) -> Changes {
        self.cells.sort_by(|a, b| a.0.cmp(&b.0));
        if self.root.counts.rows == 0 {
            self.root.pending = None;
        }
        let to = self.root.expiry.deadline();
        if to != self.deadline_before {
            self.derived.push(Derived::Deadline { from: self.deadline_before, to });
        }
        let root_changed =
            self.stored.root().map_or(!self.root.is_empty(), |stored| *stored != self.root);
        Changes {
            digest: (self.digest_before, key_digest(&self.root)),
            root: self.root,
            cells: self.cells,
            derived: self.derived,
            root_changed,
            contradiction: self.contradiction,
        }
    }
}
