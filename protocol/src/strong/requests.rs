//! The coordinator's side of strong keys: requests in turn, one register each.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_ring::register::{
    Decided, Effect, Electorate, Event as Asked, NextPrepare, Proposer, Reply,
    Request as RegisterAsk, Settings,
};
use coterie_wire::peer::strong::{RegisterReply, RegisterRequest, RegisterValue};
use coterie_wire::{
    Answered, Body, ChangedDots, Key, Message, Outcome, QuorumCount, Refused, Request, RequestId,
    Slice, Unavailable,
};

use super::Event;
use super::change::{StrongChange, StrongOperation};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::origin::Origin;

/// Keys whose proposers are kept for the round trip that a prepared ballot saves.
const PROPOSERS_MAX: usize = 1_024;

/// Requests that wait for their turn at one key.
const QUEUE_MAX: usize = 1_024;

/// How proposals wait. A phase is given up after several slow round trips; retries begin at about one.
const SETTINGS: Settings = Settings {
    phase_timeout: Duration::from_millis(500),
    backoff_min: Duration::from_millis(4),
    backoff_max: Duration::from_millis(500),
    next_prepare: NextPrepare::Piggyback,
};

/// How long what is chosen is given to be written once more.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The newest owner set and the purge epoch that all messages of a proposal bear.
type Bounds = (SetVersion, u64);

type KeyProposer = Proposer<NodeId, RegisterValue, StrongChange>;

/// One request that waits for, or has, its turn.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    change: StrongChange,
    deadline: Duration,
    /// Whether a value of it was sent to acceptors: it may take effect, whatever becomes of its proposer.
    sent: bool,
}

/// The register of one key.
#[derive(Debug)]
struct Register {
    slice: Slice,
    key: Key,
    proposer: KeyProposer,
    /// Names this proposer's messages: replies to an earlier one are told apart.
    asked: RequestId,
    /// The owner sets that it asks.
    electorate: Electorate<NodeId>,
    /// What was promised and voted for under another owner set or purge epoch counts for nothing.
    bounds: Bounds,
    /// The first has its turn.
    waiting: VecDeque<Waiting>,
    /// Owners that voted for what the request at hand ended with.
    voted: Vec<NodeId>,
}

/// The registers that this lane proposes to.
#[derive(Debug, Default)]
pub struct Requests {
    registers: BTreeMap<Key, Register>,
    by_asked: BTreeMap<RequestId, Key>,
}

