//! Every interleaving of a few proposers and acceptors, run by the real code.
//!
//! A state is the acceptors, the proposers and every message ever sent: a message may be delivered at
//! any time, again, or never, so loss, repetition, reordering and splits are all in it. A proposer that
//! gets no further event is a dead one.

use coterie_ring::register::{
    Accepted, Acceptor, Applied, Ballot, Change, Decided, Effect, Electorate, Event, NextPrepare,
    Proposer, Reply, Request, Rule, Settings, Wire,
};
use hashbrown::HashSet;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

/// An acceptor's or proposer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u8);

impl Wire for Id {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn read(input: &mut &[u8]) -> Result<Self, coterie_ring::Malformed> {
        let (first, rest) = input.split_first().ok_or(coterie_ring::Malformed::Truncated)?;
        *input = rest;
        Ok(Self(*first))
    }
}

/// A set of up to eight writes that landed, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Writes(pub(crate) u8);

impl Wire for Writes {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }

    fn read(input: &mut &[u8]) -> Result<Self, coterie_ring::Malformed> {
        Id::read(input).map(|id| Self(id.0))
    }
}

/// What a modelled proposer does to the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    /// Writes its bit if nothing is there.
    IfAbsent(u8),
    /// Adds its bit to what is there.
    Add(u8),
}

impl Change<Writes> for Operation {
    fn apply(&self, current: Option<&Writes>) -> Applied<Writes> {
        let present = current.map_or(0, |writes| writes.0);
        match self {
            Self::IfAbsent(_) if present != 0 => Applied::Keep,
            // Its own earlier effect: done.
            Self::Add(bit) if present & bit != 0 => Applied::Keep,
            Self::IfAbsent(bit) | Self::Add(bit) => Applied::Write(Writes(present | bit)),
        }
    }

    fn join_across_ballots(&self, greatest: Writes, other: Writes) -> Writes {
        Writes(greatest.0 | other.0)
    }
}

/// What a task of a modelled proposer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Task {
    /// Change the register.
    Change(Operation),
    /// Read it.
    Read,
}

/// One proposer of a scope.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The acceptors it asks.
    pub(crate) electorate: Electorate<Id>,
    /// Its tasks, one after the other.
    pub(crate) tasks: Vec<Task>,
    /// Attempts, over all tasks.
    pub(crate) attempts: u8,
    /// If it proposes the next version: whose answer tells it who votes on that.
    pub(crate) after: Option<u8>,
}

/// What is explored.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Its name in the output.
    pub(crate) name: &'static str,
    /// How many acceptors there are.
    pub(crate) acceptors: u8,
    /// The proposers.
    pub(crate) scripts: Vec<Script>,
    /// Whether accepts bring the next prepare along.
    pub(crate) next_prepare: NextPrepare,
    /// How often an acceptor may crash and come back with what it persisted.
    pub(crate) crashes: u8,
    /// The rule that is off.
    pub(crate) without: Option<Rule>,
}

/// Who votes on the next version, by the writes in the value chosen for the first.
fn next_voters(chosen: Writes) -> Electorate<Id> {
    let voter = if chosen.0 & 1 == 1 { Id(3) } else { Id(4) };
    Electorate::single(&[voter]).unwrap()
}

/// What exploring found.
#[derive(Clone, Debug)]
pub(crate) struct Explored {
    /// Distinct states.
    pub(crate) states: usize,
    /// Whether there were no more.
    pub(crate) complete: bool,
    /// What went wrong, if anything did.
    pub(crate) violation: Option<String>,
}

