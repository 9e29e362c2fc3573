//! Seeing from votes that a value was chosen.

use super::{Accepted, Ballot, Electorate};
use smallvec::SmallVec;

/// Collects votes until a majority voted at one ballot.
///
/// For who hears of votes without having asked for them: an observer of acceptors' states, or a
/// proposer that sees another's value win.
#[derive(Clone, Debug)]
pub struct Learner<Id, V> {
    electorate: Electorate<Id>,
    votes: SmallVec<[(Id, Accepted<Id, V>); 7]>,
}

impl<Id: Copy + Ord, V: Clone> Learner<Id, V> {
    /// A learner that has seen no vote.
    #[must_use]
    pub fn new(electorate: Electorate<Id>) -> Self {
        Self { electorate, votes: SmallVec::new() }
    }

    /// Takes in that `from` reported `vote`, and returns it if it is now known to be chosen.
    ///
    /// Votes of strangers are ignored, and so is one older than what the acceptor reported before.
    pub fn hear(&mut self, from: Id, vote: Accepted<Id, V>) -> Option<Accepted<Id, V>> {
        if !self.electorate.contains(from) {
            return None;
        }
        let ballot = vote.ballot;
        match self.votes.iter_mut().find(|(id, _)| *id == from) {
            Some((_, known)) if known.ballot >= ballot => {}
            Some((_, known)) => *known = vote,
            None => self.votes.push((from, vote)),
        }
        self.chosen(ballot)
    }

    fn chosen(&self, ballot: Ballot<Id>) -> Option<Accepted<Id, V>> {
        let at_ballot = |id| self.votes.iter().any(|(by, vote)| *by == id && vote.ballot == ballot);
        if !self.electorate.is_majority(at_ballot) {
            return None;
        }
        self.votes.iter().map(|(_, vote)| vote).find(|vote| vote.ballot == ballot).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(round: u64, value: char) -> Accepted<u8, char> {
        Accepted { ballot: Ballot { round, proposer: 1, session: 0 }, value }
    }

    #[test]
    fn votes_at_different_ballots_choose_nothing() {
        let mut learner = Learner::new(Electorate::single(&[1, 2, 3]).unwrap());
        assert_eq!(learner.hear(1, vote(1, 'a')), None);
        assert_eq!(learner.hear(1, vote(1, 'a')), None);
        assert_eq!(learner.hear(9, vote(1, 'a')), None);
        assert_eq!(learner.hear(2, vote(2, 'a')), None);
        assert_eq!(learner.hear(3, vote(2, 'a')), Some(vote(2, 'a')));
    }

    #[test]
    fn an_old_report_does_not_take_back_a_vote() {
        let mut learner = Learner::new(Electorate::single(&[1, 2, 3]).unwrap());
        assert_eq!(learner.hear(1, vote(2, 'b')), None);
        assert_eq!(learner.hear(1, vote(1, 'a')), None);
        assert_eq!(learner.hear(2, vote(2, 'b')), Some(vote(2, 'b')));
    }
}
