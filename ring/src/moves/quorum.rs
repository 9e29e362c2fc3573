//! How many owners of a set must answer.

/// A number of owners, counted over the set at hand: sets of one move may differ in size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quorum {
    /// So many, but at least one; all of a smaller set.
    Count(u8),
    /// More than half.
    Majority,
    /// Every one.
    All,
}

impl Quorum {
    /// The owners needed of a set of `owners`; never more than there are.
    #[must_use]
    pub fn of(self, owners: usize) -> usize {
        match self {
            Self::Count(count) => usize::from(count).max(1).min(owners),
            Self::Majority => owners / 2 + 1,
            Self::All => owners,
        }
    }
}
