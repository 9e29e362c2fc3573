//! Nothing acknowledged is lost, what was removed stays removed, nothing is there that nobody wrote, and
//! the owners agree.
//!
//! # What is checked
//! Of every cell (element, register, flag) in every owner's final state, after healing:
//! - **Nothing lost.** A cell with an acknowledged write is live, unless something may have removed
//!   that write. Where the recorder could see dots, the write's own dot is live, unless something may
//!   have dropped it. Who said which dots they observed dropped those and no others; who did not (an
//!   unknown outcome, a client that is not told) may have dropped any write that had begun before
//!   they returned.
//! - **Nothing resurrected.** No live dot was observed by an acknowledged operation. Without dots: not
//!   every write that the cell can come from was.
//! - **No phantoms.** Every live dot was minted by a done or unknown write of that cell; there are no
//!   more dots that no client was told of than writes whose client was not told. Without dots: there is
//!   such a write.
//! - **Dots are minted once**, and all owners hold the same.
//!
//! # Cost
//! O(n log n) for n operations where elements are unique; quadratic in the untold writes of one cell.
//!
//! # What it does not see
//! An unknown operation of which half took place: dots are judged one by one. A lost write to a register
//! of which only the winner is visible, while the register holds anything. A lost removal by a client
//! that was not told what it observed. Counters, which have a checker of their own; strong registers,
//! whose histories are judged for linearizability.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::{CellIndex, Index};
use crate::{
    BucketKind, Cell, Dot, Fault, FinalState, Judged, KeyHistory, LiveCell, Name, Nanos, Undecided,
    Verdict, Violation,
};

/// Judges a key by its owners' final states.
///
/// Undecided if final states of some owners are missing.
#[must_use]
pub fn check(key: &KeyHistory) -> Verdict {
    if key.bucket.kind == BucketKind::Strong {
        return Verdict::Kept(Judged::default());
    }
    let mut lost = Lost { key, index: Index::new(key), judged: Judged::default() };
    match lost.run() {
        Err(violation) => Verdict::Broken(violation),
        Ok(()) => match missing_finals(key) {
            Some(undecided) => Verdict::Undecided(undecided),
            None => Verdict::Kept(lost.judged),
        },
    }
}

/// Whether some owners' final states are missing.
pub(crate) fn missing_finals(key: &KeyHistory) -> Option<Undecided> {
    let (have, need) = (key.finals.len(), key.bucket.replicas);
    let all = u32::try_from(have).is_ok_and(|have| have >= need);
    (!all).then_some(Undecided::MissingFinals { have, need })
}

struct Lost<'a> {
    key: &'a KeyHistory,
    index: Index<'a>,
    judged: Judged,
}

type Checked = Result<(), Box<Violation>>;

