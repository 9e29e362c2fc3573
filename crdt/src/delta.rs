//! Deltas: what one operation changed.

use smallvec::SmallVec;

use crate::address::Address;
use crate::cell::Cell;
use crate::context::Context;
use crate::partial::Partial;

/// What one operation, or several joined, changed of a key.
///
/// Its context names exactly the dots that it adds or removes (invariant 5), so deltas join in any
/// order, repeated, and under any coverage. Cells that it does not list it says nothing about, unless it
/// deletes the whole key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The dots it adds or removes. Holds every dot of `cells` and of `whole`.
    pub context: Context,
    /// Where it deletes the whole key: what its coordinator had seen of the key. Dots in here are dead
    /// in every cell, listed or not.
    pub whole: Option<Context>,
    /// The cells it changed, with the dots it added and the tallies it raised. Sorted by address.
    cells: SmallVec<[(Address, Cell); 1]>,
}

impl Delta {
    /// A delta that changes nothing.
    pub fn new() -> Self {
        Delta::default()
    }

    /// From parts that may come from elsewhere: `None` unless the cells are sorted, their dots and the
    /// whole-key context are in the context, and no dot is both in a cell and deleted with the key.
    pub fn from_parts(
        context: Context,
        whole: Option<Context>,
        cells: impl IntoIterator<Item = (Address, Cell)>,
    ) -> Option<Self> {
        let delta = Delta { context, whole, cells: cells.into_iter().collect() };
        let sorted = delta.cells.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let mut dots = delta.cells.iter().flat_map(|(_, cell)| cell.dots());
        let deleted = |dot| delta.whole.as_ref().is_some_and(|whole| whole.contains(dot));
        let exact = dots.all(|(dot, _)| delta.context.contains(*dot) && !deleted(*dot))
            && delta.whole.as_ref().is_none_or(|whole| delta.context.covers(whole));
        (sorted && exact).then_some(delta)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.context.is_empty() && self.cells.is_empty()
    }

    /// The cells it changed, sorted by address.
    pub fn cells(&self) -> &[(Address, Cell)] {
        &self.cells
    }

    pub(crate) fn claiming(context: Context, whole: Option<Context>) -> Self {
        Delta { context, whole, cells: SmallVec::new() }
    }

    pub(crate) fn push(&mut self, address: Address, cell: Cell) {
        assert!(self.cells.last().is_none_or(|last| last.0 < address), "cells are sorted");
        self.cells.push((address, cell));
    }

    /// What a replica that this was joined into has by now of the cells it changed, with as exact a context: the dots
    /// that this adds or removes, as far as the replica still knows them, and those that are live there now.
    ///
    /// It may go where this may not go any more, because dots of this are known nowhere since a purge. All that it says
    /// the replica has seen, so that joining it nowhere brings more than joining that replica would.
    ///
    /// `now` is of all cells that this lists.
    #[must_use]
    pub fn renewed(&self, now: &Partial) -> Delta {
        let (mut context, mut cells) = (Context::new(), SmallVec::new());
        for (address, _) in &self.cells {
            let cell = now.covered_cell(address).cloned().unwrap_or_default();
            context.extend(cell.dots().iter().map(|(dot, _)| *dot));
            cells.push((address.clone(), cell));
        }
        context.join(&self.context.common(now.context()));
        Delta { context, whole: None, cells }
    }

    /// Joins another delta in: applying the result is applying both, in whatever order.
    pub fn join(&mut self, other: &Delta) {
        let mut cells: SmallVec<[(Address, Cell); 1]> = SmallVec::new();
        let mut mine = std::mem::take(&mut self.cells).into_iter().peekable();
        let mut theirs = other.cells.iter().peekable();
        let none = Cell::new();
        while mine.peek().is_some() || theirs.peek().is_some() {
            let next_is_mine = match (mine.peek(), theirs.peek()) {
                (Some(m), Some(t)) => m.0.cmp(&t.0),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Greater,
            };
            // Where only one side lists a cell, the other speaks for it only by its `whole`.
            let empty = Context::new();
            let (address, mut cell, my_context) = if next_is_mine.is_le() {
                let (address, cell) = mine.next().expect("peeked");
                (address, cell, &self.context)
            } else {
                let address = theirs.peek().expect("peeked").0.clone();
                (address, Cell::new(), self.whole.as_ref().unwrap_or(&empty))
            };
            if next_is_mine.is_ge() {
                let (_, their_cell) = theirs.next().expect("peeked");
                cell.join(my_context, their_cell, &other.context);
            } else if let Some(whole) = &other.whole {
                cell.join(my_context, &none, whole);
            }
            cells.push((address, cell));
        }
        self.cells = cells;
        self.context.join(&other.context);
        self.whole = match (self.whole.take(), &other.whole) {
            (Some(mut mine), Some(theirs)) => {
                mine.join(theirs);
                Some(mine)
            }
            (mine, theirs) => mine.or_else(|| theirs.clone()),
        };
    }
}
