//! The connections of one lane.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coterie_protocol::View;
use coterie_protocol::repair::barrier;
use coterie_resp::facts::{ClientFacts, Ended, KillFilter};
use coterie_resp::parse::ParseLimits;
use coterie_resp::{Answer, Ask, AskId, Connection, Door, DoorSettings, Surroundings};
use coterie_swim::Now;
use hashbrown::HashMap;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::client::{Client, serve};
use super::node;
use super::people::People;
use super::stream::Stream;
use crate::config::Settings;
use crate::engine::inbox::{AnswerTo, Answered, Asked};
use crate::engine::lane::LaneCell;
use crate::engine::memory::{ClientMemory, LaneMemory};
use crate::metrics::{LaneCounts, LaneMetrics, LaneSnapshot, OutcomeKind};

/// How long a client may take to say who it is, and for a handshake.
const AUTHENTICATE_WITHIN: Duration = Duration::from_secs(5);

/// What the connections of a lane are told at its start.
#[derive(Clone)]
pub struct ConnectionsSettings {
    door: DoorSettings,
    people: People,
    acceptor: Option<TlsAcceptor>,
    connections_max: usize,
    lane: u16,
    lanes: u16,
}

impl fmt::Debug for ConnectionsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionsSettings").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl ConnectionsSettings {
    /// Those of a lane.
    #[must_use]
    pub fn new(
        settings: &Settings,
        acceptor: Option<TlsAcceptor>,
        people: People,
        address: SocketAddr,
        lane: u16,
        seed: u64,
    ) -> Self {
        let lanes = settings.lanes.get();
        let value_bytes_max = settings.limits.operations.value_bytes_max;
        let limits = ParseLimits { word_bytes_max: value_bytes_max, ..ParseLimits::default() };
        let door = DoorSettings {
            limits,
            deadline: settings.limits.request_timeout,
            authentication: AUTHENTICATE_WITHIN,
            debug: false,
            address,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
        };
        let connections_max = settings.limits.connections_max.div_ceil(usize::from(lanes));
        ConnectionsSettings { door, people, acceptor, connections_max, lane, lanes }
    }
}

