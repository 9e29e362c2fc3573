//! The rules of a register that a test can switch off one at a time.

/// What keeps a register correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "named where they hold"))]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "public to tests only"))]
pub enum Rule {
    /// A proposer goes on with the value of the greatest ballot, and never joins values of several.
    HighestBallot,
    /// An acceptor accepts nothing below what it promised.
    PromiseBinds,
    /// A promise is durable before it is given.
    DurablePromise,
    /// Both phases need a majority.
    Majority,
    /// A one-round-trip read needs one ballot at a majority.
    OneBallotRead,
    /// A value kept without a second phase was shown by a majority at one ballot.
    KeepIsChosen,
}

/// The rules of this module, each on unless a test has switched it off.
pub(super) type Rules = crate::rules::Rules<Rule>;
