//! Cells: the one shape that every type is made of.

use smallvec::SmallVec;

use crate::context::Context;
use crate::decimal::Decimal;
use crate::dot::Dot;
use crate::kind::Kind;
use crate::mutants::{Mutant, mutant};
use crate::payload::{Payload, Score};
use crate::stamp::{HybridTime, Stamp};
use crate::tally::{Share, Tally, decimal_sum, float_sum};

/// The live dots of one address with their payloads, and its tallies.
///
/// A cell exists if it has a live dot; tallies never decide. Empty cells are not stored, nor are
/// tallies to which nothing was ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    dots: SmallVec<[(Dot, Payload); 1]>,
    tallies: SmallVec<[(Share, Tally); 0]>,
}

impl Cell {
    /// A cell with nothing in it.
    pub fn new() -> Self {
        Cell::default()
    }

    /// From parts that may come from elsewhere: `None` unless both are sorted and the tallies nonzero.
    pub fn from_parts(
        dots: impl IntoIterator<Item = (Dot, Payload)>,
        tallies: impl IntoIterator<Item = (Share, Tally)>,
    ) -> Option<Self> {
        let cell =
            Cell { dots: dots.into_iter().collect(), tallies: tallies.into_iter().collect() };
        let sorted = cell.dots.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && cell.tallies.windows(2).all(|pair| pair[0].0 < pair[1].0);
        (sorted && cell.tallies.iter().all(|(_, tally)| !tally.is_zero())).then_some(cell)
    }

    /// The live dots, sorted.
    pub fn dots(&self) -> &[(Dot, Payload)] {
        &self.dots
    }

    /// The tallies, sorted by share.
    pub fn tallies(&self) -> &[(Share, Tally)] {
        &self.tallies
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.dots.is_empty() && self.tallies.is_empty()
    }

    /// Whether a client sees it: it has a live dot, and none that removes where removal wins. A field's
    /// deadline makes nothing visible, and time does not matter here.
    pub fn is_live(&self, kind: Kind) -> bool {
        let removed = || self.dots.iter().any(|(_, payload)| *payload == Payload::Removed);
        match kind {
            Kind::GuardedMember | Kind::DisableFlag => !self.dots.is_empty() && !removed(),
            Kind::Field => self.has_content(),
            Kind::Register
            | Kind::Nested
            | Kind::Element
            | Kind::Member
            | Kind::GrowOnlyMember
            | Kind::Scored
            | Kind::Sketch
            | Kind::EnableFlag
            | Kind::Expiry => !self.dots.is_empty(),
        }
    }

    /// Whether a dot is more than a deadline.
    pub(crate) fn has_content(&self) -> bool {
        self.dots.iter().any(|(_, payload)| !payload.is_deadline())
    }

    /// Whether a dot is a deadline.
    pub fn has_deadline(&self) -> bool {
        self.dots.iter().any(|(_, payload)| payload.is_deadline())
    }

    /// Puts a dot in.
    pub fn insert(&mut self, dot: Dot, payload: Payload) {
        match self.dots.binary_search_by_key(&dot, |entry| entry.0) {
            Ok(at) => self.dots[at].1 = payload,
            Err(at) => self.dots.insert(at, (dot, payload)),
        }
    }

    /// Drops the dots that `keep` is false for.
    pub fn retain(&mut self, mut keep: impl FnMut(Dot, &Payload) -> bool) {
        self.dots.retain(|(dot, payload)| keep(*dot, payload));
    }

    /// This cell without the dots in `context`.
    #[must_use]
    pub fn without(&self, context: &Context) -> Cell {
        let mut cell = self.clone();
        cell.retain(|dot, _| !context.contains(dot));
        cell
    }

    /// The tally of one share; zero where there is none.
    pub fn tally(&self, share: Share) -> Tally {
        let found = self.tallies.binary_search_by_key(&share, |entry| entry.0);
        found.map_or_else(|_none| Tally::default(), |at| self.tallies[at].1)
    }

    /// Whether it has tallies that a removal would have to take back.
    pub fn has_standing_tallies(&self) -> bool {
        self.tallies.iter().any(|(_, tally)| tally.is_standing())
    }

    /// Joins in every tally of `other` that a removal would have to take back.
    pub(crate) fn carry_standing(&mut self, other: &Cell) {
        let standing = other.tallies.iter().filter(|(_, tally)| tally.is_standing());
        if self.tallies.is_empty() {
            self.tallies.reserve(other.tallies.len());
            self.tallies.extend(standing.copied());
        } else {
            standing.for_each(|(share, tally)| self.join_tally(*share, tally));
        }
    }

