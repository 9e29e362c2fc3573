//! Minting: where new dots, stamps and random choices of an operation come from.

use crate::context::Context;
use crate::dot::{Actor, Dot};
use crate::mutants::{Mutant, mutant};
use crate::operation::Limits;
use crate::stamp::{Clock, HybridTime};

/// An actor that has come this far is not gone on with, so that sequences never overflow.
const SEQUENCE_MAX: u64 = 1 << 60;

/// The actors under which a node may still mint for one partition.
///
/// Which ones are unspent is decided by the storage and the protocol (DESIGN §4, "Minting"): a node
/// that may have lost a dot it minted under an actor has spent that actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actors {
    /// Oldest first; the last is the current one.
    unspent: Vec<Actor>,
}

impl Actors {
    /// A node that has just drawn `current` and has spent all earlier ones.
    pub fn new(current: Actor) -> Self {
        Actors { unspent: vec![current] }
    }

    /// The actors as they were stored, oldest first; `None` if there is none.
    pub fn stored(unspent: impl IntoIterator<Item = Actor>) -> Option<Self> {
        let unspent: Vec<Actor> = unspent.into_iter().collect();
        (!unspent.is_empty()).then_some(Actors { unspent })
    }

    /// All of them, oldest first, to be stored.
    pub fn unspent(&self) -> &[Actor] {
        &self.unspent
    }

    /// The actor under which new keys start.
    pub fn current(&self) -> Actor {
        *self.unspent.last().expect("a node always has a current actor")
    }

    /// Draws a new actor and spends none: keys known under an older one go on under it.
    pub fn draw(&mut self, actor: Actor) {
        self.unspent.push(actor);
    }

    /// The next dot for a key with this context: under the newest unspent actor in it, else the first
    /// of the current one.
    ///
    /// `context` must hold all that this replica knows of the key ([`Root::minted`]); then no dot is minted
    /// twice (invariant 1). `None` where somebody claims to have seen so many dots of the current actor that it
    /// cannot be gone on with: draw another.
    ///
    /// [`Root::minted`]: crate::Root::minted
    pub fn next_dot(&self, context: &Context) -> Option<Dot> {
        let known = self.unspent.iter().rev().map(|&actor| (actor, context.greatest(actor)));
        match known.into_iter().find(|&(_, greatest)| greatest > 0 && greatest < SEQUENCE_MAX) {
            Some(_) if mutant(Mutant::DotReuse) => Some(Dot::new(self.current(), 1)),
            Some((actor, greatest)) => Some(Dot::new(actor, greatest + 1)),
            None => (context.greatest(self.current()) == 0).then(|| Dot::new(self.current(), 1)),
        }
    }
}

/// Gives one evaluation its dots, stamps, time and randomness.
#[derive(Debug)]
pub struct Mint<'c> {
    next: Dot,
    clock: &'c mut Clock,
    wall_millis: u64,
    random: u64,
    limits: Limits,
    lifetime_millis: Option<u64>,
}

impl<'c> Mint<'c> {
    /// A mint whose first dot is `next` ([`Actors::next_dot`]).
    ///
    /// `wall_millis` is the wall clock in milliseconds since 1970: it stamps assignments and says which
    /// keys have expired. `random` decides what `SPOP` and its like choose.
    pub fn new(next: Dot, clock: &'c mut Clock, wall_millis: u64, random: u64) -> Self {
        let limits = Limits::default();
        Mint { next, clock, wall_millis, random, limits, lifetime_millis: None }
    }

    /// The same with other limits on what clients may write.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same for keys that live so long, unless a write says otherwise: from the one that begins them, or
    /// that replaces their value (`SET`).
    #[must_use]
    pub fn with_lifetime(mut self, millis: Option<u64>) -> Self {
        self.lifetime_millis = millis;
        self
    }

    /// When a key that begins now expires, in milliseconds since 1970, unless a write says otherwise.
    pub(crate) fn default_deadline(&self) -> Option<u64> {
        Some(self.wall_millis.saturating_add(self.lifetime_millis?))
    }

    /// The limits on what clients may write.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn wall_millis(&self) -> u64 {
        self.wall_millis
    }

    /// The actor that mints.
    pub fn actor(&self) -> Actor {
        self.next.actor
    }

    /// The dot that [`Mint::dot`] gives next.
    pub(crate) fn peek(&self) -> Dot {
        self.next
    }

    /// A new dot.
    pub(crate) fn dot(&mut self) -> Dot {
        let dot = self.next;
        if !mutant(Mutant::DotSpansCells) {
            self.next.sequence += 1;
        }
        dot
    }

    /// A time above `observed`, so that a causally later assignment wins whatever the clocks say. One
    /// that has to be above a time from far ahead is taken without moving the clock (invariant 10).
    pub(crate) fn time_above(&mut self, observed: Option<HybridTime>) -> HybridTime {
        let now = self.clock.tick(self.wall_millis);
        match observed {
            Some(observed) if !mutant(Mutant::StampBelowObserved) => now.max(observed.next()),
            Some(_) | None => now,
        }
    }

    /// A random number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64 (Steele et al. 2014); the bias of the remainder is below 2⁻⁴⁰ for any set that fits.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_on_under_the_newest_unspent_actor_that_it_knows() {
        let (old, current) = (Actor(1), Actor(2));
        let mut actors = Actors::new(old);
        let known: Context = [Dot::new(old, 1), Dot::new(old, 2)].into_iter().collect();
        assert_eq!(actors.next_dot(&known), Some(Dot::new(old, 3)));
        actors.draw(current);
        assert_eq!(actors.next_dot(&known), Some(Dot::new(old, 3)));
        assert_eq!(actors.next_dot(&Context::new()), Some(Dot::new(current, 1)));
        assert_eq!(Actors::new(current).next_dot(&known), Some(Dot::new(current, 1)));
    }

    #[test]
    fn an_actor_that_somebody_exhausted_is_not_gone_on_with() {
        let claimed: Context = [Dot::new(Actor(1), u64::MAX)].into_iter().collect();
        assert_eq!(Actors::new(Actor(1)).next_dot(&claimed), None);
    }

    #[test]
    fn a_dot_known_only_in_the_cloud_is_not_minted_again() {
        let cloud: Context = [Dot::new(Actor(1), 9)].into_iter().collect();
        assert_eq!(Actors::new(Actor(1)).next_dot(&cloud), Some(Dot::new(Actor(1), 10)));
    }
}
