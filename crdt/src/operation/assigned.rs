//! What became of an assignment that is stored already, given what others have.
//!
//! An assignment is to replace all that was acknowledged before it. One that was evaluated without having seen all of that is
//! not always to be made again: who has read it, and has written since, would see it come back. By their stamps it is told
//! what came before it and what after it (invariant 9).

use crate::address::Address;
use crate::cell::Cell;
use crate::cells::Cells;
use crate::context::Context;
use crate::delta::Delta;
use crate::mint::Mint;
use crate::stamp::Stamp;

/// What a `SET` assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    value: Stamp,
    /// Where it said when the key expires, or that it does not.
    deadline: Option<Stamp>,
}

impl Assigned {
    /// What a delta assigns; `None` where that is no string.
    pub fn of(delta: &Delta) -> Option<Self> {
        let stamp = |at: &Address| {
            let (_, cell) = delta.cells().iter().find(|(address, _)| address == at)?;
            cell.last()
        };
        Some(Assigned { value: stamp(&Address::REGISTER)?, deadline: stamp(&Address::EXPIRY) })
    }

    /// What has become of the assignment where `cells` are what there is, and removes of them what came before it.
    ///
    /// `known` are dots that others may lack or have left over: the delta says of those that `cells` know whether they are live.
    ///
    /// `None` where it is to be made again: something seems to have come after it that has not replaced it, or more than one
    /// thing has; or there is more than a string, increments for one; or the key has expired.
    ///
    /// Two assignments never remove each other: what is removed has a lesser stamp than what it is removed for.
    pub fn uphold(
        &self,
        known: &Context,
        cells: &impl Cells,
        mint: &mut Mint<'_>,
    ) -> Option<Upheld> {
        let root = cells.root()?;
        let (register, expiry) = (&root.register, &root.expiry);
        let is_string = root.pending.is_none()
            && root.transfer.is_none()
            && root.counts.rows == 0
            && !register.has_standing_tallies();
        let has_expired = expiry.deadline().is_some_and(|deadline| deadline <= mint.wall_millis());
        if !is_string || has_expired || !root.context.contains(self.value.dot) {
            return None;
        }
        let mut removed = Context::new();
        let value = since(register, self.value, &mut removed)?;
        let deadline = since(expiry, self.deadline.unwrap_or(self.value), &mut removed)?;
        let stands = value.dots().iter().any(|(dot, _)| *dot == self.value.dot);
        if stands && self.deadline.is_none() && !deadline.is_empty() {
            return None;
        }
        let mut context = known.common(&root.context);
        context.extend(register.dots().iter().chain(expiry.dots()).map(|(dot, _)| *dot));
        context.insert(self.value.dot);
        if !removed.is_empty() {
            context.insert(mint.dot());
        }
        let cells = [(Address::REGISTER, value), (Address::EXPIRY, deadline)];
        let delta = Delta::from_parts(context, None, cells).expect("live dots are in the context");
        Some(Upheld { delta, removed })
    }
}

/// An assignment that need not be made again.
#[derive(Clone, Debug)]
pub struct Upheld {
    /// What there is now, the assignment or what has replaced it, for those that lack it. Where it removes anything, it has a
    /// new dot, by which that is known.
    pub delta: Delta,
    /// What came before the assignment and is removed now.
    pub removed: Context,
}

/// What is left of a cell where what came before the assignment is removed; `None` where that is more than the assignment or
/// what has replaced it, or where there is no telling.
fn since(cell: &Cell, assigned: Stamp, removed: &mut Context) -> Option<Cell> {
    let mut kept = Cell::new();
    for (dot, payload) in cell.dots() {
        let stamp = Stamp { time: payload.time()?, dot: *dot };
        if stamp < assigned {
            removed.insert(*dot);
        } else {
            kept.insert(*dot, payload.clone());
        }
    }
    (kept.dots().len() <= 1).then_some(kept)
}
