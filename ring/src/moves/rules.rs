//! The rules of a move that a test can switch off one at a time.

/// What keeps a move safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "mutants"), expect(unreachable_pub, reason = "public to tests only"))]
pub enum Rule {
    /// A replica that knows a set refuses writes tagged with an older one.
    Fence,
    /// The fence is durable before a push counts on it.
    DurableFence,
    /// A write needs W in each older set.
    OldQuorum,
    /// A write needs W in the newest set.
    NewQuorum,
    /// A new owner answers reads only once it has received enough.
    Ready,
    /// Enough are the pushes of R older owners, not one.
    ReadQuorumOfPushes,
    /// A push counts only if its sender was fenced before.
    PushAfterFence,
    /// A retired owner refuses reads of what it retired from.
    RetiredRefuses,
    /// Owners retire when all of the newest set are complete, not the first.
    RetireLast,
    /// Removed owners are excused only while N − W + 1 others have pushed.
    EnoughRealPushes,
    /// A retired copy is kept for the hold, and until it was seen equal to the owners'.
    Hold,
    /// Where an older owner answers a linearizable read with *retired*, new owners must be ready.
    ReadyAfterRetired,
}

/// The rules of this module, each on unless a test has switched it off.
pub(super) type Rules = crate::rules::Rules<Rule>;
