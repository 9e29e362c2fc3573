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

/// Which rule is off; without the feature `mutants` none can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rules {
    #[cfg(feature = "mutants")]
    off: Option<Rule>,
}

impl Rules {
    #[cfg(feature = "mutants")]
    pub(super) fn lack(self, rule: Rule) -> bool {
        self.off == Some(rule)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    pub(super) const fn lack(self, _rule: Rule) -> bool {
        false
    }

    #[cfg(feature = "mutants")]
    pub(super) fn switch_off(&mut self, rule: Rule) {
        self.off = Some(rule);
    }
}
