//! The core of a lane's thread: its driver, its storage, and who waits for it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coterie_protocol::control::SyncPolicy;
use coterie_protocol::driver::{LaneDriver, Turn};
use coterie_protocol::repair::barrier::{self, BarrierId};
use coterie_protocol::rows::{NotResident, StoreError};
use coterie_protocol::{
    Action, ClientId, Event, Lane, OpenError, SliceState, Start, View, control,
};
use coterie_swim::Now;
use coterie_wire::{Listed, Outcome, Refused, Response};
use tokio::sync::{Notify, oneshot};
use tracing::error;

use crate::engine::clients::Clients;
use crate::engine::clock::Clock;
use crate::engine::gateway::{Gateway, LaneFacts, SliceFacts};
use crate::engine::ground::Ground;
use crate::engine::inbox::{AnswerTo, Answered, Asked, ControlInput, LaneInput, Router};
use crate::peers::{PeerEvent, Peers};
use crate::resp::Connections;
use crate::storage::{Fetched, LaneStore, Storage, Waker};

/// Events of one turn at most: so many are committed as one batch.
const EVENTS_PER_TURN_MAX: usize = 512;

/// How often a lane says how it is.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// What a lane's thread is started with.
#[derive(Clone, Debug)]
pub struct LaneSettings {
    /// Which lane.
    pub lane: u16,
    /// When what it acknowledges is durable.
    pub sync: SyncPolicy,
    /// How it behaves.
    pub protocol: coterie_protocol::Settings,
    /// Random.
    pub seed: u64,
}

/// A lane's thread, as its tasks share it.
pub struct LaneCell {
    /// Which lane it is.
    pub lane: u16,
    /// The node's clocks.
    pub clock: Clock,
    /// The ends that reach other threads.
    pub router: Router,
    /// For what connections ask of the node.
    pub gateway: Gateway,
    storage: Storage,
    core: RefCell<Core>,
    /// What came since the last turn, from tasks of this thread.
    peer_events: RefCell<Vec<PeerEvent>>,
    asks: RefCell<Vec<(Asked, AnswerTo)>>,
    /// Whether a turn is due.
    pub wake: Notify,
    /// The connections of clients.
    pub connections: Connections,
    view: RefCell<Option<Arc<View>>>,
    failed: Cell<Option<StoreError>>,
}

struct Core {
    settings: LaneSettings,
    router: Router,
    gateway: Gateway,
    storage: Storage,
    ground: Ground,
    log: Waker,
    /// Rows that too many others are fetched before.
    unfetched: VecDeque<(u64, NotResident)>,
    driver: Option<LaneDriver<Fetched>>,
    turn: Turn,
    clients: Clients,
    barriers: BTreeMap<BarrierId, oneshot::Sender<barrier::Outcome>>,
    barriers_begun: u64,
    peers: Option<Rc<Peers>>,
    published: Instant,
}