impl Requests {
    /// Begins a client's request.
    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        origin: Origin,
        request: Request,
        effects: &mut Effects,
    ) {
        let operation = match StrongOperation::parse(&request.operations) {
            Ok(operation) => operation,
            Err(refused) => {
                let outcome = Outcome::Refused(refused);
                return origin.answer(shared, request.id, outcome, After::Written, effects);
            }
        };
        let change = StrongChange { request: request.id, operation: Some(operation) };
        let deadline = shared.now.monotonic + request.time_left;
        let waiting = Waiting { origin, change, deadline, sent: false };
        self.queue(shared, request.key, waiting, effects);
    }

    /// Writes what is chosen once more, so that all owners come to hold it.
    ///
    /// Once at a time: sync asks for it again until owners are equal, and a request whose time is over ends the
    /// attempt at hand.
    pub(super) fn settle(&mut self, shared: &mut Shared, key: Key, effects: &mut Effects) {
        let settles = |waiting: &Waiting| waiting.change.operation.is_none();
        if self.registers.get(&key).is_some_and(|it| it.waiting.iter().any(settles)) {
            return;
        }
        let change = StrongChange { request: shared.draw_request(), operation: None };
        let deadline = shared.now.monotonic + SETTLE_TIMEOUT;
        let waiting = Waiting { origin: Origin::Job, change, deadline, sent: false };
        self.queue(shared, key, waiting, effects);
    }

    fn queue(&mut self, shared: &mut Shared, key: Key, waiting: Waiting, effects: &mut Effects) {
        let Some(slice) = shared.view.slice(&key) else {
            return refuse(shared, &waiting, Refused::NoSuchBucket, effects);
        };
        if !self.registers.contains_key(&key) {
            if self.registers.len() >= PROPOSERS_MAX && !self.forget_one() {
                return refuse(shared, &waiting, Refused::Busy, effects);
            }
            let register = Register::new(shared, slice, key.clone());
            self.by_asked.insert(register.asked, key.clone());
            self.registers.insert(key.clone(), register);
        }
        let register = self.registers.get_mut(&key).expect("it was made");
        if register.waiting.len() >= QUEUE_MAX {
            return refuse(shared, &waiting, Refused::Busy, effects);
        }
        register.waiting.push_back(waiting);
        if register.waiting.len() == 1 {
            self.next_turn(shared, &key, effects);
        }
    }

    /// Forgets a register that nobody waits for: whether there was one.
    fn forget_one(&mut self) -> bool {
        let idle = self.registers.iter().find(|(_, register)| register.waiting.is_empty());
        let Some(key) = idle.map(|(key, _)| key.clone()) else { return false };
        let register = self.registers.remove(&key).expect("it was found");
        self.by_asked.remove(&register.asked);
        true
    }

    fn next_turn(&mut self, shared: &mut Shared, key: &Key, effects: &mut Effects) {
        loop {
            let register = self.registers.get_mut(key).expect("a turn is at a known register");
            let Some(first) = register.waiting.front() else { return };
            if first.deadline <= shared.now.monotonic {
                let expired = register.waiting.pop_front().expect("it is there");
                register.end(shared, &expired, Outcome::Refused(Refused::Expired), effects);
                continue;
            }
            if register.has_moved(shared) {
                self.by_asked.remove(&register.asked);
                register.renew(shared);
                self.by_asked.insert(register.asked, key.clone());
            }
            let register = self.registers.get_mut(key).expect("it is there");
            if let Err(count) = register.is_available(shared) {
                let unavailable = register.waiting.pop_front().expect("it is there");
                let outcome = Outcome::Unavailable(Unavailable::Owners(count));
                register.end(shared, &unavailable, outcome, effects);
                continue;
            }
            let change = register.waiting.front().expect("it is there").change.clone();
            let reads = change.operation.as_ref().is_some_and(StrongOperation::reads);
            let event = if reads { Asked::Read } else { Asked::Change(change) };
            return self.drive(shared, key, event, effects);
        }
    }

    /// A reply from another node's acceptor.
    pub(super) fn reply(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        effects: &mut Effects,
    ) {
        if let Body::Registered(reply) = message.body {
            self.replied(shared, from, message.request, *reply, effects);
        }
    }

    /// A reply from this node's own acceptor.
    pub(super) fn own(
        &mut self,
        shared: &mut Shared,
        request: RequestId,
        reply: RegisterReply,
        effects: &mut Effects,
    ) {
        self.replied(shared, shared.me, request, reply, effects);
    }

    fn replied(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        asked: RequestId,
        reply: RegisterReply,
        effects: &mut Effects,
    ) {
        let Some(key) = self.by_asked.get(&asked).cloned() else { return };
        let register = self.registers.get_mut(&key).expect("both maps agree");
        if register.bounds != bounds(shared, register.slice) {
            self.by_asked.remove(&register.asked);
            register.renew(shared);
            self.by_asked.insert(register.asked, key.clone());
            return self.next_turn(shared, &key, effects);
        }
        match reply {
            RegisterReply::Reply(reply) => {
                if matches!(reply, Reply::Accepted { .. } | Reply::State { .. }) {
                    register.voted.push(from);
                }
                self.drive(shared, &key, Asked::Reply { from, reply }, effects);
            }
            // The phase ends by its timeout, and the next turn asks the owners known then.
            RegisterReply::NotVoting | RegisterReply::OtherLayout { .. } => {}
        }
    }

    fn drive(
        &mut self,
        shared: &mut Shared,
        key: &Key,
        event: Asked<NodeId, RegisterValue, StrongChange>,
        effects: &mut Effects,
    ) {
        let mut asked = Vec::new();
        let register = self.registers.get_mut(key).expect("the caller found it");
        register.proposer.handle(event, shared.now.monotonic, &mut asked);
        let mut decided = None;
        for effect in asked {
            match effect {
                Effect::Send { to, request } => {
                    if let (RegisterAsk::Accept { .. }, Some(first)) =
                        (&request, register.waiting.front_mut())
                    {
                        first.sent = true;
                    }
                    register.ask(shared, to, request, effects);
                }
                Effect::Decided(outcome) => decided = Some(outcome),
                Effect::Delayed(_) => register.voted.clear(),
            }
        }
        if let Some(decided) = decided {
            register.answer(shared, &decided, effects);
            self.next_turn(shared, key, effects);
        }
    }

    /// Ends what has waited too long, asks other owners where they changed, and lets proposers go on.
    pub(super) fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let due = |register: &Register| register.next_deadline().is_some_and(|at| at <= now);
        let keys: Vec<Key> =
            self.registers.values().filter(|it| due(it)).map(|it| it.key.clone()).collect();
        for key in keys {
            let register = self.registers.get_mut(&key).expect("it was found");
            let first_ended = register.waiting.front().is_some_and(|first| first.deadline <= now);
            let moved = register.has_moved(shared);
            register.expire(shared, effects);
            if first_ended || moved {
                // A proposer that is given up may not go on under its ballots.
                self.by_asked.remove(&register.asked);
                register.renew(shared);
                self.by_asked.insert(register.asked, key.clone());
                self.next_turn(shared, &key, effects);
            } else {
                self.drive(shared, &key, Asked::Tick, effects);
            }
        }
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.registers.values().filter_map(Register::next_deadline).min()
    }
}

impl Register {
    fn new(shared: &mut Shared, slice: Slice, key: Key) -> Self {
        let electorate = electorate(shared, slice);
        let session = shared.random();
        let proposer = Proposer::new(shared.me, session, electorate.clone(), SETTINGS);
        let asked = shared.draw_request();
        let (waiting, voted) = (VecDeque::new(), Vec::new());
        let bounds = bounds(shared, slice);
        Register { slice, key, proposer, asked, electorate, bounds, waiting, voted }
    }

