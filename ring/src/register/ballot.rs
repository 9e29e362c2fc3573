//! The order of attempts to change a register.

/// How far one message may raise a register's round: 2^32.
///
/// A register whose round reached `u64::MAX` could never change again. With this bound no single
/// message can bring it there, and it would take 2^32 that each pass. An acceptor that missed more
/// than this many changes refuses to vote until it has been brought up to date by other means.
pub const ROUND_JUMP: u64 = 1 << 32;

/// One attempt of one proposer; the greatest ballot with a promise wins.
///
/// Ordered by round, then proposer, then session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot<Id> {
    /// Counts attempts on the register, from 1.
    pub round: u64,
    /// The node whose attempt it is.
    pub proposer: Id,
    /// Drawn at random by each proposer when it is made. A proposer keeps its rounds in memory only;
    /// the session keeps its ballots distinct from those of the process it was before a restart.
    pub session: u64,
}

impl<Id> Ballot<Id> {
    /// The greatest round that may follow a promise of `promised`.
    pub(super) fn round_limit(promised: Option<&Self>) -> u64 {
        promised.map_or(0, |ballot| ballot.round).saturating_add(ROUND_JUMP)
    }
}
