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
    /// Invariant 18: a hint goes to the owner it was kept for, though that owns the slice no more.
    HintToLeaver,
    /// Invariant 18: a full store of hints makes room by dropping one that was counted for an acknowledgement.
    CountedHintDropped,
    /// Invariant 18: a hint is deleted once it is sent.
    HintDeletedUnacknowledged,
    /// Invariant 1: a fallback goes on under its actor though hints minted under it are gone.
    FallbackActorKept,
    /// Invariant 19: a hint that is too old for its owner is sent on as if it were of today.
    StaleHintRenamed,
    /// Invariant 1: actors of an earlier life of the storage are gone on with.
    ActorsSurviveLoss,
    /// Invariant 2: an owner that has lost what it acknowledged goes on as if it had not.
    AmnesiacCounts,
    /// Invariant 1: a slice that is owned again goes on under its former actor.
    DotReuseAfterReacquisition,
    /// Invariant 17: a push begins before the fence is on disk.
    PushBeforeFence,
    /// Invariant 17: a push counts for a copy that took the place of the one it was made to.
    PushToFormerCopy,
    /// Invariant 17: whatever owners have, an assignment that was evaluated on the coordinator's rows is taken for confirmed.
    ConfirmedUnseen,
    /// Invariant 19: remains are dropped once they were reported, whoever may still have older state.
    PurgeByClock,
    /// Invariant 19: a purge goes on though not all owners have reported the same.
    PurgeBeforeAllReports,
    /// Invariant 19: a member confirms a purge epoch with older hints in its store.
    PurgeWithHints,
    /// Invariant 19: remains are dropped though the key was written again.
    DropWithoutCompare,
    /// Invariant 19: a purge epoch is adopted in memory only.
    EpochNotDurable,
    /// Invariant 1: a purge epoch begins under the former actor.
    DotReuseAfterPurge,
    /// Finding 1: a linearizable read writes back what it joined and answers, whatever owners have by then: an ABD
    /// read, which is not enough for values that merge.
    ReadWithWriteBack,
    /// Invariant 20: a leaf is the XOR of its keys' digests, of which equal ones cancel.
    XorLeaf,
    /// Invariant 2: an owner that has lost votes on strong keys votes again as soon as it is synchronised.
    LostVotesCount,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 23] = [
        Mutant::DoubleCoordination,
        Mutant::AckBeforeSync,
        Mutant::ExpiredExecuted,
        Mutant::HintToLeaver,
        Mutant::CountedHintDropped,
        Mutant::HintDeletedUnacknowledged,
        Mutant::FallbackActorKept,
        Mutant::StaleHintRenamed,
        Mutant::ActorsSurviveLoss,
        Mutant::AmnesiacCounts,
        Mutant::DotReuseAfterReacquisition,
        Mutant::PushBeforeFence,
        Mutant::PushToFormerCopy,
        Mutant::ConfirmedUnseen,
        Mutant::PurgeByClock,
        Mutant::PurgeBeforeAllReports,
        Mutant::PurgeWithHints,
        Mutant::DropWithoutCompare,
        Mutant::EpochNotDurable,
        Mutant::DotReuseAfterPurge,
        Mutant::ReadWithWriteBack,
        Mutant::XorLeaf,
        Mutant::LostVotesCount,
    ];
}

coterie_crdt::mutant_switch!();