type TheProposer = Proposer<Id, Writes, Operation>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Message {
    Request { from: u8, to: Id, request: Request<Id, Writes> },
    Reply { from: Id, to: u8, reply: Reply<Id, Writes> },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Ended {
    proposer: u8,
    task: u8,
    decided: (Option<Accepted<Id, Writes>>, bool),
    /// What had been decided when the task began.
    before: Vec<(u8, u8)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    acceptors: Vec<Acceptor<Id, Writes>>,
    durable: Vec<Vec<u8>>,
    proposers: Vec<TheProposer>,
    /// Tasks begun and attempts made by each proposer.
    begun: Vec<(u8, u8)>,
    /// What had been decided when each proposer's task began.
    before: Vec<Vec<(u8, u8)>>,
    messages: BTreeSet<Message>,
    ended: BTreeSet<Ended>,
    /// Every vote ever made, by ballot.
    votes: BTreeSet<(Ballot<Id>, Writes, Id)>,
    crashes: u8,
}

const NOW: Duration = Duration::ZERO;

/// No time passes in the model: it ticks a proposer whenever it likes.
const SETTINGS: Settings = Settings {
    phase_timeout: Duration::ZERO,
    backoff_min: Duration::ZERO,
    backoff_max: Duration::ZERO,
    next_prepare: NextPrepare::Separate,
};

impl Scope {
    /// Visits states breadth first until there are no more, `states_max` are seen or one is wrong.
    pub(crate) fn explore(&self, states_max: usize) -> Explored {
        let hasher = hashbrown::DefaultHashBuilder::default();
        let other = hashbrown::DefaultHashBuilder::default();
        let key = |state: &State| (hasher.hash_one((0, state)), other.hash_one((1, state)));
        let mut seen = HashSet::new();
        let mut queue = VecDeque::new();
        let first = self.initial();
        seen.insert(key(&first));
        queue.push_back(first);
        while let Some(state) = queue.pop_front() {
            if let Err(violation) = self.check(&state) {
                return Explored {
                    states: seen.len(),
                    complete: false,
                    violation: Some(violation),
                };
            }
            if seen.len() >= states_max {
                return Explored { states: seen.len(), complete: false, violation: None };
            }
            self.successors(&state, |next| {
                if seen.insert(key(&next)) {
                    queue.push_back(next);
                }
            });
        }
        Explored { states: seen.len(), complete: true, violation: None }
    }

    fn initial(&self) -> State {
        let acceptor = || match self.without {
            Some(rule) => Acceptor::default().without(rule),
            None => Acceptor::default(),
        };
        let proposer = |(index, script): (usize, &Script)| {
            self.proposer(u8::try_from(index).unwrap(), script.electorate.clone())
        };
        let acceptors: Vec<_> = (0..self.acceptors).map(|_| acceptor()).collect();
        State {
            durable: acceptors.iter().map(Wire::encode).collect(),
            acceptors,
            proposers: self.scripts.iter().enumerate().map(proposer).collect(),
            begun: vec![(0, 0); self.scripts.len()],
            before: vec![Vec::new(); self.scripts.len()],
            messages: BTreeSet::new(),
            ended: BTreeSet::new(),
            votes: BTreeSet::new(),
            crashes: 0,
        }
    }

    fn proposer(&self, index: u8, electorate: Electorate<Id>) -> TheProposer {
        let settings = Settings { next_prepare: self.next_prepare, ..SETTINGS };
        let proposer = Proposer::new(Id(index), u64::from(index) << 32, electorate, settings);
        match self.without {
            Some(rule) => proposer.without(rule),
            None => proposer,
        }
    }

    /// Whom `proposer` asks, if it knows that yet.
    fn electorate(&self, state: &State, proposer: u8) -> Option<Electorate<Id>> {
        let script = &self.scripts[usize::from(proposer)];
        let Some(after) = script.after else { return Some(script.electorate.clone()) };
        let answer = state.ended.iter().find(|ended| ended.proposer == after)?;
        Some(next_voters(answer.decided.0.as_ref()?.value))
    }

    fn is_next(&self, proposer: u8) -> bool {
        self.scripts[usize::from(proposer)].after.is_some()
    }

    fn successors(&self, state: &State, mut emit: impl FnMut(State)) {
        for (index, script) in self.scripts.iter().enumerate() {
            let (tasks, attempts) = state.begun[index];
            if attempts == script.attempts {
                continue;
            }
            let mut next = state.clone();
            next.begun[index].1 += 1;
            if state.proposers[index].is_idle() {
                let Some(task) = script.tasks.get(usize::from(tasks)) else { continue };
                if script.after.is_some() {
                    let proposer = u8::try_from(index).unwrap();
                    let Some(voters) = self.electorate(state, proposer) else { continue };
                    next.proposers[index] = self.proposer(proposer, voters);
                }
                next.begun[index].0 += 1;
                next.before[index] = ended_tasks(state);
                let event = match task {
                    Task::Change(operation) => Event::Change(*operation),
                    Task::Read => Event::Read,
                };
                next.propose(index, event);
            } else {
                // Out of time, and at once into the next attempt: waiting is not modelled.
                next.propose(index, Event::Tick);
                if next.proposers[index] == state.proposers[index] {
                    continue;
                }
                next.propose(index, Event::Tick);
            }
            emit(next);
        }
        for message in &state.messages {
            let mut next = state.clone();
            next.deliver(message);
            if next != *state {
                emit(next);
            }
        }
        if state.crashes < self.crashes {
            for index in 0..state.acceptors.len() {
                let mut next = state.clone();
                next.crashes += 1;
                let recovered = Acceptor::decode(&state.durable[index]).unwrap();
                next.acceptors[index] = match self.without {
                    Some(rule) => recovered.without(rule),
                    None => recovered,
                };
                if next.acceptors[index] != state.acceptors[index] {
                    emit(next);
                }
            }
        }
    }

    /// One value per ballot, nothing chosen is lost, and what was answered has one order.
    fn check(&self, state: &State) -> Result<(), String> {
        for (ballot, writes, _) in &state.votes {
            if state.votes.iter().any(|(at, other, _)| at == ballot && other != writes) {
                return Err(format!("two values at {ballot:?}"));
            }
        }
        self.check_chosen(state, false)?;
        self.check_chosen(state, true)?;
        // Values answered: by ballot they only ever grow, whoever answered.
        let ended: Vec<&Ended> = state.ended.iter().collect();
        let all_if_absent = self.scripts.iter().all(|script| {
            script.tasks.iter().all(|task| !matches!(task, Task::Change(Operation::Add(_))))
        });
        for one in &ended {
            let landed = |ended: &Ended| ended.decided.0.as_ref().map_or(0, |it| it.value.0);
            if all_if_absent && landed(one).count_ones() > 1 {
                return Err(format!("two conditional writes both landed: {one:?}"));
            }
            let version = self.is_next(one.proposer);
            for two in ended.iter().filter(|two| self.is_next(two.proposer) == version) {
                let (a, b) = (landed(one), landed(two));
                if a & b != a && a & b != b {
                    return Err(format!("answers that no order explains: {one:?} and {two:?}"));
                }
                let one_first = two.before.contains(&(one.proposer, one.task));
                if one_first && a & b != a {
                    return Err(format!("{two:?} began after {one:?} and does not show it"));
                }
                if all_if_absent && a != 0 && b != 0 && a != b {
                    return Err(format!("two values: {one:?} and {two:?}"));
                }
            }
            if let (_, true) = one.decided
                && let Some(Task::Change(Operation::IfAbsent(bit) | Operation::Add(bit))) =
                    self.scripts[usize::from(one.proposer)].tasks.get(usize::from(one.task))
                && landed(one) & bit == 0
            {
                return Err(format!("{one:?} was answered as written and is not in the value"));
            }
        }
        Ok(())
    }
}

impl Scope {
    /// What was chosen at a ballot is in everything chosen later.
    fn check_chosen(&self, state: &State, next: bool) -> Result<(), String> {
        let mut latest: Option<(Ballot<Id>, Writes)> = None;
        for (ballot, writes, _) in &state.votes {
            if self.is_next(ballot.proposer.0) != next {
                continue;
            }
            let electorate = self.electorate(state, ballot.proposer.0).unwrap();
            if !electorate.is_majority(|id| state.votes.contains(&(*ballot, *writes, id))) {
                continue;
            }
            if let Some((before, chosen)) = latest
                && chosen.0 & writes.0 != chosen.0
            {
                return Err(format!(
                    "{chosen:?} of {before:?} is lost in {writes:?} of {ballot:?}"
                ));
            }
            latest = Some((*ballot, *writes));
        }
        Ok(())
    }

    /// Walks at random from the start until nothing is left to do, `walks` times.
    pub(crate) fn walk(&self, seed: u64, walks: usize) -> Explored {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut states = 0;
        for _ in 0..walks {
            let mut state = self.initial();
            loop {
                states += 1;
                if let Err(violation) = self.check(&state) {
                    return Explored { states, complete: false, violation: Some(violation) };
                }
                let mut successors = Vec::new();
                self.successors(&state, |next| successors.push(next));
                if successors.is_empty() {
                    break;
                }
                state = successors.swap_remove(rng.random_range(0..successors.len()));
            }
        }
        Explored { states, complete: false, violation: None }
    }
}

fn ended_tasks(state: &State) -> Vec<(u8, u8)> {
    state.ended.iter().map(|ended| (ended.proposer, ended.task)).collect()
}

impl State {
    fn propose(&mut self, index: usize, event: Event<Id, Writes, Operation>) {
        let mut effects = Vec::new();
        self.proposers[index].handle(event, NOW, &mut effects);
        let proposer = u8::try_from(index).unwrap();
        for effect in effects {
            match effect {
                Effect::Send { to, request } => {
                    self.messages.insert(Message::Request { from: proposer, to, request });
                }
                Effect::Decided(Decided { current, written }) => {
                    self.ended.insert(Ended {
                        proposer,
                        task: self.begun[index].0 - 1,
                        decided: (current, written),
                        before: self.before[index].clone(),
                    });
                }
                Effect::Delayed(_) => {}
            }
        }
    }

    fn deliver(&mut self, message: &Message) {
        match message.clone() {
            Message::Request { from, to, request } => {
                let index = usize::from(to.0);
                let answer = self.acceptors[index].handle(Id(from), request.clone());
                if answer.persist {
                    self.durable[index] = self.acceptors[index].encode();
                }
                if let (Request::Accept { ballot, value, .. }, Reply::Accepted { .. }) =
                    (request, &answer.reply)
                {
                    self.votes.insert((ballot, value, to));
                }
                self.messages.insert(Message::Reply { from: to, to: from, reply: answer.reply });
            }
            Message::Reply { from, to, reply } => {
                self.propose(usize::from(to), Event::Reply { from, reply });
            }
        }
    }
}
