//! Historical bugs as run-time switches, so that the simulator can show that each would be caught.
//!
//! Without the feature `mutants` every switch is off and costs nothing.

/// A bug that some store of this kind really had (numbers: `reliability.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Invariant 3: a forwarder that hears nothing has the request coordinated again.
    DoubleCoordination,
    /// Invariant 11: the coordinator counts its own copy before it is durable.
    AckBeforeSync,
    /// A request whose deadline has passed is executed all the same.
    ExpiredExecuted,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 3] =
        [Mutant::DoubleCoordination, Mutant::AckBeforeSync, Mutant::ExpiredExecuted];
}

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
