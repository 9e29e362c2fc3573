//! Recounts: what a root says of its rows, computed anew from them.

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, accounted};
use crate::digest::{dots_digest, tallies_digest};
use crate::join::{Changes, Join};
use crate::root::{Counts, Root};

/// Counts and sums of a key's rows up to a cursor, kept in step with every change to those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// The last row counted; `None` before the first.
    pub cursor: Option<Address>,
    /// As [`Root::counts`].
    pub counts: Counts,
    /// As [`Root::dots_sum`].
    pub dots_sum: u128,
    /// As [`Root::tallies_sum`].
    pub tallies_sum: u128,
}

impl Recount {
    /// Whether the row at `address` has been counted.
    pub fn has_passed(&self, address: &Address) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| address <= cursor)
    }

    /// Whether the row could be counted.
    fn count(&mut self, root: &Root, address: &Address, stored: &Cell) -> bool {
        let (nothing, cell) = (Cell::new(), accounted(root, stored));
        self.dots_sum = self.dots_sum.wrapping_add(dots_digest(address, &cell));
        self.tallies_sum = self.tallies_sum.wrapping_add(tallies_digest(address, stored));
        self.cursor = Some(address.clone());
        self.counts.replace(address.kind, &nothing, &cell)
            & self.counts.replace_row(&nothing, stored)
    }
}

/// Goes on with a recount, or begins one, for at most `rows_max` rows; through when the root has none.
///
/// A root that its rows contradict takes over what they come to, dots that it has not seen too, and the
/// changes say that there was a [contradiction](Changes::contradiction). Nothing else changes: a key that
/// is sound and has no more rows than that is not written to.
///
/// # Panics
/// If `rows_max` is 0.
pub fn recount(cells: &impl Cells, rows_max: usize) -> Changes {
    assert!(rows_max > 0, "a chunk has rows");
    let mut join = Join::new(cells);
    let mut recount = join.root.recount.take().unwrap_or_default();
    let rest: Vec<_> = AddressRange::between(recount.cursor.as_ref(), &Address::EXPIRY).collect();
    let rows = rest.iter().flat_map(|range| cells.scan(range, Direction::Forward));
    let mut rows = rows.take(rows_max.saturating_add(1)).peekable();
    let mut left = rows_max;
    while let Some((address, stored)) = rows.next_if(|_| left > 0) {
        left -= 1;
        join.contradiction |= !recount.count(&join.root, address, stored);
        let dots = stored.dots().iter().map(|(dot, _)| *dot);
        join.gained.extend(dots.filter(|dot| !join.root.knows(address, *dot)));
    }
    join.contradiction |= !join.gained.is_empty();
    join.root.context.extend(std::mem::take(&mut join.gained));
    if rows.peek().is_some() {
        join.root.recount = Some(recount);
        return join.finish();
    }
    let Recount { counts, dots_sum, tallies_sum, .. } = *recount;
    let Root { counts: was, dots_sum: dots_was, tallies_sum: tallies_was, .. } = &mut join.root;
    if (&counts, dots_sum, tallies_sum) != (&*was, *dots_was, *tallies_was) {
        join.contradiction = true;
        (*was, *dots_was, *tallies_was) = (counts, dots_sum, tallies_sum);
    }
    join.finish()
}
