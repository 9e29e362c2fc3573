//! The side of a register that changes and reads it.

use super::attempt::{Attempt, Current, Phase, Task, Verdict};
use super::rules::{Rule, Rules};
use super::{Accepted, Ballot, Change, Electorate, ROUND_JUMP, Refusal, Reply, Request};
use std::time::Duration;

/// How long a proposer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How long a phase waits for a majority. Several times the slowest usual round trip.
    pub phase_timeout: Duration,
    /// The wait before the first retry; doubles with each. About one round trip.
    pub backoff_min: Duration,
    /// Where doubling ends.
    pub backoff_max: Duration,
    /// What an accept brings along.
    pub next_prepare: NextPrepare,
}

/// Whether an accept also prepares the proposer's next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextPrepare {
    /// It does: one proposer that makes many changes needs one round trip for each.
    Piggyback,
    /// It does not: the register changes once, or by turns from many nodes.
    Separate,
}

/// What happens to a proposer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<Id, V, C> {
    /// Change the register. An unfinished task is given up for it.
    Change(C),
    /// Read the register. An unfinished task is given up for it.
    Read,
    /// A reply came from an acceptor.
    Reply {
        /// The acceptor.
        from: Id,
        /// What it said.
        reply: Reply<Id, V>,
    },
    /// The time of [`Proposer::next_deadline`] has come.
    Tick,
    /// Give the task up; what was sent may still take effect.
    Abandon,
}

/// What a proposer wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<Id, V> {
    /// Send `request`.
    Send {
        /// To this acceptor.
        to: Id,
        /// What to ask.
        request: Request<Id, V>,
    },
    /// The task is done.
    Decided(Decided<Id, V>),
    /// The attempt failed; another follows unless the task is abandoned.
    Delayed(Delay<Id>),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<Id, V> {
    /// The chosen value and its ballot; `None` if nothing was ever written.
    pub current: Option<Accepted<Id, V>>,
    /// Whether this attempt's change wrote it, rather than keeping or reading what was there.
    pub written: bool,
}

/// Why there will be another attempt, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay<Id> {
    /// What went wrong.
    pub cause: DelayCause<Id>,
    /// Whether a value of this task was sent to acceptors: it may yet be chosen.
    pub sent: bool,
    /// When the next attempt begins, unless the task is abandoned.
    pub retry_at: Duration,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayCause<Id> {
    /// So many acceptors promised others that no majority was left.
    Conflict {
        /// The greatest ballot they named.
        beat: Ballot<Id>,
    },
    /// So many acceptors would not consider the ballot that no majority was left.
    Refused(Refusal),
    /// No majority answered in time.
    NoMajority,
    /// Rounds are used up; the register cannot change any more.
    Exhausted,
}

/// Changes and reads one register, one task at a time.
///
/// It keeps nothing durable: made anew after a restart with a new session, it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposer<Id, V, C> {
    me: Id,
    session: u64,
    electorate: Electorate<Id>,
    settings: Settings,
    /// The greatest round used or heard of.
    round: u64,
    /// Reads so far; with the session, a read's nonce.
    reads: u64,
    /// Failed attempts of the task.
    failures: u32,
    /// Whether a value of the task was sent.
    sent: bool,
    task: Option<Task<C>>,
    state: State<Id, V>,
    /// What the last accept prepared, if a majority confirmed it.
    prepared: Option<(Ballot<Id>, Accepted<Id, V>)>,
    rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<Id, V> {
    Idle,
    Attempting { attempt: Attempt<Id, V>, until: Duration },
    BackingOff { until: Duration },
}

