//! Making and accepting connections.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use coterie_ring::NodeId;
use quinn::{ConnectError, ConnectionError, Incoming, SendStream};
use thiserror::Error;
use tokio::task::spawn_local;
use tokio::time::{sleep_until, timeout};
use tracing::{debug, warn};

use super::Inner;
use super::head::Head;
use super::link::{Closing, Link};
use super::outgoing::{CLASSES, Outgoing, Waiting};
use super::receiving::receive;
use super::table::Attempt;
use crate::certificates::{Certificates, IdentityError};

/// Beyond so many handshakes at once, those who make connections have to show that they are where they say.
const HANDSHAKES_UNPROVEN_MAX: usize = 64;
/// Beyond so many, they are turned away.
const HANDSHAKES_MAX: usize = 512;
/// Requests go before bulk.
const PRIORITIES: [i32; 2] = [1, 0];

/// Why a connection did not come to be.
#[derive(Debug, Error)]
pub(super) enum ConnectingError {
    #[error("the address cannot be used: {0}")]
    Address(#[from] ConnectError),
    #[error("no answer within {0:?}")]
    Silence(Duration),
    #[error("{0}")]
    Connection(#[from] ConnectionError),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("node {:032x} is at {address}", .found.0)]
    OtherNode { address: SocketAddr, found: NodeId },
    #[error("this node itself is at {address}")]
    Itself { address: SocketAddr },
    #[error("it is not known yet what to say first")]
    Speechless,
}

/// Connects to a peer because something waits for it.
pub(super) async fn connect(inner: Rc<Inner>, peer: NodeId, attempt: Attempt) {
    if let Some(at) = attempt.not_before {
        sleep_until(at.into()).await;
    }
    if inner.table.is_wanted(peer)
        && let Err(reason) = dial(&inner, Some(peer), attempt.address).await
    {
        inner.table.failed(peer, &reason);
    }
}

/// Connects to an address of which it is not known who is there.
pub(super) async fn connect_seed(inner: Rc<Inner>, address: SocketAddr) {
    let dialed = dial(&inner, None, address).await;
    let waiting = inner.seeds.borrow_mut().remove(&address).unwrap_or_default();
    match dialed {
        Ok(peer) => inner.table.adopt(peer, waiting),
        Err(reason) => debug!(%address, %reason, "a seed cannot be connected to"),
    }
}

async fn dial(
    inner: &Rc<Inner>,
    wanted: Option<NodeId>,
    address: SocketAddr,
) -> Result<NodeId, ConnectingError> {
    let config = inner.configurations().client.clone();
    let name = inner.certificates.server_name(wanted);
    let connecting = inner.endpoint.connect_with(config, address, &name)?;
    let patience = inner.limits.handshake;
    let connected = timeout(patience, connecting).await;
    let connection = connected.map_err(|_elapsed| ConnectingError::Silence(patience))??;
    let began = Instant::now();
    let found = identify(inner, &connection)?;
    if wanted.is_some_and(|wanted| wanted != found) {
        connection.close(Closing::OtherNode.code(), b"another node was looked for");
        return Err(ConnectingError::OtherNode { address, found });
    }
    establish(inner, connection, found, true, began).await?;
    Ok(found)
}

fn identify(inner: &Inner, connection: &quinn::Connection) -> Result<NodeId, ConnectingError> {
    let found = Certificates::peer_identity(connection)?;
    if found == inner.certificates.node() {
        connection.close(Closing::OtherNode.code(), b"this is the same node");
        return Err(ConnectingError::Itself { address: connection.remote_address() });
    }
    Ok(found)
}

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept_all(inner: Rc<Inner>) {
    while let Some(incoming) = inner.endpoint.accept().await {
        let under_way = inner.handshakes.get();
        if under_way >= HANDSHAKES_MAX {
            incoming.refuse();
        } else if under_way >= HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
        } else {
            inner.handshakes.set(under_way + 1);
            let inner = Rc::clone(&inner);
            spawn_local(async move {
                let address = incoming.remote_address();
                let accepted = accept(&inner, incoming).await;
                inner.handshakes.update(|under_way| under_way - 1);
                if let Err(reason) = accepted {
                    inner.table.counters.borrow_mut().refused += 1;
                    inner.complain(address, &reason);
                }
            });
        }
    }
}

async fn accept(inner: &Rc<Inner>, incoming: Incoming) -> Result<(), ConnectingError> {
    // The other end says hello only after it has heard of this.
    let began = Instant::now();
    let config = inner.configurations().server;
    let connecting = incoming.accept_with(config)?;
    let patience = inner.limits.handshake;
    let connected = timeout(patience, connecting).await;
    let connection = connected.map_err(|_elapsed| ConnectingError::Silence(patience))??;
    let peer = identify(inner, &connection)?;
    establish(inner, connection, peer, false, began).await
}

/// Says hello on a new connection, and lets it be used.
async fn establish(
    inner: &Rc<Inner>,
    connection: quinn::Connection,
    peer: NodeId,
    made_here: bool,
    began: Instant,
) -> Result<(), ConnectingError> {
    let patience = inner.limits.handshake;
    let opened = timeout(patience, open(&connection)).await;
    let streams = opened.map_err(|_elapsed| ConnectingError::Silence(patience))??;
    let hello = inner.hello.borrow().as_ref().map(|say| say());
    let hello = hello.ok_or(ConnectingError::Speechless)?;
    let heads = CLASSES.map(|class| {
        let hello = (class == CLASSES[0]).then_some(hello);
        let mut bytes = Vec::with_capacity(64);
        Head { class, process: inner.process, lane: inner.lane, hello }.write(&mut bytes);
        bytes
    });
    let link = Rc::new(Link {
        peer,
        connection,
        made_here,
        number: inner.table.next_number(),
        began,
        remote: Default::default(),
        classes: Default::default(),
        closing: Default::default(),
        outgoing: RefCell::new(Outgoing::new(streams, heads)),
    });
    link.outgoing.borrow_mut().write();
    inner.table.add(&link);
    spawn_local(run(Rc::clone(inner), link));
    Ok(())
}

async fn open(connection: &quinn::Connection) -> Result<[SendStream; 2], ConnectionError> {
    let streams = [connection.open_uni().await?, connection.open_uni().await?];
    for (stream, priority) in streams.iter().zip(PRIORITIES) {
        // It was opened a moment ago, and only this end can close it.
        stream.set_priority(priority).expect("the stream is open");
    }
    Ok(streams)
}

/// A connection as long as it lives.
async fn run(inner: Rc<Inner>, link: Rc<Link>) {
    let writing = poll_fn(|context| -> Poll<Infallible> {
        let mut outgoing = link.outgoing.borrow_mut();
        outgoing.wakes(context.waker());
        outgoing.write();
        Poll::Pending
    });
    let accepting = async {
        loop {
            match link.connection.accept_uni().await {
                Ok(stream) => {
                    spawn_local(receive(Rc::clone(&inner), Rc::clone(&link), stream));
                }
                Err(reason) => return reason,
            }
        }
    };
    let reason = tokio::select! {
        reason = accepting => reason,
        never = writing => match never {},
    };
    inner.table.lost(&link, &reason);
}

impl Inner {
    /// Says why a connection of somebody else was refused: at most once a second as a warning.
    fn complain(&self, address: SocketAddr, reason: &ConnectingError) {
        let now = Instant::now();
        let recently = self.complained.get().is_some_and(|at| now - at < Duration::from_secs(1));
        if recently {
            debug!(%address, %reason, "a connection was refused");
        } else {
            self.complained.set(Some(now));
            warn!(%address, %reason, "a connection was refused");
        }
    }

    /// Queues a message for whoever is at an address.
    pub(super) fn send_to_seed(
        self: &Rc<Self>,
        address: SocketAddr,
        message: &coterie_wire::Message,
    ) -> io::Result<()> {
        let mut seeds = self.seeds.borrow_mut();
        let dialing = seeds.contains_key(&address);
        let waiting: &mut [Waiting; 2] = seeds.entry(address).or_default();
        waiting[0].push(self.tag, message).map_err(io::Error::other)?;
        if !dialing {
            spawn_local(connect_seed(Rc::clone(self), address));
        }
        Ok(())
    }
}
