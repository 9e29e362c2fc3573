//! One phase of one attempt: counting replies.

use super::rules::{Rule, Rules};
use super::{Accepted, Applied, Ballot, Change, DelayCause, Electorate, Refusal, Reply};
use smallvec::SmallVec;

/// What a proposer is after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Task<C> {
    Change(C),
    Read,
}

impl<C> Task<C> {
    /// What to write over `current`; `None` keeps it.
    pub(super) fn apply<V>(&self, current: Option<&V>) -> Option<V>
    where
        C: Change<V>,
    {
        let Self::Change(change) = self else { return None };
        match change.apply(current) {
            Applied::Write(value) => Some(value),
            Applied::Keep => None,
        }
    }
}

/// What is being asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase<Id, V> {
    Read { nonce: u64 },
    Prepare { ballot: Ballot<Id> },
    Accept { ballot: Ballot<Id>, value: V, next: Option<Ballot<Id>>, wrote: bool },
}

/// A phase and the replies to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt<Id, V> {
    phase: Phase<Id, V>,
    /// Sorted by acceptor; the first reply of each counts.
    replies: SmallVec<[(Id, Answered<Id, V>); 7]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answered<Id, V> {
    /// To a read or prepare: what is accepted.
    Shows(Option<Accepted<Id, V>>),
    /// To an accept: whether the next ballot was promised too.
    Accepts {
        next: bool,
    },
    Conflicts(Ballot<Id>),
    Refuses(Refusal),
}

/// The register's value as a majority showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Current<Id, V> {
    pub(super) accepted: Option<Accepted<Id, V>>,
    /// Whether a majority showed just this ballot, and showed it after the task began.
    pub(super) chosen_now: bool,
}

/// What the replies so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<Id, V> {
    Open,
    /// A majority promised.
    Prepared {
        ballot: Ballot<Id>,
        current: Current<Id, V>,
    },
    /// A majority accepted.
    Chosen {
        accepted: Accepted<Id, V>,
        next: Option<Ballot<Id>>,
        wrote: bool,
    },
    /// A read saw one ballot, or nothing, at a majority.
    Shown {
        current: Option<Accepted<Id, V>>,
    },
    /// A read saw that it needs a full round.
    Unclear,
    /// No majority is left.
    Lost {
        cause: DelayCause<Id>,
    },
}

impl<Id: Copy + Ord, V: Clone + Eq> Attempt<Id, V> {
    pub(super) fn new(phase: Phase<Id, V>) -> Self {
        Self { phase, replies: SmallVec::new() }
    }

    /// Counts a reply, if it is one to this phase, and weighs all there are.
    pub(super) fn count<C: Change<V>>(
        &mut self,
        from: Id,
        reply: Reply<Id, V>,
        electorate: &Electorate<Id>,
        task: &Task<C>,
        rules: Rules,
    ) -> Verdict<Id, V> {
        let Some(answered) = self.relevant(reply) else { return Verdict::Open };
        // Count each acceptor once: a request repeated on a new connection is answered twice.
        let Err(place) = self.replies.binary_search_by_key(&from, |(id, _)| *id) else {
            return Verdict::Open;
        };
        self.replies.insert(place, (from, answered));
        if let Some(lost) = self.lost(electorate) {
            return lost;
        }
        if !self.majority(electorate, rules, Answered::is_vote) {
            return Verdict::Open;
        }
        match &self.phase {
            Phase::Read { .. } => match self.shown(electorate, rules) {
                Some(current) => Verdict::Shown { current },
                None if self.replies.len() == electorate.members().len() => Verdict::Unclear,
                None => self.unclear(electorate),
            },
            Phase::Prepare { ballot } => {
                let accepted = self.current(task, rules);
                let chosen_now = accepted.as_ref().is_some_and(|accepted| {
                    self.majority(electorate, rules, |answered| answered.shows(accepted.ballot))
                });
                Verdict::Prepared { ballot: *ballot, current: Current { accepted, chosen_now } }
            }
            Phase::Accept { ballot, value, next, wrote } => {
                let promised = self.majority(electorate, rules, |answered| {
                    matches!(answered, Answered::Accepts { next: true })
                });
                let accepted = Accepted { ballot: *ballot, value: value.clone() };
                Verdict::Chosen { accepted, next: next.filter(|_| promised), wrote: *wrote }
            }
        }
    }

    /// What the reply says to the phase that is running; `None` if it belongs to another, or says what
    /// no acceptor that follows the rules can say.
    fn relevant(&self, reply: Reply<Id, V>) -> Option<Answered<Id, V>> {
        let answered = match (&self.phase, reply) {
            (Phase::Read { nonce }, Reply::State { nonce: of, accepted }) if of == *nonce => {
                Answered::Shows(accepted)
            }
            (Phase::Prepare { ballot }, Reply::Promised { ballot: of, accepted })
                if of == *ballot && accepted.as_ref().is_none_or(|it| it.ballot < of) =>
            {
                Answered::Shows(accepted)
            }
            (
                Phase::Accept { ballot, next, .. },
                Reply::Accepted { ballot: of, next: promised },
            ) if of == *ballot => {
                Answered::Accepts { next: promised.is_some() && promised == *next }
            }
            (
                Phase::Prepare { ballot } | Phase::Accept { ballot, .. },
                Reply::Conflict { ballot: of, promised },
            ) if of == *ballot && promised > of => Answered::Conflicts(promised),
            (
                Phase::Prepare { ballot } | Phase::Accept { ballot, .. },
                Reply::Refused { ballot: of, refusal },
            ) if of == *ballot => Answered::Refuses(refusal),
            (Phase::Read { .. } | Phase::Prepare { .. } | Phase::Accept { .. }, _) => return None,
        };
        Some(answered)
    }