impl fmt::Debug for LaneCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneCell").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl LaneCell {
    /// A lane without a view yet.
    #[must_use]
    pub fn new(
        settings: LaneSettings,
        clock: Clock,
        router: Router,
        gateway: Gateway,
        (storage, store, log): (Storage, LaneStore, Waker),
        connections: Connections,
    ) -> Rc<Self> {
        let lane = settings.lane;
        let core = Core {
            router: router.clone(),
            gateway: gateway.clone(),
            ground: Ground::new(store),
            storage: storage.clone(),
            log,
            unfetched: VecDeque::new(),
            driver: None,
            turn: Turn::default(),
            clients: Clients::default(),
            barriers: BTreeMap::new(),
            barriers_begun: 0,
            peers: None,
            published: Instant::now(),
            settings,
        };
        Rc::new(LaneCell {
            lane,
            clock,
            router,
            gateway,
            storage,
            core: RefCell::new(core),
            peer_events: RefCell::default(),
            asks: RefCell::default(),
            wake: Notify::new(),
            connections,
            view: RefCell::default(),
            failed: Cell::new(None),
        })
    }

    /// The cluster as control sees it; `None` before the first view.
    #[must_use]
    pub fn view(&self) -> Option<Arc<View>> {
        self.view.borrow().clone()
    }

    /// How much of the disk is free, as parts of 1,000.
    #[must_use]
    pub fn free_permille(&self) -> u16 {
        self.storage.free_permille()
    }

    /// The network, once it is there.
    pub fn set_peers(&self, peers: Rc<Peers>) {
        self.core.borrow_mut().peers = Some(peers);
    }

    /// The network, if it is there.
    #[must_use]
    pub fn peers(&self) -> Option<Rc<Peers>> {
        self.core.borrow().peers.clone()
    }

    /// Whether nobody waits for an answer of this lane.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.borrow().clients.is_empty() && self.asks.borrow().is_empty()
    }

    /// The network says something. It is looked at in the next turn.
    pub fn peer_event(&self, event: PeerEvent) {
        self.peer_events.borrow_mut().push(event);
        self.wake.notify_one();
    }

    /// A client of this lane asks. It is looked at in the next turn, and always answered.
    pub fn ask(&self, asked: Asked, to: AnswerTo) {
        self.asks.borrow_mut().push((asked, to));
        self.wake.notify_one();
    }

    /// Takes in what another thread says; false where the lane is to stop.
    pub fn take_in(self: &Rc<Self>, input: LaneInput) -> bool {
        match input {
            LaneInput::Connection(stream, from) => self.connections.accept(self, stream, from),
            LaneInput::Visit(visit) => visit(&self.connections),
            LaneInput::Stop => return false,
            LaneInput::View(view, actors_spent) => self.see(view, actors_spent),
            other => {
                let taken = self.core.borrow_mut().take_in(self.clock, other, &self.connections);
                self.note(taken);
            }
        }
        true
    }

    /// Why the lane cannot go on, if it cannot: nothing may be written any more.
    #[must_use]
    pub fn failed(&self) -> Option<StoreError> {
        self.failed.get()
    }

    fn note(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.failed.set(Some(error));
        }
    }

    fn see(&self, view: Arc<View>, actors_spent: bool) {
        let seen = self.core.borrow_mut().see(&view, actors_spent, self.clock);
        match seen {
            Ok(()) => {
                self.connections.see(Arc::clone(&view));
                *self.view.borrow_mut() = Some(view);
            }
            Err(error) => {
                error!(%error, "the lane cannot be opened; the node has to be replaced");
                self.failed.set(Some(StoreError::Io));
            }
        }
    }

    /// Handles what waits, commits it, and carries out what follows. Whether there is more to do at once.
    pub fn turn(self: &Rc<Self>) -> bool {
        let core = &mut *self.core.borrow_mut();
        let now = self.clock.now();
        self.connections.set_now(now);
        for event in self.peer_events.borrow_mut().drain(..) {
            self.connections.count(|counts| match &event {
                PeerEvent::Message { .. } => counts.messages_in += 1,
                PeerEvent::Unreachable { .. } => counts.messages_unreachable += 1,
                PeerEvent::Hello { .. } | PeerEvent::Lost { .. } => {}
            });
            core.peer_event(event);
        }
        let view = self.view();
        for (asked, to) in self.asks.borrow_mut().drain(..) {
            core.ask(view.as_deref(), asked, to, &self.connections);
        }
        self.note(core.turn(now, &self.connections));
        if self.failed.get().is_some() {
            return false;
        }
        self.connections.flush(self);
        if let Some(peers) = &core.peers {
            peers.flush();
        }
        if core.published.elapsed() >= PUBLISH_EVERY {
            core.published = Instant::now();
            core.publish(&self.connections);
        }
        core.driver.as_ref().is_some_and(LaneDriver::is_busy) || !self.asks.borrow().is_empty()
    }

    /// When the lane next wants a turn by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Instant {
        let core = self.core.borrow();
        let lane = core.driver.as_ref().and_then(|driver| driver.lane().next_deadline());
        let publish = core.published + PUBLISH_EVERY;
        lane.map_or(publish, |deadline| publish.min(self.clock.at(deadline)))
    }
}

impl Core {
    fn take_in(
        &mut self,
        clock: Clock,
        input: LaneInput,
        connections: &Connections,
    ) -> Result<(), StoreError> {
        match input {
            LaneInput::Event(event) => self.push(event),
            LaneInput::Ask(asked, to) => self.submit(asked, to, connections),
            LaneInput::Answered(client, answered) => self.answer(client, answered, connections),
            LaneInput::Fetched(id, fetched) => {
                return self.fetched(clock, id, fetched);
            }
            LaneInput::Synced(number) => {
                self.ground.synced(number);
                if let Some(driver) = &mut self.driver {
                    driver.synced(number, &mut self.turn);
                }
            }
            LaneInput::Send(to, address, message) => {
                if let Some(peers) = &self.peers {
                    peers.send_to(to, address, message);
                }
            }
            LaneInput::Disconnect(peer) => {
                if let Some(peers) = &self.peers {
                    peers.disconnect(peer);
                }
            }
            LaneInput::Barrier(scope, wait, sender) => {
                self.begin_barrier(clock, scope, wait, sender)
            }
            LaneInput::Connection(..)
            | LaneInput::Visit(_)
            | LaneInput::Stop
            | LaneInput::View(..) => unreachable!("the cell takes these"),
        }
        Ok(())
    }

