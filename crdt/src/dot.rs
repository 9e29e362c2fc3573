//! Dots: the names of single writes.

use std::fmt;

/// A 64-bit random id under which a node mints dots for one partition.
///
/// A node draws a new one whenever it can no longer prove which dots it has minted (DESIGN §4,
/// "Minting"), so two processes never mint under the same actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Actor(pub u64);

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One write to one cell of one key: minted once, ever (invariant 1).
///
/// Sequences start at 1 for each actor and key. An operation that only removes mints a dot too, which
/// then lives in no cell (an *event dot*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who minted it.
    pub actor: Actor,
    /// Which of the actor's dots for this key; never 0.
    pub sequence: u64,
}

impl Dot {
    /// The dot `sequence` of `actor`.
    pub const fn new(actor: Actor, sequence: u64) -> Self {
        Dot { actor, sequence }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.actor, self.sequence)
    }
}
