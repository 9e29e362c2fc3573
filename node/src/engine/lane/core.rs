//! The core of a lane's thread: its driver, its storage, who waits for it, and how what it wants is carried out.

use std::collections::{BTreeMap, VecDeque};
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
use coterie_wire::{Body, Listed, Message, Outcome, Refused, Response};
use tokio::sync::oneshot;

use crate::engine::clients::Clients;
use crate::engine::clock::Clock;
use crate::engine::gateway::{Gateway, LaneFacts, PUBLISH_EVERY, SliceFacts};
use crate::engine::ground::Ground;
use crate::engine::inbox::{AnswerTo, Answered, Asked, ControlInput, LaneInput, Router};
use crate::peers::{PeerEvent, Peers};
use crate::resp::Connections;
use crate::storage::{Fetched, LaneStore, Storage, Waker};

/// Events of one turn at most: so many are committed as one batch.
const EVENTS_PER_TURN_MAX: usize = 512;

/// What moves wait for is shown to people: so much of it.
const MOVE_WAITS_MAX: usize = 256;

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

/// What a lane's thread changes in its turns.
pub(super) struct Core {
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
    pub(super) peers: Option<Rc<Peers>>,
    published: Instant,
}

impl Core {
    pub(super) fn new(
        settings: LaneSettings,
        router: Router,
        gateway: Gateway,
        (storage, store, log): (Storage, LaneStore, Waker),
    ) -> Self {
        Core {
            router,
            gateway,
            ground: Ground::new(store),
            storage,
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
        }
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    /// Whether events wait to be handled.
    pub(super) fn is_busy(&self) -> bool {
        self.driver.as_ref().is_some_and(LaneDriver::is_busy)
    }

    /// When the lane next wants a turn by itself.
    pub(super) fn next_deadline(&self, clock: Clock) -> Instant {
        let lane = self.driver.as_ref().and_then(|driver| driver.lane().next_deadline());
        let publish = self.published + PUBLISH_EVERY;
        lane.map_or(publish, |deadline| publish.min(clock.at(deadline)))
    }

    /// Says how the lane is, where it has not for a while.
    pub(super) fn publish_now_and_then(&mut self, connections: &Connections) {
        if self.published.elapsed() >= PUBLISH_EVERY {
            self.published = Instant::now();
            self.publish(connections);
        }
    }

    pub(super) fn take_in(
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
    pub(super) fn see(
        &mut self,
        view: &Arc<View>,
        actors_spent: bool,
        clock: Clock,
    ) -> Result<(), OpenError> {
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

    pub(super) fn peer_event(&mut self, event: PeerEvent) {
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
    pub(super) fn ask(
        &mut self,
        view: Option<&View>,
        asked: Asked,
        to: AnswerTo,
        connections: &Connections,
    ) {
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
    pub(super) fn turn(&mut self, now: Now, connections: &Connections) -> Result<(), StoreError> {
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

    /// Rows of a slice that moves, in a message.
    fn moved_rows(&self, message: &Message) -> u64 {
        let (Body::Sync(sync), Some(slice), Some(driver)) =
            (&message.body, message.slice, &self.driver)
        else {
            return 0;
        };
        let moves = |state: &SliceState| state.replica.sets().is_moving();
        if driver.lane().shared().slices.get(&slice).is_some_and(moves) {
            sync.rows() as u64
        } else {
            0
        }
    }

    fn carry_out(&mut self, action: Action, connections: &Connections) {
        match action {
            Action::Send { to, class, message } => {
                connections.count(|counts| counts.sent(class, &message.body));
                let rows = self.moved_rows(&message);
                if let Some(peers) = &self.peers {
                    let before = peers.counters().sent_bytes;
                    peers.send(to, class, message);
                    if rows > 0 {
                        let bytes = peers.counters().sent_bytes - before;
                        connections.count(|counts| {
                            counts.moved_rows_out += rows;
                            counts.moved_bytes_out += bytes;
                        });
                    }
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
            parked: driver.parked() as u64,
            waits: driver.lane().move_waits(MOVE_WAITS_MAX),
            paths: self.peers.as_ref().map(|peers| peers.connections()).unwrap_or_default(),
            metrics: connections.metrics(),
        });
    }
}