impl<Id, V, C> Proposer<Id, V, C>
where
    Id: Copy + Ord,
    V: Clone + Eq,
    C: Change<V>,
{
    /// An idle proposer of node `me`.
    ///
    /// `session` is drawn at random for each proposer that is made: two with one session and one
    /// register may choose two values. It also seeds the jitter.
    #[must_use]
    pub fn new(me: Id, session: u64, electorate: Electorate<Id>, settings: Settings) -> Self {
        Self {
            me,
            session,
            electorate,
            settings,
            round: 0,
            reads: 0,
            failures: 0,
            sent: false,
            task: None,
            state: State::Idle,
            prepared: None,
            rules: Rules::default(),
        }
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.task.is_none()
    }

    /// When it next wants a [`Event::Tick`], as time since the node's start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        match self.state {
            State::Idle => None,
            State::Attempting { until, .. } | State::BackingOff { until } => Some(until),
        }
    }

    /// Takes in one event; `now` is time since the node's start.
    pub fn handle(
        &mut self,
        event: Event<Id, V, C>,
        now: Duration,
        effects: &mut Vec<Effect<Id, V>>,
    ) {
        match event {
            Event::Change(change) => {
                self.begin(Task::Change(change));
                self.attempt(now, effects);
            }
            Event::Read => {
                self.begin(Task::Read);
                self.read(now, effects);
            }
            Event::Reply { from, reply } => self.reply(from, reply, now, effects),
            Event::Tick => self.tick(now, effects),
            Event::Abandon => self.end(),
        }
    }

    fn begin(&mut self, task: Task<C>) {
        self.end();
        self.task = Some(task);
    }

    fn end(&mut self) {
        self.task = None;
        self.state = State::Idle;
        self.failures = 0;
        self.sent = false;
    }

    /// Begins an attempt, in the second phase where the first went along with the last change.
    fn attempt(&mut self, now: Duration, effects: &mut Vec<Effect<Id, V>>) {
        if let Some((ballot, accepted)) = self.prepared.take() {
            let current = Current { accepted: Some(accepted), chosen_now: false };
            return self.accept(ballot, current, now, effects);
        }
        let Some(ballot) = self.next_ballot() else {
            return self.delay(DelayCause::Exhausted, now, effects);
        };
        self.run(Attempt::new(Phase::Prepare { ballot }), now);
        self.broadcast(&Request::Prepare { ballot }, effects);
    }

    fn accept(
        &mut self,
        ballot: Ballot<Id>,
        current: Current<Id, V>,
        now: Duration,
        effects: &mut Vec<Effect<Id, V>>,
    ) {
        let task = self.task.as_ref().expect("an attempt belongs to a task");
        let written = task.apply(current.accepted.as_ref().map(|accepted| &accepted.value));
        let wrote = written.is_some();
        let value = match (written, current.accepted) {
            (Some(value), _) => value,
            // Nothing to keep: that the majority promised and had nothing is the answer.
            (None, None) => return self.decide(None, false, effects),
            (None, Some(accepted)) => {
                if current.chosen_now || self.rules.lack(Rule::KeepIsChosen) {
                    return self.decide(Some(accepted), false, effects);
                }
                accepted.value
            }
        };
        let next = match self.settings.next_prepare {
            NextPrepare::Piggyback => self.next_ballot(),
            NextPrepare::Separate => None,
        };
        self.sent |= wrote;
        let phase = Phase::Accept { ballot, value: value.clone(), next, wrote };
        self.run(Attempt::new(phase), now);
        self.broadcast(&Request::Accept { ballot, value, next }, effects);
    }

    fn read(&mut self, now: Duration, effects: &mut Vec<Effect<Id, V>>) {
        self.reads = self.reads.wrapping_add(1);
        let nonce = self.session.wrapping_add(self.reads);
        self.run(Attempt::new(Phase::Read { nonce }), now);
        self.broadcast(&Request::Read { nonce }, effects);
    }

    fn run(&mut self, attempt: Attempt<Id, V>, now: Duration) {
        self.state = State::Attempting { attempt, until: now + self.settings.phase_timeout };
    }

    fn reply(
        &mut self,
        from: Id,
        reply: Reply<Id, V>,
        now: Duration,
        effects: &mut Vec<Effect<Id, V>>,
    ) {
        let State::Attempting { attempt, .. } = &mut self.state else { return };
        if !self.electorate.contains(from) {
            return;
        }
        let task = self.task.as_ref().expect("an attempt belongs to a task");
        match attempt.count(from, reply, &self.electorate, task, self.rules) {
            Verdict::Open => {}
            Verdict::Prepared { ballot, current } => self.accept(ballot, current, now, effects),
            Verdict::Chosen { accepted, next, wrote } => {
                self.prepared = next.map(|next| (next, accepted.clone()));
                self.decide(Some(accepted), wrote, effects);
            }
            Verdict::Shown { current } => self.decide(current, false, effects),
            Verdict::Unclear => self.attempt(now, effects),
            Verdict::Lost { cause } => self.lost(cause, now, effects),
        }
    }

    fn decide(
        &mut self,
        current: Option<Accepted<Id, V>>,
        written: bool,
        effects: &mut Vec<Effect<Id, V>>,
    ) {
        self.end();
        effects.push(Effect::Decided(Decided { current, written }));
    }

    fn lost(&mut self, cause: DelayCause<Id>, now: Duration, effects: &mut Vec<Effect<Id, V>>) {
        match cause {
            // One step at a time towards a round far above ours: it may be made up.
            DelayCause::Conflict { beat } => {
                self.round = self.round.max(beat.round.min(self.round.saturating_add(ROUND_JUMP)));
            }
            // We were led too high. The rounds below may have been used, but not in a new session.
            DelayCause::Refused(Refusal::RoundTooHigh { limit }) => {
                self.round = limit.saturating_sub(1);
                self.session = self.session.wrapping_add(1);
            }
            DelayCause::Refused(_) | DelayCause::NoMajority | DelayCause::Exhausted => {}
        }
        self.delay(cause, now, effects);
    }

    fn delay(&mut self, cause: DelayCause<Id>, now: Duration, effects: &mut Vec<Effect<Id, V>>) {
        let retry_at = now + self.backoff();
        self.failures = self.failures.saturating_add(1);
        self.state = State::BackingOff { until: retry_at };
        effects.push(Effect::Delayed(Delay { cause, sent: self.sent, retry_at }));
    }

    /// Between half and all of a wait that doubles with each failure.
    fn backoff(&self) -> Duration {
        let doubled = self.settings.backoff_min.saturating_mul(1 << self.failures.min(16));
        let wait = doubled.min(self.settings.backoff_max);
        let seed = self.session ^ self.round;
        let jitter = xxhash_rust::xxh3::xxh3_64_with_seed(&self.failures.to_le_bytes(), seed);
        wait / 2 + wait.mul_f64((jitter >> 32) as f64 / f64::from(u32::MAX)) / 2
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect<Id, V>>) {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Idle => {}
            State::Attempting { .. } => self.lost(DelayCause::NoMajority, now, effects),
            State::BackingOff { .. } => self.attempt(now, effects),
        }
    }

    fn next_ballot(&mut self) -> Option<Ballot<Id>> {
        self.round = self.round.checked_add(1)?;
        Some(Ballot { round: self.round, proposer: self.me, session: self.session })
    }

    fn broadcast(&self, request: &Request<Id, V>, effects: &mut Vec<Effect<Id, V>>) {
        for to in self.electorate.members() {
            effects.push(Effect::Send { to, request: request.clone() });
        }
    }

    /// Switches one rule off, for tests that show what it is for.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.rules.switch_off(rule);
        self
    }
}
