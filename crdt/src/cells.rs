//! Where an operation's cells come from.

use std::borrow::Cow;
use std::ops::Bound;

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::context::Context;
use crate::kind::{COUNTED_KINDS, Kind};
use crate::payload::Score;
use crate::root::Root;

/// Which way to walk a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Direction {
    /// From the least.
    Forward,
    /// From the greatest.
    Backward,
}

/// The rows of one key, as stored: a [`PendingDelete`](crate::root::PendingDelete) is not yet applied
/// to them. Whoever implements this has fetched what the operation's footprint names.
pub trait Cells {
    /// The root, or `None` where the key has no rows.
    fn root(&self) -> Option<&Root>;

    /// One cell outside the root.
    fn cell(&self, address: &Address) -> Option<&Cell>;

    /// The cells of a range in order of their paths. Lazy: what is not asked for is not read.
    fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, &Cell)>;

    /// Members of the sorted set by score and then name, derived from their cells, from the first
    /// (or last) with a score within the bounds. Lazy.
    fn by_score(
        &self,
        scores: (Bound<Score>, Bound<Score>),
        direction: Direction,
    ) -> impl Iterator<Item = (Score, &Bytes)>;

    /// Addresses of cells outside the root with [standing tallies](Cell::has_standing_tallies), derived
    /// from them, in order. Lazy.
    fn tallied(&self) -> impl Iterator<Item = &Address>;

    /// Whether [`Cells::tallied`] lists all there are. A partial state lists them only where they were
    /// asked for, and without them a whole-key delete is refused.
    fn shows_tallies(&self) -> bool {
        true
    }

    /// Whether some of these rows are of a replica in the middle of a [transfer](crate::Transfer), so that
    /// the root's context may lack dots that are live: a whole-key delete, which names what was seen by
    /// that context, is refused.
    fn is_transferring(&self) -> bool {
        self.root().is_some_and(|root| root.transfer.is_some())
    }

    /// Whether the root's counts are those of these very rows. Those of partial states are only upper
    /// bounds, and reading a count from them is refused.
    fn is_exact(&self) -> bool {
        true
    }
}

/// The dots of `cell` that are not dead: without those of a pending delete.
pub(crate) fn logical<'a>(root: &Root, cell: &'a Cell) -> Cow<'a, Cell> {
    let Some(pending) = &root.pending else {
        return Cow::Borrowed(cell);
    };
    let dead = |context: &Context| cell.dots().iter().any(|(dot, _)| context.contains(*dot));
    if dead(&pending.settled) || dead(&pending.counting) {
        Cow::Owned(cell.without(&pending.settled).without(&pending.counting))
    } else {
        Cow::Borrowed(cell)
    }
}

/// `cell` as the root's sums and counts have it: without the dots of a settled pending delete.
pub(crate) fn accounted<'a>(root: &Root, cell: &'a Cell) -> Cow<'a, Cell> {
    match &root.pending {
        Some(pending) if cell.dots().iter().any(|(dot, _)| pending.settled.contains(*dot)) => {
            Cow::Owned(cell.without(&pending.settled))
        }
        Some(_) | None => Cow::Borrowed(cell),
    }
}

/// The range as bounds on addresses of cells outside the root.
pub(crate) fn bounds(range: &AddressRange) -> (Bound<Address>, Bound<Address>) {
    let from = Bound::Included(Address::new(range.kind, range.from.clone()));
    let to = match &range.to {
        Some(to) => Bound::Excluded(Address::new(range.kind, to.clone())),
        None => next_kind(range.kind)
            .map_or(Bound::Unbounded, |next| Bound::Excluded(Address::new(next, Bytes::new()))),
    };
    (from, to)
}

fn next_kind(kind: Kind) -> Option<Kind> {
    COUNTED_KINDS.into_iter().find(|&other| other > kind)
}
