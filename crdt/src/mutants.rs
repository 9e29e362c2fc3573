//! Historical bugs as run-time switches, so that the tests can show that each would be caught.
//!
//! Without the feature `mutants` every switch is off and costs nothing.

/// A bug that some store of this kind really had (numbers: `reliability.md` §1), or that a slip in this
/// crate would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Invariant 1: sequences start again at 1 under an actor that minted before.
    DotReuse,
    /// Invariant 5: a delta claims its coordinator's whole context.
    DeltaClaimsContext,
    /// Invariant 5: a replica takes in the whole context of a partial state.
    PartialClaimsContext,
    /// Invariant 6: what is on both sides or on mine is kept, whatever their context says.
    BothSidesKeep,
    /// Invariant 7: the digest covers the context but not the live dots.
    DigestOfContextOnly,
    /// Invariant 7: the digest covers the live dots but not the context.
    DigestWithoutContext,
    /// Invariant 8: a reset sets sums to zero instead of raising what it observed.
    ResetToZero,
    /// A reset's delta lacks the (p, n) that it observed.
    ResetWithoutAmounts,
    /// Invariant 9: concurrent assignments are ordered by time alone.
    StampWithoutTieBreak,
    /// A write takes a stamp that may be below the one it observed.
    StampBelowObserved,
    /// Two cells written by one operation share a dot.
    DotSpansCells,
    /// A removal mints no dot.
    NoEventDot,
    /// A write that drops dots without taking back their cell's tallies does not carry these along.
    DropWithoutTallies,
    /// Sums and counts leave out every dot at once, though a whole-key delete does not cover them all.
    SettleUncovered,
    /// A removal that is to win over concurrent adds leaves nothing behind.
    RemovalForgotten,
    /// Invariant 5: a transfer's whole context is taken in with its first chunk.
    ContextClaimedTooEarly,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 16] = [
        Mutant::DotReuse,
        Mutant::DeltaClaimsContext,
        Mutant::PartialClaimsContext,
        Mutant::BothSidesKeep,
        Mutant::DigestOfContextOnly,
        Mutant::DigestWithoutContext,
        Mutant::ResetToZero,
        Mutant::ResetWithoutAmounts,
        Mutant::StampWithoutTieBreak,
        Mutant::StampBelowObserved,
        Mutant::DotSpansCells,
        Mutant::NoEventDot,
        Mutant::DropWithoutTallies,
        Mutant::SettleUncovered,
        Mutant::RemovalForgotten,
        Mutant::ContextClaimedTooEarly,
    ];
}

/// Makes the switch of a crate's `Mutant`, which has to be in scope: `with_mutant` for tests, and `mutant`
/// for the places that a bug is put into. Without the caller's feature `mutants` every switch is off.
#[macro_export]
macro_rules! mutant_switch {
    () => {
        #[cfg(feature = "mutants")]
        mod switch {
            use std::cell::Cell;

            use super::Mutant;

            thread_local! {
                static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
            }

            /// Runs `body` with `mutant` switched on in this thread.
            pub fn with_mutant<T>(mutant: Mutant, body: impl FnOnce() -> T) -> T {
                struct Off;
                impl Drop for Off {
                    fn drop(&mut self) {
                        ACTIVE.set(None);
                    }
                }
                let _off = Off;
                ACTIVE.set(Some(mutant));
                body()
            }

            pub(crate) fn mutant(mutant: Mutant) -> bool {
                ACTIVE.get() == Some(mutant)
            }
        }

        #[cfg(feature = "mutants")]
        pub(crate) use switch::mutant;
        #[cfg(feature = "mutants")]
        pub use switch::with_mutant;

        #[cfg(not(feature = "mutants"))]
        pub(crate) const fn mutant(_: Mutant) -> bool {
            false
        }
    };
}

mutant_switch!();
