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

    /// What has become of the assignment where `cells` are what there is, and removes of them what came before it. `seen` are
    /// the dots that it was evaluated on, and its own.
    ///
    /// `None` where it is to be made again: something seems to have come after it that has not replaced it, or more than one
    /// thing has; it was deleted together with something that it had not seen, which may have expired; there is more than
    /// a string, increments for one; or the key has expired.
    ///
    /// Two assignments never remove each other: what is removed has a lesser stamp than what it is removed for.
    pub fn uphold(
        &self,
        seen: &Context,
        cells: &impl Cells,
        mint: &mut Mint<'_>,
    ) -> Option<Upheld> {
        let root = cells.root()?;
        let (register, expiry) = (&root.register, &root.expiry);
        let is_string = root.pending.is_none()
            && root.transfer.is_none()
            && !cells.is_transferring()
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
        let has_foreign_deadline = stands && self.deadline.is_none() && !deadline.dots().is_empty();
        // A deletion of nothing else has one dot.
        let was_deleted = value.dots().is_empty();
        if has_foreign_deadline || was_deleted && root.context.beyond(seen).nth(1).is_some() {
            return None;
        }
        // There is nothing but a string: whatever else was ever seen of the key is dead, and said to be.
        let mut context = root.context.clone();
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
    for (dot, payload) in cell.dots() {
        let stamp = Stamp { time: payload.time()?, dot: *dot };
        if stamp < assigned {
            removed.insert(*dot);
        }
    }
    // Tallies stay: those of increments that are dead are taken back there.
    let kept = cell.without(removed);
    (kept.dots().len() <= 1).then_some(kept)
}
