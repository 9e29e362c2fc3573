//! The voter of a register: what it promised and what it accepted.

use super::rules::{Rule, Rules};
use super::{Accepted, Ballot, Refusal, Reply, Request};

/// One replica of a register.
///
/// All of it is durable state: after each [`Answer`] with `persist` the caller stores the acceptor
/// ([`Wire`](super::Wire)) and only then sends the reply. An acceptor that lost what it stored must not
/// vote again (reliability invariant 2); that is the caller's to notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acceptor<Id, V> {
    pub(super) promised: Option<Ballot<Id>>,
    pub(super) accepted: Option<Accepted<Id, V>>,
    pub(super) rules: Rules,
}

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answer<Id, V> {
    /// What to send back.
    pub reply: Reply<Id, V>,
    /// Whether the acceptor changed, and has to be durable before the reply leaves.
    pub persist: bool,
}

impl<Id, V> Default for Acceptor<Id, V> {
    fn default() -> Self {
        Self { promised: None, accepted: None, rules: Rules::default() }
    }
}

impl<Id: Copy + Ord, V: Clone> Acceptor<Id, V> {
    /// The ballot to beat.
    #[must_use]
    pub fn promised(&self) -> Option<Ballot<Id>> {
        self.promised
    }

    /// The vote it would report.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted<Id, V>> {
        self.accepted.as_ref()
    }

    /// Answers `request`, which came from the node `from`.
    ///
    /// A request that arrives twice is answered twice, with nothing changed the second time.
    pub fn handle(&mut self, from: Id, request: Request<Id, V>) -> Answer<Id, V> {
        match request {
            Request::Prepare { ballot } => self.prepare(from, ballot),
            Request::Accept { ballot, value, next } => self.accept(from, ballot, value, next),
            Request::Read { nonce } => {
                unchanged(Reply::State { nonce, accepted: self.accepted.clone() })
            }
        }
    }

    /// Takes in a vote that another acceptor cast, as an accept that comes late: whether it did.
    ///
    /// The promise binds as for any accept. A vote below it may not have been chosen, and whoever was
    /// promised more may by now have counted on its absence; what keeps two acceptors apart that way ends with
    /// the next change of the register.
    pub fn learn(&mut self, vote: Accepted<Id, V>) -> bool {
        self.beaten_by(vote.ballot).is_none() && self.relearn(vote)
    }

    /// As [`Acceptor::learn`], where no proposal is left that the promise was made to: it binds no more.
    ///
    /// The caller knows that. Until all such votes were taken in, this acceptor's word must count nowhere.
    pub fn relearn(&mut self, vote: Accepted<Id, V>) -> bool {
        let known = self.accepted.as_ref().is_some_and(|accepted| accepted.ballot >= vote.ballot);
        if known {
            return false;
        }
        self.promised = self.promised.max(Some(vote.ballot));
        self.accepted = Some(vote);
        true
    }

    fn prepare(&mut self, from: Id, ballot: Ballot<Id>) -> Answer<Id, V> {
        if let Err(refusal) = self.check(from, ballot) {
            return unchanged(Reply::Refused { ballot, refusal });
        }
        if let Some(promised) = self.beaten_by(ballot) {
            return unchanged(Reply::Conflict { ballot, promised });
        }
        let persist = self.promised != Some(ballot) && !self.rules.lack(Rule::DurablePromise);
        self.promised = Some(ballot);
        Answer { reply: Reply::Promised { ballot, accepted: self.accepted.clone() }, persist }
    }

    fn accept(
        &mut self,
        from: Id,
        ballot: Ballot<Id>,
        value: V,
        next: Option<Ballot<Id>>,
    ) -> Answer<Id, V> {
        if let Err(refusal) = self.check_accept(from, ballot, next) {
            return unchanged(Reply::Refused { ballot, refusal });
        }
        // A copy of an accept that went through, perhaps behind the promise it brought along.
        if self.accepted.as_ref().is_some_and(|accepted| accepted.ballot == ballot) {
            let next = next.filter(|next| self.promised == Some(*next));
            return unchanged(Reply::Accepted { ballot, next });
        }
        if let Some(promised) = self.beaten_by(ballot)
            && !self.rules.lack(Rule::PromiseBinds)
        {
            return unchanged(Reply::Conflict { ballot, promised });
        }
        self.promised = Some(next.unwrap_or(ballot));
        self.accepted = Some(Accepted { ballot, value });
        Answer { reply: Reply::Accepted { ballot, next }, persist: true }
    }

    fn check_accept(
        &self,
        from: Id,
        ballot: Ballot<Id>,
        next: Option<Ballot<Id>>,
    ) -> Result<(), Refusal> {
        self.check(from, ballot)?;
        let Some(next) = next else { return Ok(()) };
        self.check(from, next)?;
        if next <= ballot { Err(Refusal::NextNotAbove) } else { Ok(()) }
    }

    fn check(&self, from: Id, ballot: Ballot<Id>) -> Result<(), Refusal> {
        if ballot.proposer != from {
            return Err(Refusal::ForeignProposer);
        }
        if ballot.round == 0 {
            return Err(Refusal::RoundZero);
        }
        let limit = Ballot::round_limit(self.promised.as_ref());
        if ballot.round > limit { Err(Refusal::RoundTooHigh { limit }) } else { Ok(()) }
    }

    fn beaten_by(&self, ballot: Ballot<Id>) -> Option<Ballot<Id>> {
        self.promised.filter(|promised| *promised > ballot)
    }

    /// Switches one rule off, for tests that show what it is for.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.rules.switch_off(rule);
        self
    }
}

