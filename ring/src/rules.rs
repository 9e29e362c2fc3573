//! Rules that a test can switch off one at a time, to show that each is needed.

/// Which of the rules `R` is off; without the feature `mutants` none can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules<R> {
    #[cfg(feature = "mutants")]
    off: Option<R>,
    #[cfg(not(feature = "mutants"))]
    off: std::marker::PhantomData<R>,
}

impl<R> Default for Rules<R> {
    fn default() -> Self {
        Rules { off: Default::default() }
    }
}

impl<R: Copy + PartialEq> Rules<R> {
    #[cfg(feature = "mutants")]
    pub(crate) fn lack(self, rule: R) -> bool {
        self.off == Some(rule)
    }

    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
    pub(crate) fn lack(self, _rule: R) -> bool {
        false
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn switch_off(&mut self, rule: R) {
        self.off = Some(rule);
    }
}