impl Lost<'_> {
    fn run(&mut self) -> Checked {
        if let Some((dot, one, other)) = self.index.reused() {
            return Err(Violation::new(self.key, Fault::DotReused(dot), [one, other], []));
        }
        let acknowledged = self.index.cells().flat_map(|(_, cell)| &cell.writers);
        let acknowledged = acknowledged.filter(|&&writer| self.index.operation(writer).is_done());
        self.judged.operations = acknowledged.count() as u64;
        let absent: BTreeMap<&Cell, Vec<bool>> = self
            .index
            .cells()
            .map(|(cell, index)| (cell, self.index.may_be_absent(index, Nanos::MAX)))
            .collect();
        let mut judged = self.judged;
        for state in &self.key.finals {
            let live: BTreeMap<&Cell, &LiveCell> =
                state.cells.iter().map(|live| (&live.cell, live)).collect();
            for (cell, index) in self.index.cells() {
                match live.get(cell) {
                    None => self.absent(state, cell, index, &absent[cell], &mut judged)?,
                    Some(live) => self.dots_kept(state, live, index, &mut judged)?,
                }
            }
            for live in &state.cells {
                self.accounted_for(state, live, &mut judged)?;
            }
        }
        self.judged = judged;
        self.owners_agree()
    }

    /// The cell is not live: no acknowledged write of it may be without a possible removal.
    fn absent(
        &self,
        state: &FinalState,
        cell: &Cell,
        index: &CellIndex,
        absent: &[bool],
        judged: &mut Judged,
    ) -> Checked {
        for (&writer, &may_be_absent) in index.writers.iter().zip(absent) {
            if !self.index.operation(writer).is_done() {
                continue;
            }
            if may_be_absent {
                judged.excused += 1;
            } else {
                let fault = Fault::Lost(cell.clone());
                return Err(Violation::at_the_end(self.key, fault, [writer], [state]));
            }
        }
        judged.claims += 1;
        Ok(())
    }

    /// The cell is live, with dots: those of acknowledged writes are among them unless dropped.
    fn dots_kept(
        &self,
        state: &FinalState,
        live: &LiveCell,
        index: &CellIndex,
        judged: &mut Judged,
    ) -> Checked {
        let Some(dots) = &live.dots else { return Ok(()) };
        let dots: BTreeSet<Dot> = dots.iter().copied().collect();
        for &writer in &index.writers {
            let operation = self.index.operation(writer);
            let Some(dot) = operation.dot().filter(|_| operation.is_done()) else { continue };
            judged.claims += 1;
            if dots.contains(&dot) {
                continue;
            }
            if !self.index.may_be_dropped(index, writer, Nanos::MAX) {
                let fault = Fault::Lost(live.cell.clone());
                return Err(Violation::at_the_end(self.key, fault, [writer], [state]));
            }
            judged.excused += 1;
        }
        Ok(())
    }

    /// The live cell comes from writes that were not removed.
    fn accounted_for(&self, state: &FinalState, live: &LiveCell, judged: &mut Judged) -> Checked {
        judged.claims += 1;
        match &live.dots {
            Some(dots) => self.dots_accounted_for(state, &live.cell, dots)?,
            None if live.values.is_empty() => self.value_accounted_for(state, live, None)?,
            None => {}
        }
        live.values.iter().try_for_each(|value| self.value_accounted_for(state, live, Some(value)))
    }

    fn dots_accounted_for(&self, state: &FinalState, cell: &Cell, dots: &[Dot]) -> Checked {
        let dots: BTreeSet<Dot> = dots.iter().copied().collect();
        let sources = self.index.sources(cell, None);
        let untold = sources.iter().filter(|&&source| self.index.operation(source).dot().is_none());
        let mut strangers_max = untold.count();
        let mut phantom = dots.is_empty();
        let mut evidence = Vec::new();
        for dot in dots {
            match self.index.minter(dot) {
                Some(minter) if self.writes(minter, cell) => {
                    if let Some(observer) = self.index.done_observers(minter).next() {
                        return self.resurrected(state, cell, [minter, observer]);
                    }
                }
                Some(minter) => {
                    evidence.push(minter);
                    phantom = true;
                }
                None => {
                    if let Some(observer) = self.index.done_observer_of(dot) {
                        return self.resurrected(state, cell, [observer]);
                    }
                    phantom |= strangers_max == 0;
                    strangers_max = strangers_max.saturating_sub(1);
                }
            }
        }
        if phantom {
            let fault = Fault::Phantom(cell.clone());
            return Err(Violation::at_the_end(self.key, fault, evidence, [state]));
        }
        Ok(())
    }

    fn writes(&self, writer: usize, cell: &Cell) -> bool {
        crate::index::writes(&self.index.operation(writer).action, cell, None)
    }

    fn value_accounted_for(
        &self,
        state: &FinalState,
        live: &LiveCell,
        value: Option<&Name>,
    ) -> Checked {
        let sources = self.index.sources(&live.cell, value);
        if sources.is_empty() {
            let fault = Fault::Phantom(live.cell.clone());
            // That it was refused and is there says more than that it is there.
            let refused = self.refused_writes(&live.cell, value);
            return Err(Violation::at_the_end(self.key, fault, refused, [state]));
        }
        let mut removers = Vec::new();
        for &source in &sources {
            match self.index.done_observers(source).next() {
                Some(observer) => removers.push(observer),
                None => return Ok(()),
            }
        }
        self.resurrected(state, &live.cell, sources.into_iter().chain(removers))
    }

    fn resurrected(
        &self,
        state: &FinalState,
        cell: &Cell,
        operations: impl IntoIterator<Item = usize>,
    ) -> Checked {
        let fault = Fault::Resurrected(cell.clone());
        Err(Violation::at_the_end(self.key, fault, operations, [state]))
    }

    fn refused_writes(&self, cell: &Cell, value: Option<&Name>) -> Vec<usize> {
        let operations = self.key.operations.iter().enumerate();
        let refused = operations.filter(|(_, operation)| {
            !operation.is_possible() && crate::index::writes(&operation.action, cell, value)
        });
        refused.map(|(at, _)| at).collect()
    }

    fn owners_agree(&mut self) -> Checked {
        for pair in self.key.finals.windows(2) {
            self.judged.claims += 1;
            let [one, other] = pair else { continue };
            let ignore_dots = [one, other].iter().any(|s| s.cells.iter().any(|c| c.dots.is_none()));
            if one.counter != other.counter
                || comparable(one, ignore_dots) != comparable(other, ignore_dots)
            {
                return Err(Violation::at_the_end(self.key, Fault::OwnersDiffer, [], pair));
            }
        }
        Ok(())
    }
}

/// The live cells in one order, without dots if not all of the states to compare have them.
fn comparable(state: &FinalState, ignore_dots: bool) -> Vec<LiveCell> {
    let mut cells = state.cells.clone();
    for cell in &mut cells {
        cell.values.sort_unstable();
        if ignore_dots {
            cell.dots = None;
        }
        if let Some(dots) = &mut cell.dots {
            dots.sort_unstable();
        }
    }
    cells.sort_unstable();
    cells
}