fn unchanged<Id, V>(reply: Reply<Id, V>) -> Answer<Id, V> {
    Answer { reply, persist: false }
}

#[cfg(test)]
mod tests {
    use super::super::ROUND_JUMP;
    use super::*;

    fn ballot(round: u64, proposer: u8) -> Ballot<u8> {
        Ballot { round, proposer, session: 0 }
    }

    fn accept(round: u64, proposer: u8, next: Option<Ballot<u8>>) -> Request<u8, &'static str> {
        Request::Accept { ballot: ballot(round, proposer), value: "v", next }
    }

    #[test]
    fn a_promise_binds_later_prepares_and_accepts() {
        let mut acceptor = Acceptor::default();
        assert!(acceptor.handle(2, Request::Prepare { ballot: ballot(3, 2) }).persist);
        let promised = ballot(3, 2);
        for request in [Request::Prepare { ballot: ballot(3, 1) }, accept(3, 1, None)] {
            let answer = acceptor.handle(1, request);
            assert_eq!(answer.reply, Reply::Conflict { ballot: ballot(3, 1), promised });
            assert!(!answer.persist);
        }
    }

    #[test]
    fn a_repeated_request_changes_nothing() {
        let mut acceptor = Acceptor::default();
        let next = Some(ballot(2, 1));
        assert!(acceptor.handle(1, accept(1, 1, next)).persist);
        let before = acceptor.clone();
        let again = acceptor.handle(1, accept(1, 1, next));
        assert_eq!(again.reply, Reply::Accepted { ballot: ballot(1, 1), next });
        assert!(!again.persist);
        assert_eq!(acceptor, before);
    }

    #[test]
    fn a_vote_of_another_is_learned_unless_more_was_promised() {
        let mut acceptor = Acceptor::default();
        let vote = |round| Accepted { ballot: ballot(round, 3), value: "v" };
        assert!(acceptor.learn(vote(2)));
        assert!(!acceptor.learn(vote(2)) && !acceptor.learn(vote(1)));
        assert!(acceptor.handle(1, Request::Prepare { ballot: ballot(5, 1) }).persist);
        assert!(!acceptor.learn(vote(4)));
        assert!(acceptor.learn(vote(5)), "5 of node 3 is above the promise to node 1");
        assert_eq!(acceptor.promised(), Some(ballot(5, 3)));
    }

    #[test]
    fn a_huge_round_is_refused_and_leaves_the_register_usable() {
        let mut acceptor = Acceptor::default();
        for round in [u64::MAX, ROUND_JUMP + 1] {
            let answer = acceptor.handle(1, Request::Prepare { ballot: ballot(round, 1) });
            let refusal = Refusal::RoundTooHigh { limit: ROUND_JUMP };
            assert_eq!(answer.reply, Reply::Refused { ballot: ballot(round, 1), refusal });
        }
        let answer = acceptor.handle(1, accept(1, 1, Some(ballot(u64::MAX, 1))));
        assert!(matches!(answer.reply, Reply::Refused { .. }));
        assert_eq!(acceptor, Acceptor::default());
        assert!(acceptor.handle(1, accept(1, 1, None)).persist);
    }

    #[test]
    fn a_ballot_of_another_node_is_refused() {
        let mut acceptor = Acceptor::default();
        let answer = acceptor.handle(2, accept(1, 1, None));
        let refusal = Refusal::ForeignProposer;
        assert_eq!(answer.reply, Reply::Refused { ballot: ballot(1, 1), refusal });
        let answer = acceptor.handle(1, accept(1, 1, Some(ballot(2, 2))));
        assert_eq!(answer.reply, Reply::Refused { ballot: ballot(1, 1), refusal });
        assert_eq!(acceptor, Acceptor::default());
    }
}
