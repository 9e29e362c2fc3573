//! What crosses the network between nodes.
//!
//! [`Peers`] are a lane's QUIC connections, one to each peer, in both directions; [`Gossip`] is the node's socket of
//! sealed datagrams.

mod connecting;
mod gossip;
mod head;
mod link;
pub mod locate;
mod outgoing;
mod receiving;
mod settings;
mod table;
mod transport;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coterie_protocol::Class;
use coterie_ring::NodeId;
use coterie_swim::{Address, Attributes};
use coterie_wire::Message;
use coterie_wire::frame::ClusterTag;
use coterie_wire::peer::control::Hello;
use tokio::task::spawn_local;
use tokio::time::timeout;
use tracing::warn;

use crate::certificates::Certificates;
pub use gossip::{Gossip, GossipCounters, Unopened};
use link::Closing;
use outgoing::Waiting;
pub use settings::{PeerEvent, PeersCounters, PeersLimits, PeersSettings};
use table::Table;
use transport::Configurations;

/// How long peers have to hear that this process ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is said first on a connection.
type SayHello = Rc<dyn Fn() -> Hello>;

/// The peers of a lane: a QUIC endpoint, and a connection to each peer that something was sent to.
///
/// Lives on its lane's thread, within a `LocalSet`.
#[derive(Clone)]
pub struct Peers {
    inner: Rc<Inner>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peers").field("lane", &self.inner.lane).finish_non_exhaustive()
    }
}

/// What the tasks of a lane's connections share.
struct Inner {
    lane: u16,
    process: u64,
    tag: ClusterTag,
    limits: PeersLimits,
    certificates: Certificates,
    configurations: RefCell<Configurations>,
    endpoint: quinn::Endpoint,
    events: Rc<dyn Fn(PeerEvent)>,
    hello: RefCell<Option<SayHello>>,
    table: Table,
    /// What waits for addresses of which it is not known who is there.
    seeds: RefCell<BTreeMap<SocketAddr, [Waiting; 2]>>,
    /// Handshakes of others that are under way.
    handshakes: Cell<usize>,
    /// When a refused connection was warned of last.
    complained: Cell<Option<Instant>>,
}

/// One connection, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConnection {
    /// To whom.
    pub peer: NodeId,
    /// Where it is.
    pub address: SocketAddr,
    /// Whether this lane made it.
    pub made_here: bool,
    /// Whether this lane sends by it.
    pub sent_by: bool,
    /// The smoothed round trip time.
    pub round_trip: Duration,
    /// The largest datagram that is sent.
    pub datagram_bytes: u16,
    /// Packets that were sent.
    pub sent_packets: u64,
    /// Packets that were lost and sent again.
    pub lost_packets: u64,
    /// Bytes that wait for the streams to take them.
    pub waiting_bytes: usize,
}

impl Peers {
    /// Opens the lane's endpoint. Connections are made and accepted only after [`Peers::set_hello`].
    ///
    /// `events` is called from tasks of the `LocalSet`, never within a call of a method here. It may call these methods.
    ///
    /// # Errors
    /// If the address cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime and `LocalSet`.
    pub fn start(settings: PeersSettings, events: Rc<dyn Fn(PeerEvent)>) -> io::Result<Peers> {
        let PeersSettings { lane, process, listen, certificates, limits } = settings;
        let configurations = Configurations::of(&certificates.current(), &limits);
        let endpoint = transport::endpoint(listen, &certificates, &configurations, &limits)?;
        let low = certificates.cluster() & u128::from(u64::MAX);
        let tag = ClusterTag(u64::try_from(low).expect("it is the low half"));
        let me = certificates.node();
        let inner = Rc::new(Inner {
            lane,
            process,
            tag,
            limits,
            configurations: RefCell::new(configurations),
            endpoint,
            events,
            hello: RefCell::new(None),
            table: Table::new(me, lane, tag, limits.queued_bytes_max),
            seeds: RefCell::default(),
            handshakes: Cell::new(0),
            complained: Cell::new(None),
            certificates,
        });
        spawn_local(connecting::accept_all(Rc::clone(&inner)));
        spawn_local(tell(Rc::clone(&inner)));
        Ok(Peers { inner })
    }