    /// Control has another picture: the first one opens the lane.
    fn see(&mut self, view: &Arc<View>, actors_spent: bool, clock: Clock) -> Result<(), OpenError> {
        if let Some(peers) = &self.peers {
            peers.members(Arc::clone(&view.attributes));
        }
        if self.driver.is_none() {
            let start = Start {
                lane: self.settings.lane,
                lanes: self.router.lanes(),
                settings: self.settings.protocol.clone(),
                view: Arc::clone(view),
                seed: self.settings.seed,
                actors_spent,
                now: clock.now(),
            };
            let lane = Lane::open(start, &self.storage.everything())?;
            self.driver = Some(LaneDriver::new(lane, self.settings.sync));
        }
        self.push(Event::View(Arc::clone(view)));
        Ok(())
    }

    fn push(&mut self, event: Event) {
        if let Some(driver) = &mut self.driver {
            driver.push(event);
        }
    }

    fn peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Message { from, message } => match message.slice {
                None => self.tell_control(control::Event::Message { from, message }),
                Some(slice) => {
                    let lane = self.router.lane_of(slice.partition);
                    let event = Event::Message { from, message };
                    if lane == self.settings.lane {
                        self.push(event);
                    } else {
                        self.router.lane(lane, LaneInput::Event(event));
                    }
                }
            },
            PeerEvent::Unreachable { to, request } => self.push(Event::Unreachable { to, request }),
            PeerEvent::Hello { peer, hello, round_trip } => {
                self.tell_control(control::Event::Hello { peer, hello, round_trip });
            }
            PeerEvent::Lost { peer } => self.tell_control(control::Event::ConnectionLost { peer }),
        }
    }

    fn tell_control(&self, event: control::Event) {
        self.router.control(ControlInput::Event(event));
    }

    /// A client of this lane asks: of this lane, or of another one of the node.
    fn ask(&mut self, view: Option<&View>, asked: Asked, to: AnswerTo, connections: &Connections) {
        let Some(view) = view else { return self.refuse(&asked, to, connections) };
        let partition = match &asked {
            Asked::Request(request) => view.partition(&request.key),
            Asked::List(list) => list.partition(view.decision.layout().partitioner()),
        };
        let lane = self.router.lane_of(partition);
        if lane == self.settings.lane {
            return self.submit(asked, to, connections);
        }
        let client = self.clients.add(to);
        let back = AnswerTo::Lane(self.settings.lane, client);
        self.router.lane(lane, LaneInput::Ask(asked, back));
    }

    fn submit(&mut self, asked: Asked, to: AnswerTo, connections: &Connections) {
        let Some(driver) = &mut self.driver else { return self.refuse(&asked, to, connections) };
        let client = self.clients.add(to);
        driver.push(match asked {
            Asked::Request(request) => Event::Request { client, request },
            Asked::List(list) => Event::List { client, list },
        });
    }

    /// Before its first view a lane serves nobody.
    fn refuse(&self, asked: &Asked, to: AnswerTo, connections: &Connections) {
        let answered = match asked {
            Asked::Request(_) => {
                let outcome = Outcome::Refused(Refused::NotServing);
                Answered::Request(Box::new(Response { outcome }))
            }
            Asked::List(_) => Answered::List(Box::new(Listed::Refused(Refused::NotServing))),
        };
        self.deliver(to, answered, connections);
    }

    fn answer(&mut self, client: ClientId, answered: Answered, connections: &Connections) {
        if let Some(to) = self.clients.take(client) {
            self.deliver(to, answered, connections);
        }
    }

    /// Who has gone away meanwhile misses the answer.
    fn deliver(&self, to: AnswerTo, answered: Answered, connections: &Connections) {
        match (to, answered) {
            (AnswerTo::Connection(number, ask), answered) => {
                connections.answered(number, ask, answered);
            }
            (AnswerTo::Lane(lane, client), answered) => {
                self.router.lane(lane, LaneInput::Answered(client, answered));
            }
            (AnswerTo::Response(sender), Answered::Request(response)) => {
                drop(sender.send(*response));
            }
            (AnswerTo::Listed(sender), Answered::List(listed)) => drop(sender.send(*listed)),
            (AnswerTo::Response(_), Answered::List(_))
            | (AnswerTo::Listed(_), Answered::Request(_)) => {
                unreachable!("lanes answer in kind")
            }
        }
    }

    fn begin_barrier(
        &mut self,
        clock: Clock,
        scope: barrier::Scope,
        wait: Duration,
        sender: oneshot::Sender<barrier::Outcome>,
    ) {
        self.barriers_begun += 1;
        let barrier = BarrierId(self.barriers_begun);
        self.barriers.insert(barrier, sender);
        let until = clock.now().monotonic + wait;
        self.push(Event::Barrier(barrier::Event::Begin { barrier, scope, until }));
    }

    fn fetched(
        &mut self,
        clock: Clock,
        id: u64,
        fetched: Result<Fetched, StoreError>,
    ) -> Result<(), StoreError> {
        let Some(driver) = &mut self.driver else { return Ok(()) };
        let fetched = fetched?;
        let add = |all: &mut Fetched| all.absorb(fetched);
        driver.fetched(&mut self.ground, clock.now(), id, add, &mut self.turn)?;
        if let Some((id, wanted)) = self.unfetched.pop_front() {
            self.fetch(id, wanted);
        }
        Ok(())
    }

    /// Handles events that wait, and carries out what follows from this turn and what came before it.
    fn turn(&mut self, now: Now, connections: &Connections) -> Result<(), StoreError> {
        let Some(driver) = &mut self.driver else { return Ok(()) };
        if driver.lane().next_deadline().is_some_and(|deadline| deadline <= now.monotonic) {
            driver.push(Event::Tick);
        }
        driver.turn(&mut self.ground, now, EVENTS_PER_TURN_MAX, &mut self.turn)?;
        let holds = driver.holds();
        let mut turn = mem::take(&mut self.turn);
        connections.count(|counts| {
            counts.turns += 1;
            counts.events += turn.events as u64;
            counts.fetches += turn.fetches.len() as u64;
        });
        for (id, wanted) in turn.fetches.drain(..) {
            self.fetch(id, wanted);
        }
        for action in turn.actions.drain(..) {
            self.carry_out(action, connections);
        }
        turn.events = 0;
        self.turn = turn;
        if holds {
            self.log.wake();
        }
        Ok(())
    }

    /// Has rows fetched; where too many are fetched already, once one of those is here.
    fn fetch(&mut self, id: u64, wanted: NotResident) {
        let (router, lane) = (self.router.clone(), self.settings.lane);
        let then = move |_wanted, fetched| {
            router.lane(lane, LaneInput::Fetched(id, fetched));
        };
        if self.ground.fetch(wanted.clone(), Box::new(then)).is_err() {
            self.unfetched.push_back((id, wanted));
        }
    }

    fn carry_out(&mut self, action: Action, connections: &Connections) {
        match action {
            Action::Send { to, class, message } => {
                connections.count(|counts| counts.sent(class, &message.body));
                if let Some(peers) = &self.peers {
                    peers.send(to, class, message);
                }
            }
            Action::Respond { client, response } => {
                self.answer(client, Answered::Request(response), connections);
            }
            Action::Listed { client, listed } => {
                self.answer(client, Answered::List(listed), connections);
            }
            Action::Control(event) => {
                self.router.control(ControlInput::Lane(*event));
            }
            Action::Barrier { barrier, outcome } => {
                if let Some(sender) = self.barriers.remove(&barrier) {
                    drop(sender.send(outcome));
                }
            }
            // Nobody waits for changes yet.
            Action::Changed { .. } => {}
            Action::Lane(_) => unreachable!("the driver keeps what is for the lane"),
        }
    }

    fn publish(&self, connections: &Connections) {
        let Some(driver) = &self.driver else { return };
        let shared = driver.lane().shared();
        connections.count(|counts| counts.commits = shared.committed);
        let slice = |state: &SliceState| SliceFacts {
            slice: state.slice,
            epoch: state.epoch,
            received: state.is_received(),
            digest: state.tree.root(),
        };
        self.gateway.publish(LaneFacts {
            lane: self.settings.lane,
            counters: shared.counters,
            slices: shared.slices.values().map(slice).collect(),
            hints: shared.hints.owners().collect(),
            committed: shared.committed,
            parked: driver.parked() as u64,
            connections: connections.len() as u64,
            metrics: connections.metrics(),
        });
    }
}