    fn has(&self, id: Id, holds: impl Fn(&Answered<Id, V>) -> bool) -> bool {
        let place = self.replies.binary_search_by_key(&id, |(id, _)| *id);
        place.is_ok_and(|place| holds(&self.replies[place].1))
    }

    fn majority(
        &self,
        electorate: &Electorate<Id>,
        rules: Rules,
        votes: impl Fn(&Answered<Id, V>) -> bool,
    ) -> bool {
        #[cfg(feature = "mutants")]
        if rules.lack(Rule::Majority) {
            return electorate.is_minority(|id| self.has(id, &votes));
        }
        #[cfg(not(feature = "mutants"))]
        let _: Rules = rules;
        electorate.is_majority(|id| self.has(id, &votes))
    }

    fn lost(&self, electorate: &Electorate<Id>) -> Option<Verdict<Id, V>> {
        if !electorate.is_blocked(|id| self.has(id, |answered| !answered.is_vote())) {
            return None;
        }
        let beat = self.replies.iter().filter_map(|(_, answered)| answered.conflict()).max();
        let lowest_limit = self.replies.iter().filter_map(|(_, answered)| answered.refusal()).min();
        let cause = match (beat, lowest_limit) {
            (_, Some(refusal @ Refusal::RoundTooHigh { .. })) => DelayCause::Refused(refusal),
            (Some(beat), _) => DelayCause::Conflict { beat },
            (None, Some(refusal)) => DelayCause::Refused(refusal),
            (None, None) => DelayCause::NoMajority,
        };
        Some(Verdict::Lost { cause })
    }

    /// The one ballot, or the nothing, that a majority shows.
    fn shown(&self, electorate: &Electorate<Id>, rules: Rules) -> Option<Option<Accepted<Id, V>>> {
        if rules.lack(Rule::OneBallotRead) {
            return Some(self.greatest());
        }
        if self.majority(electorate, rules, |answered| *answered == Answered::Shows(None)) {
            return Some(None);
        }
        let accepted = self.greatest()?;
        let same = |answered: &Answered<Id, V>| answered.shows(accepted.ballot);
        self.majority(electorate, rules, same).then_some(Some(accepted))
    }

    /// A read that saw a majority disagree: whether those still silent could make one ballot win.
    fn unclear(&self, electorate: &Electorate<Id>) -> Verdict<Id, V> {
        let greatest = self.greatest().map(|accepted| accepted.ballot);
        let other = |answered: &Answered<Id, V>| match answered {
            Answered::Shows(shown) => shown.as_ref().map(|accepted| accepted.ballot) != greatest,
            Answered::Accepts { .. } | Answered::Conflicts(_) | Answered::Refuses(_) => true,
        };
        if electorate.is_blocked(|id| self.has(id, other)) {
            return Verdict::Unclear;
        }
        Verdict::Open
    }

    fn greatest(&self) -> Option<Accepted<Id, V>> {
        let shown = self.replies.iter().filter_map(|(_, answered)| answered.shown());
        shown.max_by_key(|accepted| accepted.ballot).cloned()
    }

    #[cfg(feature = "mutants")]
    fn current<C: Change<V>>(&self, task: &Task<C>, rules: Rules) -> Option<Accepted<Id, V>> {
        let greatest = self.greatest()?;
        let (true, Task::Change(change)) = (rules.lack(Rule::HighestBallot), task) else {
            return Some(greatest);
        };
        let shown = self.replies.iter().filter_map(|(_, answered)| answered.shown());
        let value = shown.fold(greatest.value, |joined, accepted| {
            change.join_across_ballots(joined, accepted.value.clone())
        });
        Some(Accepted { ballot: greatest.ballot, value })
    }

    #[cfg(not(feature = "mutants"))]
    fn current<C>(&self, _task: &Task<C>, _rules: Rules) -> Option<Accepted<Id, V>> {
        self.greatest()
    }
}

impl<Id: Copy + Ord, V> Answered<Id, V> {
    fn is_vote(&self) -> bool {
        matches!(self, Self::Shows(_) | Self::Accepts { .. })
    }

    fn shown(&self) -> Option<&Accepted<Id, V>> {
        match self {
            Self::Shows(accepted) => accepted.as_ref(),
            Self::Accepts { .. } | Self::Conflicts(_) | Self::Refuses(_) => None,
        }
    }

    fn shows(&self, ballot: Ballot<Id>) -> bool {
        self.shown().is_some_and(|accepted| accepted.ballot == ballot)
    }

    fn conflict(&self) -> Option<Ballot<Id>> {
        match self {
            Self::Conflicts(promised) => Some(*promised),
            Self::Shows(_) | Self::Accepts { .. } | Self::Refuses(_) => None,
        }
    }

    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refuses(refusal) => Some(*refusal),
            Self::Shows(_) | Self::Accepts { .. } | Self::Conflicts(_) => None,
        }
    }
}