    /// Where the endpoint is bound.
    ///
    /// # Errors
    /// If the socket does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.inner.endpoint.local_addr()
    }

    /// What is said first on each new connection.
    pub fn set_hello(&self, hello: impl Fn() -> Hello + 'static) {
        *self.inner.hello.borrow_mut() = Some(Rc::new(hello));
    }

    /// Where peers are, and how many lanes they have.
    pub fn members(&self, members: Arc<BTreeMap<NodeId, Attributes>>) {
        self.inner.table.set_members(members);
    }

    /// Queues a message, which is sent with the next [`flush`](Peers::flush). What cannot be sent is told as
    /// [`PeerEvent::Unreachable`].
    pub fn send(&self, to: NodeId, class: Class, message: Box<Message>) {
        self.inner.table.send(to, class, &message);
    }

    /// Queues a message of control for the node at an address, which must be `to` if that is given. What cannot be sent is
    /// dropped. The address is that of the lane to connect to.
    pub fn send_to(&self, to: Option<NodeId>, address: Address, message: Box<Message>) {
        let address = SocketAddr::from(address);
        let table = &self.inner.table;
        match to.or_else(|| table.at(address)) {
            Some(peer) => {
                if to.is_some() {
                    table.give_address(peer, address);
                }
                table.send(peer, Class::Requests, &message);
            }
            None => {
                if let Err(error) = self.inner.send_to_seed(address, &message) {
                    warn!(%address, %error, "a message to a seed is dropped");
                }
            }
        }
    }

    /// Sends all that was queued: one write for each stream.
    pub fn flush(&self) {
        self.inner.flush();
    }

    /// Closes the connections to a peer that control does not talk to. A message to it makes a new one.
    pub fn disconnect(&self, peer: NodeId) {
        self.inner.table.disconnect(peer, Closing::Unfit, "the hello was not taken");
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> PeersCounters {
        *self.inner.table.counters.borrow()
    }

    /// All connections that stand.
    #[must_use]
    pub fn connections(&self) -> Vec<PeerConnection> {
        let links = self.inner.table.links().into_iter();
        let shown = links.map(|(link, sent_by)| {
            let path = link.connection.stats().path;
            PeerConnection {
                peer: link.peer,
                address: link.connection.remote_address(),
                made_here: link.made_here,
                sent_by,
                round_trip: path.rtt,
                datagram_bytes: path.current_mtu,
                sent_packets: path.sent_packets,
                lost_packets: path.lost_packets,
                waiting_bytes: link.outgoing.borrow().lengths().iter().sum(),
            }
        });
        shown.collect()
    }

    /// Closes all connections, saying so, and the endpoint.
    pub async fn stop(&self) {
        self.inner.endpoint.close(Closing::Stopping.code(), b"the process ends");
        // Who has not heard by then finds out by itself.
        if timeout(FAREWELL, self.inner.endpoint.wait_idle()).await.is_err() {
            warn!("not all peers have heard that this process ends");
        }
    }
}

impl Inner {
    fn flush(self: &Rc<Self>) {
        for (peer, attempt) in self.table.flush() {
            spawn_local(connecting::connect(Rc::clone(self), peer, attempt));
        }
    }

    /// The configurations for a new connection: of the certificates of now.
    fn configurations(&self) -> ConfigurationsOfNow {
        let mut configurations = self.configurations.borrow_mut();
        if self.certificates.is_newer(configurations.version) {
            *configurations = Configurations::of(&self.certificates.current(), &self.limits);
        }
        let Configurations { server, client, .. } = &*configurations;
        ConfigurationsOfNow { server: Arc::clone(server), client: client.clone() }
    }
}

struct ConfigurationsOfNow {
    server: Arc<quinn::ServerConfig>,
    client: quinn::ClientConfig,
}

/// Tells what came up within calls of methods.
async fn tell(inner: Rc<Inner>) {
    loop {
        inner.table.tell.notified().await;
        for event in inner.table.take_told() {
            (inner.events)(event);
        }
    }
}