    /// Joins one share's tally in.
    pub fn join_tally(&mut self, share: Share, tally: &Tally) {
        match self.tallies.binary_search_by_key(&share, |entry| entry.0) {
            Ok(at) => self.tallies[at].1.join(tally),
            Err(_) if tally.is_zero() => {}
            Err(at) => self.tallies.insert(at, (share, *tally)),
        }
    }

    /// The least upper bound of this cell under `context` and `theirs` under `their_context`:
    /// the dots that both have, mine that their context lacks, and theirs that mine lacks; tallies by
    /// component-wise maximum.
    ///
    /// A dot that only one has and both contexts know was removed by the other (invariants 6, 7).
    pub fn join(&mut self, context: &Context, theirs: &Cell, their_context: &Context) {
        self.join_knowing(|dot| context.contains(dot), theirs, their_context);
    }

    /// As [`Cell::join`], where what this side knows is not one context.
    pub(crate) fn join_knowing(
        &mut self,
        knows: impl Fn(Dot) -> bool,
        theirs: &Cell,
        their_context: &Context,
    ) {
        let both_sides_keep = mutant(Mutant::BothSidesKeep);
        let has =
            |cell: &Cell, dot: Dot| cell.dots.binary_search_by_key(&dot, |entry| entry.0).is_ok();
        self.dots.retain(|(dot, _)| {
            has(theirs, *dot) || !their_context.contains(*dot) || both_sides_keep
        });
        for (dot, payload) in &theirs.dots {
            if !knows(*dot) {
                self.insert(*dot, payload.clone());
            }
        }
        for (share, tally) in &theirs.tallies {
            self.join_tally(*share, tally);
        }
    }

    /// The assigned dot that a last-writer-wins reading shows: the greatest stamp's, deadlines aside.
    pub fn winner(&self) -> Option<(Stamp, &Payload)> {
        self.latest(|payload| !payload.is_deadline())
    }

    /// The greatest stamp of an assignment here, deadlines included.
    pub(crate) fn last(&self) -> Option<Stamp> {
        self.latest(|_| true).map(|(stamp, _)| stamp)
    }

    fn latest(&self, which: impl Fn(&Payload) -> bool) -> Option<(Stamp, &Payload)> {
        let chosen = self.dots.iter().filter(|(_, payload)| which(payload));
        let stamped = chosen.filter_map(|(dot, payload)| {
            let dot = if mutant(Mutant::StampWithoutTieBreak) {
                Dot::new(crate::Actor(0), 1)
            } else {
                *dot
            };
            payload.time().map(|time| (Stamp { time, dot }, payload))
        });
        stamped.reduce(|best, next| if next.0 > best.0 { next } else { best })
    }

    /// The greatest time of an assignment here, deadlines included.
    pub fn time(&self) -> Option<HybridTime> {
        self.dots.iter().filter_map(|(_, payload)| payload.time()).max()
    }

    /// The bytes of the winning assignment, tallies aside.
    pub fn assigned(&self) -> Option<&bytes::Bytes> {
        match self.winner()?.1 {
            Payload::Value(_, value) => Some(value),
            Payload::Present
            | Payload::Removed
            | Payload::Score(..)
            | Payload::Rank(_)
            | Payload::Deadline(..) => None,
        }
    }

    /// What the tallies of a register or field add up to.
    pub fn decimal_sum(&self) -> Decimal {
        decimal_sum(self.tallies.iter().map(|(_, tally)| tally))
    }

    /// A sorted set member's score, or `None` where it is not live.
    pub fn score(&self) -> Option<Score> {
        if self.dots.is_empty() {
            return None;
        }
        let base = match self.winner() {
            Some((_, Payload::Score(_, score))) => score.get(),
            _ => 0.0,
        };
        Some(float_sum(base, self.tallies.iter().map(|(_, tally)| tally)))
    }

    /// A HyperLogLog register's rank; 0 where it is not live.
    pub fn rank(&self) -> u8 {
        let rank = |payload: &Payload| if let Payload::Rank(rank) = payload { *rank } else { 0 };
        self.dots.iter().map(|(_, payload)| rank(payload)).max().unwrap_or(0)
    }

    /// When the key or the field expires, by the latest stamp, in milliseconds since 1970.
    pub fn deadline(&self) -> Option<u64> {
        match self.latest(Payload::is_deadline)?.1 {
            Payload::Deadline(_, deadline) => *deadline,
            Payload::Present
            | Payload::Removed
            | Payload::Value(..)
            | Payload::Score(..)
            | Payload::Rank(_) => None,
        }
    }
}
