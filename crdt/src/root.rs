//! Roots: what a key keeps beside its cells.

use std::borrow::Cow;

use crate::address::Address;
use crate::cell::Cell;
use crate::context::Context;
use crate::dot::Dot;
use crate::kind::{COUNTED_KINDS, Kind};
use crate::recount::Recount;
use crate::transfer::Transfer;

/// A key's root: one row, read and written with every operation on the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Every dot that this replica has seen of the key. Holds every live dot but those that are known by
    /// a [transfer](Root::transfer) so far.
    pub context: Context,
    /// The cell of [`Kind::Register`].
    pub register: Cell,
    /// The cell of [`Kind::Expiry`].
    pub expiry: Cell,
    /// How many cells of each kind are live, how many have standing tallies, and how many fields a deadline.
    pub counts: Counts,
    /// Sum mod 2^128 of the digests of the live dots in all rows but this one.
    pub dots_sum: u128,
    /// Sum mod 2^128 of the digests of the tallies in all rows but this one.
    pub tallies_sum: u128,
    /// A deletion of the whole key whose rows are not swept yet, of dots that are in the context.
    pub pending: Option<Box<PendingDelete>>,
    /// All of another replica's cells on their way here, in chunks.
    pub transfer: Option<Box<Transfer>>,
    /// A recount of the rows, as far as it has come.
    pub recount: Option<Box<Recount>>,
}

/// The kinds where a live cell is more than one with dots.
const GUARDED_KINDS: [Kind; 2] = [Kind::GuardedMember, Kind::DisableFlag];

/// How many cells of each kind a client sees. Register and expiry, which are at hand, are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    live: [u64; COUNTED_KINDS.len()],
    /// Cells that have dots and are not live all the same, of the kinds where removal wins: joined with
    /// another replica's, or under a pending delete, they may come to be.
    withheld: [u64; GUARDED_KINDS.len()],
    /// Cells outside the root, live or not, with tallies that a delete would have to take back.
    pub tallied: u64,
    /// Cells outside the root that are stored, live or not: 0 means that there is nothing to sweep.
    pub rows: u64,
    /// Fields with a deadline, live or not.
    pub deadlined: u64,
}

/// A deletion of the whole key that reads apply and a job sweeps.
///
/// Dots of both contexts are dead wherever they are still stored. The root's sums and counts leave the
/// `settled` ones out already; those of `counting` only once the sweep has passed their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingDelete {
    /// Dead, and left out of sums and counts.
    pub settled: Context,
    /// Dead, but in sums and counts until swept.
    pub counting: Context,
    /// The sweep goes on after this address; `None` before its first row.
    pub cursor: Option<Address>,
}

impl Root {
    /// Whether sums and counts wait for a sweep: until then, neither says what a reader would see.
    pub fn is_counting(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.counting.is_empty())
    }

    /// Whether a dot of the cell at `address` was seen: it is live there or dead.
    pub(crate) fn knows(&self, address: &Address, dot: Dot) -> bool {
        let transferred =
            |transfer: &Transfer| transfer.has_passed(address) && transfer.context.contains(dot);
        self.context.contains(dot) || self.transfer.as_deref().is_some_and(transferred)
    }

    /// Every dot that is known to have been minted for the key: those seen, and those that a transfer is
    /// yet to bring. The next dot is [minted](crate::Actors::next_dot) past all of them.
    pub fn minted(&self) -> Cow<'_, Context> {
        match &self.transfer {
            None => Cow::Borrowed(&self.context),
            Some(transfer) => {
                let mut minted = self.context.clone();
                minted.join(&transfer.context);
                Cow::Owned(minted)
            }
        }
    }

    /// Whether a whole-key delete that observed `whole` leaves no dot alive.
    pub(crate) fn is_covered_by(&self, whole: &Context) -> bool {
        let passed = self.transfer.as_ref().filter(|transfer| transfer.cursor.is_some());
        whole.covers(&self.context) && passed.is_none_or(|transfer| whole.covers(&transfer.context))
    }

    /// The cell of `kind`.
    ///
    /// # Panics
    /// If the kind does not [live in the root](Kind::lives_in_root).
    pub fn resident(&self, kind: Kind) -> &Cell {
        assert!(kind.lives_in_root(), "{kind:?} lives outside the root");
        if kind == Kind::Register { &self.register } else { &self.expiry }
    }

    pub(crate) fn resident_mut(&mut self, kind: Kind) -> &mut Cell {
        assert!(kind.lives_in_root(), "{kind:?} lives outside the root");
        if kind == Kind::Register { &mut self.register } else { &mut self.expiry }
    }

    /// Whether a purge may drop the key: no dot is live, no tally stands, and nothing is under way that
    /// could bring either. The expiry of a key that is there no more does not count, nor do tallies that
    /// were taken back; the deadline of a field does, whose mark goes with its cell.
    pub fn has_nothing_live(&self) -> bool {
        self.pending.is_none()
            && self.transfer.is_none()
            && self.register.dots().is_empty()
            && !self.register.has_standing_tallies()
            && self.counts.has_no_dots()
            && self.counts.tallied == 0
    }

    /// Whether there is nothing to store: the key was never written, or was purged.
    pub fn is_empty(&self) -> bool {
        // Only tallies that were taken back enter without a dot, and their cell is then a row or at hand.
        self.context.is_empty()
            && self.counts.rows == 0
            && self.register.is_empty()
            && self.expiry.is_empty()
            && self.transfer.is_none()
            && self.recount.is_none()
    }
}

