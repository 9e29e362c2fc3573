//! Violations: which law was broken, and how.

use std::fmt;

/// A law that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Which law.
    pub(crate) law: &'static str,
    /// What was found, and the history that led there.
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.detail)
    }
}

/// Nothing, or a violation of `law` with whatever `detail` tells.
pub(crate) fn ensure(
    holds: bool,
    law: &'static str,
    detail: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { law, detail: detail() }) }
}
