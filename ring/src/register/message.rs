//! What proposers and acceptors say to each other.

use super::Ballot;
use thiserror::Error;

/// What a proposer asks of an acceptor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request<Id, V> {
    /// Promise to accept nothing below `ballot`, and say what is accepted.
    Prepare {
        /// The attempt that begins.
        ballot: Ballot<Id>,
    },
    /// Accept `value`, unless something greater was promised.
    Accept {
        /// The attempt it belongs to.
        ballot: Ballot<Id>,
        /// What to accept.
        value: V,
        /// The same proposer's next attempt, prepared on the way: its next change takes one round trip.
        next: Option<Ballot<Id>>,
    },
    /// Say what is accepted, and promise nothing.
    Read {
        /// Tells this read's replies from those of an earlier one.
        nonce: u64,
    },
}

/// What an acceptor answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply<Id, V> {
    /// To a prepare: promised.
    Promised {
        /// The ballot prepared.
        ballot: Ballot<Id>,
        /// What was accepted before.
        accepted: Option<Accepted<Id, V>>,
    },
    /// To an accept: accepted.
    Accepted {
        /// The ballot accepted.
        ballot: Ballot<Id>,
        /// The next ballot, if it was promised too.
        next: Option<Ballot<Id>>,
    },
    /// To a read.
    State {
        /// The read's.
        nonce: u64,
        /// What is accepted.
        accepted: Option<Accepted<Id, V>>,
    },
    /// To a prepare or accept that came too late.
    Conflict {
        /// The ballot that was asked for.
        ballot: Ballot<Id>,
        /// The ballot to beat.
        promised: Ballot<Id>,
    },
    /// To a prepare or accept that no acceptor should have been sent; nothing changed.
    Refused {
        /// The ballot that was asked for.
        ballot: Ballot<Id>,
        /// Why.
        refusal: Refusal,
    },
}

/// A vote: the value and the attempt that carried it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Accepted<Id, V> {
    /// The attempt.
    pub ballot: Ballot<Id>,
    /// The value.
    pub value: V,
}

/// Why an acceptor does not consider a ballot at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// The round is more than [`ROUND_JUMP`](super::ROUND_JUMP) above what was promised.
    #[error("the round is above {limit}, the highest that may follow what was promised")]
    RoundTooHigh {
        /// The greatest round that would have been considered.
        limit: u64,
    },
    /// Rounds count from 1.
    #[error("round 0 is no attempt")]
    RoundZero,
    /// The ballot, or the next one it brings along, belongs to another node than the sender.
    #[error("the ballot is not the sender's own")]
    ForeignProposer,
    /// The next ballot is not above the one it comes with.
    #[error("the next ballot does not follow the ballot")]
    NextNotAbove,
}
