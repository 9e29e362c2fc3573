//! States: all rows of one key, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use crate::address::{Address, AddressRange};
use crate::cell::Cell;
use crate::cells::{Cells, Direction, bounds};
use crate::delta::Delta;
use crate::digest::key_digest;
use crate::footprint::Footprint;
use crate::join::{Changes, Derived, adopt_context, join_delta, join_partial, sweep};
use crate::partial::{Partial, walk};
use crate::payload::Score;
use crate::root::Root;

/// All rows of one key in memory, derived ones included: a replica in tests and simulations, and what
/// a fetched key is held in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    root: Root,
    cells: BTreeMap<Address, Cell>,
    scores: BTreeSet<(Score, Bytes)>,
    tallied: BTreeSet<Address>,
    deadlines: BTreeSet<(u64, Bytes)>,
}

impl State {
    /// A key that was never written.
    pub fn new() -> Self {
        State::default()
    }

    /// From rows as stored; derived ones are derived anew.
    pub fn from_rows(root: Root, cells: BTreeMap<Address, Cell>) -> Self {
        let scored = cells.iter().filter(|(address, _)| address.kind == crate::Kind::Scored);
        let scores = scored
            .filter_map(|(address, cell)| Some((cell.score()?, address.path.clone())))
            .collect();
        let tallied = cells.iter().filter(|(_, cell)| cell.has_standing_tallies());
        let tallied = tallied.map(|(address, _)| address.clone()).collect();
        let fields = cells.iter().filter(|(address, _)| address.kind == crate::Kind::Field);
        let deadlines = fields
            .filter_map(|(address, cell)| Some((cell.deadline()?, address.path.clone())))
            .collect();
        State { root, cells, scores, tallied, deadlines }
    }

    /// The rows outside the root.
    pub fn cells(&self) -> &BTreeMap<Address, Cell> {
        &self.cells
    }

    /// Fields with a deadline, in the order of these, in milliseconds since 1970.
    pub fn deadlines(&self) -> &BTreeSet<(u64, Bytes)> {
        &self.deadlines
    }

    /// The digest of the key.
    pub fn digest(&self) -> u128 {
        key_digest(&self.root)
    }

    /// Writes changes, as a storage would.
    pub fn apply(&mut self, changes: Changes) {
        self.root = changes.root;
        for (address, cell) in changes.cells {
            if cell.is_empty() {
                self.cells.remove(&address);
            } else {
                self.cells.insert(address, cell);
            }
        }
        for derived in changes.derived {
            match derived {
                Derived::Score { member, from, to } => {
                    if let Some(score) = from {
                        self.scores.remove(&(score, member.clone()));
                    }
                    if let Some(score) = to {
                        self.scores.insert((score, member));
                    }
                }
                Derived::Tallied { address, now: true } => {
                    self.tallied.insert(address);
                }
                Derived::Tallied { address, now: false } => {
                    self.tallied.remove(&address);
                }
                Derived::FieldDeadline { field, from, to } => {
                    if let Some(deadline) = from {
                        self.deadlines.remove(&(deadline, field.clone()));
                    }
                    if let Some(deadline) = to {
                        self.deadlines.insert((deadline, field));
                    }
                }
                Derived::Deadline { .. } => {}
            }
        }
    }

    /// Joins a delta.
    pub fn join_delta(&mut self, delta: &Delta) {
        self.apply(join_delta(self, delta));
    }

    /// Joins a partial state.
    pub fn join_partial(&mut self, partial: &Partial) {
        self.apply(join_partial(self, partial));
    }

    /// Joins a whole state: a whole-key synchronisation in one step.
    pub fn join(&mut self, other: &State) {
        let whole = Partial::extract(other, &Footprint::whole());
        self.join_partial(&whole);
        self.apply(adopt_context(self, whole.context()));
    }

    /// Sweeps a pending delete to its end.
    pub fn sweep(&mut self) {
        while self.root.pending.is_some() {
            self.apply(sweep(self, 64));
        }
    }
}

impl Cells for State {
    fn root(&self) -> Option<&Root> {
        (!self.root.is_empty()).then_some(&self.root)
    }

    fn cell(&self, address: &Address) -> Option<&Cell> {
        self.cells.get(address)
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
        let least = Score::new(f64::NEG_INFINITY).expect("a number");
        // `None` stands for a place after every score.
        let from = match scores.0 {
            Bound::Included(score) => Some((score, Bytes::new())),
            Bound::Excluded(score) => after(score),
            Bound::Unbounded => Some((least, Bytes::new())),
        };
        let to = match scores.1 {
            Bound::Included(score) => after(score),
            Bound::Excluded(score) => Some((score, Bytes::new())),
            Bound::Unbounded => None,
        };
        let range = from.filter(|from| to.as_ref().is_none_or(|to| from < to)).map(|from| {
            let to = to.map_or(Bound::Unbounded, Bound::Excluded);
            self.scores.range((Bound::Included(from), to))
        });
        walk(range.into_iter().flatten().map(|(score, member)| (*score, member)), direction)
    }

    fn tallied(&self) -> impl Iterator<Item = &Address> {
        self.tallied.iter()
    }
}

/// The place before the first member with a greater score; `None` where there is no greater one.
fn after(score: Score) -> Option<(Score, Bytes)> {
    let next = Score::new(score.get().next_up()).filter(|next| *next > score)?;
    Some((next, Bytes::new()))
}