impl Counts {
    /// How many cells of `kind` are live; 0 for the kinds that live in the root.
    pub fn live(&self, kind: Kind) -> u64 {
        slot(kind).map_or(0, |slot| self.live[slot])
    }

    /// How many cells of `kind` are live at most, where a reader would see other dots than were counted:
    /// 0 only if none is.
    pub fn live_at_most(&self, kind: Kind) -> u64 {
        let withheld = GUARDED_KINDS.iter().position(|&guarded| guarded == kind);
        self.live(kind).saturating_add(withheld.map_or(0, |slot| self.withheld[slot]))
    }

    /// All numbers that are always there, in the order of their encoding.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        // Of those with a deadline, which few keys have, the encoding has another place.
        let Counts { live, withheld, tallied, rows, deadlined: _ } = self;
        live.iter().chain(withheld).chain([tallied, rows]).copied()
    }

    /// From numbers in that order; as many as [`Counts::numbers`] gives.
    pub(crate) fn from_numbers<E>(mut next: impl FnMut() -> Result<u64, E>) -> Result<Counts, E> {
        let mut counts = Counts::default();
        let Counts { live, withheld, tallied, rows, deadlined: _ } = &mut counts;
        for number in live.iter_mut().chain(withheld).chain([tallied, rows]) {
            *number = next()?;
        }
        Ok(counts)
    }

    /// Whether no cell outside the root is live.
    pub fn none_live(&self) -> bool {
        self.live.iter().all(|&count| count == 0)
    }

    /// Whether no cell outside the root has a dot: what removes where removal wins counts too, and the
    /// deadline of a field that is there no more.
    fn has_no_dots(&self) -> bool {
        self.none_live() && self.withheld.iter().all(|&count| count == 0) && self.deadlined == 0
    }

    /// Makes every count an upper bound of what a replica with these counts joined with one with
    /// `other` has, in the sense that 0 means none.
    pub(crate) fn raise(&mut self, other: &Counts) {
        for (slot, kind) in COUNTED_KINDS.into_iter().enumerate() {
            self.live[slot] = self.live_at_most(kind).max(other.live_at_most(kind));
        }
        self.withheld = Default::default();
        self.tallied = self.tallied.max(other.tallied);
        self.rows = self.rows.max(other.rows);
        self.deadlined = self.deadlined.max(other.deadlined);
    }

    /// Counts no dots any more.
    pub(crate) fn clear_dots(&mut self) {
        self.live = Default::default();
        self.withheld = Default::default();
        self.deadlined = 0;
    }

    /// Counts a cell of `kind` that goes from one content to another. Whether it had been counted, as far
    /// as one can see: where rows are damaged, a count stays at 0.
    #[must_use]
    pub(crate) fn replace(&mut self, kind: Kind, from: &Cell, to: &Cell) -> bool {
        let Some(slot) = slot(kind) else { return true };
        let mut counted = step(&mut self.live[slot], from.is_live(kind), to.is_live(kind));
        if let Some(slot) = GUARDED_KINDS.iter().position(|&guarded| guarded == kind) {
            let withheld = |cell: &Cell| !cell.dots().is_empty() && !cell.is_live(kind);
            counted &= step(&mut self.withheld[slot], withheld(from), withheld(to));
        }
        if kind == Kind::Field {
            counted &= step(&mut self.deadlined, from.has_deadline(), to.has_deadline());
        }
        counted & step(&mut self.tallied, from.has_standing_tallies(), to.has_standing_tallies())
    }

    /// Counts a row that goes from one content to another; as [`Counts::replace`].
    #[must_use]
    pub(crate) fn replace_row(&mut self, from: &Cell, to: &Cell) -> bool {
        step(&mut self.rows, !from.is_empty(), !to.is_empty())
    }
}

/// Counts one that was or is; whether one that leaves had been counted.
fn step(count: &mut u64, was: bool, is: bool) -> bool {
    if was == is {
        return true;
    }
    let next = if is { count.checked_add(1) } else { count.checked_sub(1) };
    *count = next.unwrap_or(*count);
    next.is_some()
}

fn slot(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Register | Kind::Expiry => None,
        Kind::Field => Some(0),
        Kind::Nested => Some(1),
        Kind::Element => Some(2),
        Kind::Member => Some(3),
        Kind::GuardedMember => Some(4),
        Kind::GrowOnlyMember => Some(5),
        Kind::Scored => Some(6),
        Kind::Sketch => Some(7),
        Kind::EnableFlag => Some(8),
        Kind::DisableFlag => Some(9),
    }
}