    /// Begins anew with a proposer that shares no ballot with the one before.
    fn renew(&mut self, shared: &mut Shared) {
        let waiting = std::mem::take(&mut self.waiting);
        *self = Register { waiting, ..Register::new(shared, self.slice, self.key.clone()) };
    }

    /// Whether the proposer asks other owners than it should, or under another epoch.
    fn has_moved(&self, shared: &Shared) -> bool {
        self.bounds != bounds(shared, self.slice)
            || self.electorate != electorate(shared, self.slice)
    }

    /// Whether a majority of each owner set is alive; how many are, where that is not so.
    fn is_available(&self, shared: &Shared) -> Result<(), QuorumCount> {
        if self.electorate.is_majority(|node| shared.view.is_live(node)) {
            return Ok(());
        }
        let members = self.electorate.members();
        let live = members.iter().filter(|node| shared.view.is_live(**node)).count();
        Err(QuorumCount::of(live, members.len() / 2 + 1))
    }

    fn ask(
        &self,
        shared: &Shared,
        to: NodeId,
        request: RegisterAsk<NodeId, RegisterValue>,
        effects: &mut Effects,
    ) {
        let asked = Box::new(RegisterRequest { key: self.key.clone(), request });
        if to == shared.me {
            let event = Event::AskOwn { request: self.asked, asked };
            effects.lane(After::Written, crate::Event::Strong(event));
        } else {
            let body = Body::Register(asked);
            let message = shared.message(self.asked, self.slice, body);
            effects.send(to, Class::Requests, message);
        }
    }

    /// Answers the request that has its turn.
    fn answer(
        &mut self,
        shared: &Shared,
        decided: &Decided<NodeId, RegisterValue>,
        effects: &mut Effects,
    ) {
        let Some(done) = self.waiting.pop_front() else { return };
        let mut owners = std::mem::take(&mut self.voted);
        owners.sort_unstable();
        owners.dedup();
        let value = decided.current.as_ref().map(|accepted| &accepted.value);
        let outcome = match done.change.answer(value) {
            Some(reply) => Outcome::Done(Box::new(Answered {
                replies: vec![reply],
                changed: ChangedDots::default(),
                seen: Default::default(),
                owners,
                fallbacks: Vec::new(),
                everywhere: false,
                explanation: None,
            })),
            None => unknown(owners.len(), &self.electorate),
        };
        done.origin.answer(shared, done.change.request, outcome, After::Written, effects);
    }

    /// Answers all whose time is over.
    fn expire(&mut self, shared: &Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let waiting = std::mem::take(&mut self.waiting);
        for waiting in waiting {
            if waiting.deadline > now {
                self.waiting.push_back(waiting);
                continue;
            }
            let need = self.electorate.members().len() / 2 + 1;
            let count = QuorumCount::of(self.voted.len(), need);
            let outcome = Outcome::Unavailable(Unavailable::Answers(count));
            self.end(shared, &waiting, outcome, effects);
        }
    }

    /// Answers a request that goes on no more and of which nothing is decided: with `otherwise`, which says that nothing
    /// was done, unless a value of it is with acceptors.
    fn end(&self, shared: &Shared, waiting: &Waiting, otherwise: Outcome, effects: &mut Effects) {
        let reads = waiting.change.operation.as_ref().is_some_and(StrongOperation::reads);
        let outcome = match waiting.sent && !reads {
            true => unknown(self.voted.len(), &self.electorate),
            false => otherwise,
        };
        waiting.origin.answer(shared, waiting.change.request, outcome, After::Written, effects);
    }

    fn next_deadline(&self) -> Option<Duration> {
        let waiting = self.waiting.iter().map(|waiting| waiting.deadline);
        waiting.chain(self.proposer.next_deadline()).min()
    }
}

fn bounds(shared: &Shared, slice: Slice) -> Bounds {
    (shared.newest_set(slice), shared.epoch(slice))
}

/// All live owner sets of a slice: a majority of each has to agree.
fn electorate(shared: &Shared, slice: Slice) -> Electorate<NodeId> {
    let sets = shared.view.live_sets(slice);
    let members: Vec<&[NodeId]> = sets.all().iter().map(|set| &set.members[..]).collect();
    Electorate::joint(&members).expect("live sets are within the bounds of an electorate")
}

fn unknown(voted: usize, electorate: &Electorate<NodeId>) -> Outcome {
    let count = QuorumCount::of(voted, electorate.members().len() / 2 + 1);
    Outcome::Unknown { count, changed: ChangedDots::default() }
}

fn refuse(shared: &Shared, waiting: &Waiting, refused: Refused, effects: &mut Effects) {
    let outcome = Outcome::Refused(refused);
    waiting.origin.answer(shared, waiting.change.request, outcome, After::Written, effects);
}