/// The connections of a lane. They live on its thread.
pub struct Connections {
    settings: ConnectionsSettings,
    door: RefCell<Door>,
    clients: RefCell<HashMap<u64, Rc<Client>>>,
    /// Those that were answered in this turn.
    answered: RefCell<Vec<Rc<Client>>>,
    metrics: RefCell<LaneMetrics>,
    /// How many there have been.
    count: Cell<u64>,
    /// Those whose handshake is under way.
    opening: Cell<usize>,
    memory: LaneMemory,
    view: RefCell<Option<Arc<View>>>,
    now: Cell<Now>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("count", &self.len()).finish_non_exhaustive()
    }
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(settings: ConnectionsSettings, memory: ClientMemory) -> Self {
        let door = Door::new(settings.door.clone(), settings.people.users());
        Connections {
            door: RefCell::new(door),
            settings,
            clients: RefCell::default(),
            answered: RefCell::default(),
            metrics: RefCell::new(LaneMetrics::new(super::command_names().len())),
            count: Cell::new(0),
            opening: Cell::new(0),
            memory: LaneMemory::new(memory),
            view: RefCell::default(),
            now: Cell::new(Now { monotonic: Duration::ZERO, wall_millis: 0 }),
        }
    }

    /// Control has another picture of the cluster.
    pub fn see(&self, view: Arc<View>) {
        self.view.replace(Some(view));
    }

    /// It is this late: read once a turn, and once for what is read.
    pub fn set_now(&self, now: Now) {
        self.now.set(now);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted.
    #[must_use]
    pub fn metrics(&self) -> LaneSnapshot {
        self.metrics.borrow().snapshot()
    }

    /// The users of the node.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.settings.people
    }

    /// What connections share.
    #[must_use]
    pub fn door(&self) -> &RefCell<Door> {
        &self.door
    }

    /// How many there may be on the whole node.
    #[must_use]
    pub fn most(&self) -> u64 {
        (self.settings.connections_max * usize::from(self.settings.lanes)) as u64
    }

    /// A client has come.
    pub fn accept(&self, cell: &Rc<LaneCell>, stream: std::net::TcpStream, from: SocketAddr) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        // Replies are written whole.
        drop(stream.set_nodelay(true));
        let turned_away: Option<&'static [u8]> = match () {
            () if self.view.borrow().is_none() => {
                Some(b"-LOADING this node is in no cluster yet: try again later\r\n")
            }
            () if self.len() + self.opening.get() >= self.settings.connections_max => {
                Some(b"-ERR max number of clients reached\r\n")
            }
            () => None,
        };
        if let Some(why) = turned_away {
            let mut stream = stream;
            spawn_local(async move { drop(stream.write_all(why).await) });
            return;
        }
        self.count.update(|count| count + 1);
        self.opening.update(|opening| opening + 1);
        let (lanes, lane) = (u64::from(self.settings.lanes), u64::from(self.settings.lane));
        let number = self.count.get() * lanes + lane;
        let weak = Rc::downgrade(cell);
        let acceptor = self.settings.acceptor.clone();
        spawn_local(async move {
            let opened = open(acceptor, stream).await;
            let Some(cell) = weak.upgrade() else { return };
            cell.connections.opening.update(|opening| opening - 1);
            let Ok((stream, local)) = opened else { return };
            let client = cell.connections.enter(&cell, number, stream, (from, local));
            drop(cell);
            let served = serve(Rc::clone(&client), weak.clone()).await;
            if let Err(error) = &served {
                debug!(%error, %from, "a client's connection ends");
            }
            if let Some(cell) = weak.upgrade() {
                cell.connections.leave(number, &served);
            }
        });
    }

    fn enter(
        &self,
        cell: &LaneCell,
        number: u64,
        stream: Stream,
        (from, local): (SocketAddr, SocketAddr),
    ) -> Rc<Client> {
        let now = cell.clock.now().monotonic;
        let connection = Connection::new(number, from, local, now, &self.door.borrow());
        let client = Rc::new(Client::new(connection, stream));
        self.clients.borrow_mut().insert(number, Rc::clone(&client));
        self.count(|counts| counts.connections_opened += 1);
        client
    }

    fn leave(&self, number: u64, served: &io::Result<()>) {
        if let Some(client) = self.clients.borrow_mut().remove(&number) {
            self.memory.change(client.connection.borrow_mut().give_up());
        }
        self.count(|counts| {
            counts.connections_closed += 1;
            counts.connections_dropped += u64::from(served.is_err());
        });
    }

    /// A question of a connection is answered. It is looked at when the turn ends.
    pub fn answered(&self, number: u64, ask: u64, answered: Answered) {
        let Some(client) = self.clients.borrow().get(&number).cloned() else { return };
        let answer = match answered {
            Answered::Request(response) => Answer::Outcome(response.outcome),
            Answered::List(listed) => Answer::Listed(*listed),
        };
        self.tell(&client, AskId(ask), answer);
        self.answered.borrow_mut().push(client);
    }

    /// Hands a connection an answer.
    fn tell(&self, client: &Client, ask: AskId, answer: Answer) {
        let mut connection = client.connection.borrow_mut();
        self.with(|door, around| connection.answered(ask, answer, door, around));
        self.memory.change(connection.settle());
    }

    fn with(&self, then: impl FnOnce(&mut Door, &Surroundings<'_>)) {
        let view = self.view.borrow();
        let Some(view) = &*view else { return };
        let Now { monotonic: now, wall_millis } = self.now.get();
        let memory = self.memory.now();
        then(&mut self.door.borrow_mut(), &Surroundings { view, now, wall_millis, memory });
    }

    /// Goes on with what a connection has read, and asks what it wants to know.
    pub(super) fn pump(&self, cell: &Rc<LaneCell>, client: &Rc<Client>) {
        let mut connection = client.connection.borrow_mut();
        self.with(|door, around| connection.go_on(door, around));
        self.memory.change(connection.settle());
        drop(connection);
        self.ask(cell, client);
        self.count_finished();
    }

    fn ask(&self, cell: &Rc<LaneCell>, client: &Rc<Client>) {
        let mut connection = client.connection.borrow_mut();
        let number = connection.id();
        while let Some((AskId(id), ask)) = connection.next_ask() {
            let to = AnswerTo::Connection(number, id);
            match ask {
                Ask::Request(request) => cell.ask(Asked::Request(request), to),
                Ask::List(list) => cell.ask(Asked::List(list), to),
                Ask::Barrier(wait) => {
                    let gateway = cell.gateway.clone();
                    later(cell, client, AskId(id), async move {
                        Answer::Barrier(gateway.barrier(barrier::Scope::All, wait).await)
                    });
                }
                Ask::Query(query) => {
                    let told = node::tell(query, Rc::clone(cell));
                    later(cell, client, AskId(id), async move { Answer::Told(told.await) });
                }
            }
        }
    }

    /// Counts something.
    pub fn count(&self, count: impl FnOnce(&mut LaneCounts)) {
        count(&mut self.metrics.borrow_mut().counts);
    }

    /// Counts the commands that were answered.
    fn count_finished(&self) {
        let (mut door, mut metrics) = (self.door.borrow_mut(), self.metrics.borrow_mut());
        for finished in door.finished.drain(..) {
            let outcome = match finished.ended {
                Ended::Done => OutcomeKind::Done,
                Ended::Failed => OutcomeKind::Failed,
                Ended::Unavailable => OutcomeKind::Unavailable,
                Ended::Unknown => OutcomeKind::Unknown,
            };
            metrics.request(finished.place, finished.level, outcome, finished.micros);
        }
    }

    /// The turn ends: connections that were answered go on, and what they say is written.
    pub fn flush(&self, cell: &Rc<LaneCell>) {
        let mut answered = self.answered.take();
        for client in answered.drain(..) {
            self.go_on(cell, &client);
        }
        // What was answered meanwhile waits for the next turn.
        if self.answered.borrow().is_empty() {
            self.answered.replace(answered);
        }
    }

    fn go_on(&self, cell: &Rc<LaneCell>, client: &Rc<Client>) {
        self.pump(cell, client);
        let written = client.write(self);
        let connection = client.connection.borrow();
        // The task writes what is left, ends what has ended, reads again where it had stopped, and asks what waited for
        // the client to read.
        let waits = !connection.output().is_empty() || connection.has_ended();
        let goes_on = connection.has_ask() || client.is_stuck() && connection.wants_input() > 0;
        drop(connection);
        if written.is_err() || waits || goes_on {
            client.wake();
        }
    }

    /// So many bytes of a connection's output were written.
    pub(super) fn wrote(&self, connection: &mut Connection, bytes: usize) {
        self.count(|counts| counts.client_bytes_out += bytes as u64);
        self.with(|door, around| connection.wrote(bytes, door, around));
        self.memory.change(connection.settle());
    }

    /// When a connection goes on by itself, since the node's start.
    pub(super) fn next_deadline(&self, connection: &Connection) -> Option<Duration> {
        connection.next_deadline(&self.door.borrow())
    }

    /// All connections, for people.
    #[must_use]
    pub fn facts(&self, now: Duration) -> Vec<ClientFacts> {
        let clients = self.clients.borrow();
        clients.values().map(|client| client.connection.borrow().facts(now)).collect()
    }

    /// Closes those that all filters name: how many.
    pub fn kill(&self, filters: &[KillFilter], now: Duration) -> u64 {
        let clients = self.clients.borrow();
        let mut killed = 0;
        for client in clients.values() {
            let facts = client.connection.borrow().facts(now);
            if filters.iter().all(|filter| filter.names(&facts)) {
                client.connection.borrow_mut().kill();
                client.wake();
                killed += 1;
            }
        }
        killed
    }

    /// All connections look again: something that they share has changed.
    pub fn look_again(&self) {
        for client in self.clients.borrow().values() {
            client.wake();
        }
    }

    /// The node stops: all connections are closed.
    pub fn close_all(&self) {
        for client in self.clients.borrow().values() {
            client.connection.borrow_mut().kill();
            client.wake();
        }
    }
}

/// The stream of a client that has just come, once it is sealed where the door asks for that, and where this end is.
async fn open(
    acceptor: Option<TlsAcceptor>,
    stream: TcpStream,
) -> io::Result<(Stream, SocketAddr)> {
    let stream = match acceptor {
        None => Stream::Plain(stream),
        Some(acceptor) => {
            let sealed = timeout(AUTHENTICATE_WITHIN, acceptor.accept(stream)).await;
            Stream::Sealed(Box::new(sealed??))
        }
    };
    let local = stream.local_address()?;
    Ok((stream, local))
}

/// Answers a connection once something is known that is not on this lane.
fn later(
    cell: &Rc<LaneCell>,
    client: &Rc<Client>,
    ask: AskId,
    answer: impl Future<Output = Answer> + 'static,
) {
    let (cell, client) = (Rc::downgrade(cell), Rc::downgrade(client));
    spawn_local(async move {
        let answer = answer.await;
        if let (Some(cell), Some(client)) = (cell.upgrade(), client.upgrade()) {
            cell.connections.set_now(cell.clock.now());
            cell.connections.tell(&client, ask, answer);
            cell.connections.go_on(&cell, &client);
        }
    });
}
