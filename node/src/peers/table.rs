//! The peers of a lane: what waits for each, and which of its connections is sent by.
//!
//! A pair of lanes wants one connection, for both directions: then answers carry acknowledgements. If both ends made one at
//! the same time, both send by that of the lower node id; the other is left idle. So neither end ever waits for the other to
//! give way, and nothing in flight is lost by it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coterie_protocol::Class;
use coterie_ring::NodeId;
use coterie_swim::Attributes;
use coterie_wire::Message;
use coterie_wire::frame::{ClusterTag, EncodeError};
use tracing::{debug, warn};

use super::head::Head;
use super::link::{Closing, Link};
use super::outgoing::{Waiting, is_awaited, place};
use super::settings::{PeerEvent, PeersCounters};

/// Between two attempts, at first; doubled with each that fails.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Between two attempts, at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that lived shorter counts as an attempt that failed.
const LIVED_MIN: Duration = Duration::from_secs(1);

/// Connections that one peer may have made here without having said on them who it is.
const SILENT_MAX: usize = 8;
/// Connections with one peer: more than lanes that connect to one of another node.
const LINKS_MAX: usize = 256;

/// A peer of this lane.
#[derive(Default)]
struct Peer {
    /// Where control said it is, if that is newer than what members announce.
    given: Option<SocketAddr>,
    /// What waits for a connection.
    queue: [Waiting; 2],
    /// The connection to send by.
    sending: Option<Rc<Link>>,
    links: Vec<Rc<Link>>,
    /// Whether an attempt is under way.
    connecting: bool,
    failures: u32,
    retry_at: Option<Instant>,
    /// Whether it is among those to be flushed.
    dirty: bool,
}

/// What an attempt to connect needs to know.
pub(super) struct Attempt {
    pub(super) address: SocketAddr,
    pub(super) not_before: Option<Instant>,
}

/// The peers of a lane.
pub(super) struct Table {
    me: NodeId,
    lane: u16,
    tag: ClusterTag,
    queued_bytes_max: usize,
    peers: RefCell<BTreeMap<NodeId, Peer>>,
    members: RefCell<Arc<BTreeMap<NodeId, Attributes>>>,
    dirty: RefCell<Vec<NodeId>>,
    told: RefCell<Vec<PeerEvent>>,
    pub(super) tell: tokio::sync::Notify,
    pub(super) counters: RefCell<PeersCounters>,
    links: Cell<u64>,
}

impl Table {
    pub(super) fn new(me: NodeId, lane: u16, tag: ClusterTag, queued_bytes_max: usize) -> Self {
        Table {
            me,
            lane,
            tag,
            queued_bytes_max,
            peers: RefCell::default(),
            members: RefCell::default(),
            dirty: RefCell::default(),
            told: RefCell::default(),
            tell: tokio::sync::Notify::new(),
            counters: RefCell::default(),
            links: Cell::new(0),
        }
    }

    /// What is to be told, by the task that tells.
    pub(super) fn take_told(&self) -> Vec<PeerEvent> {
        self.told.take()
    }

    fn say(&self, told: Vec<PeerEvent>) {
        if !told.is_empty() {
            self.told.borrow_mut().extend(told);
            self.tell.notify_one();
        }
    }

    fn unreachable(&self, to: NodeId, message: &Message) {
        if is_awaited(message) {
            self.say(vec![PeerEvent::Unreachable { to, request: message.request }]);
        }
    }

    pub(super) fn set_members(&self, members: Arc<BTreeMap<NodeId, Attributes>>) {
        let mut peers = self.peers.borrow_mut();
        for (id, peer) in peers.iter_mut() {
            if members.contains_key(id) {
                peer.given = None;
            }
        }
        peers.retain(|id, peer| {
            let waits = peer.queue.iter().any(|waiting| waiting.len() > 0);
            members.contains_key(id) || !peer.links.is_empty() || peer.connecting || waits
        });
        drop(peers);
        *self.members.borrow_mut() = members;
    }

    /// Control says where a peer is.
    pub(super) fn give_address(&self, peer: NodeId, address: SocketAddr) {
        self.peers.borrow_mut().entry(peer).or_default().given = Some(address);
    }

    /// The peer that a connection to this address leads to.
    pub(super) fn at(&self, address: SocketAddr) -> Option<NodeId> {
        let peers = self.peers.borrow();
        let mut sending = peers.iter().filter_map(|(id, peer)| Some((id, peer.sending.as_ref()?)));
        let found = sending.find(|(_, link)| {
            let remote = link.connection.remote_address();
            (remote.ip().to_canonical(), remote.port())
                == (address.ip().to_canonical(), address.port())
        });
        found.map(|(id, _)| *id)
    }

    /// Queues a message. It is sent with the next flush.
    pub(super) fn send(&self, to: NodeId, class: Class, message: &Message) {
        if to == self.me {
            return self.unreachable(to, message);
        }
        let mut peers = self.peers.borrow_mut();
        let peer = peers.entry(to).or_default();
        let pushed = match &peer.sending {
            Some(link) => {
                let mut outgoing = link.outgoing.borrow_mut();
                self.has_room(outgoing.lengths(), class)
                    .then(|| outgoing.push(class, self.tag, message))
            }
            None => self
                .has_room([peer.queue[0].len(), peer.queue[1].len()], class)
                .then(|| peer.queue[place(class)].push(self.tag, message)),
        };
        if !peer.dirty {
            peer.dirty = true;
            self.dirty.borrow_mut().push(to);
        }
        drop(peers);
        let mut counters = self.counters.borrow_mut();
        match pushed {
            Some(Ok(bytes)) => {
                counters.sent += 1;
                counters.sent_bytes += bytes as u64;
            }
            Some(Err(EncodeError::TooLarge { bytes })) => {
                warn!(peer = %format_args!("{:032x}", to.0), bytes, "a message is too large to be sent");
                self.unreachable(to, message);
            }
            None => {
                counters.overflowed += 1;
                self.unreachable(to, message);
            }
        }
    }

    /// Bulk may take half of the room, so that it does not keep requests from being sent.
    fn has_room(&self, waiting: [usize; 2], class: Class) -> bool {
        match class {
            Class::Requests => waiting[0] + waiting[1] < self.queued_bytes_max,
            Class::Bulk => waiting[1] < self.queued_bytes_max / 2,
        }
    }

    /// Writes what waits, and says to whom connections have to be made for that.
    pub(super) fn flush(&self) -> Vec<(NodeId, Attempt)> {
        let mut attempts = Vec::new();
        if self.dirty.borrow().is_empty() {
            return attempts;
        }
        let mut peers = self.peers.borrow_mut();
        for id in self.dirty.borrow_mut().drain(..) {
            let Some(peer) = peers.get_mut(&id) else { continue };
            peer.dirty = false;
            if let Some(link) = &peer.sending {
                link.outgoing.borrow_mut().write();
            } else if !peer.connecting && peer.queue.iter().any(|waiting| waiting.len() > 0) {
                match self.address(id, peer) {
                    Some(address) => {
                        peer.connecting = true;
                        attempts.push((id, Attempt { address, not_before: peer.retry_at }));
                    }
                    None => self.say(lose(id, &mut peer.queue)),
                }
            }
        }
        attempts
    }

    /// Lane i connects to the peer's lane i modulo its lanes.
    fn address(&self, id: NodeId, peer: &Peer) -> Option<SocketAddr> {
        peer.given.or_else(|| {
            let members = self.members.borrow();
            let attributes = members.get(&id)?;
            let mut address = SocketAddr::from(attributes.peer);
            let port = address.port().checked_add(self.lane % attributes.lanes.max(1))?;
            address.set_port(port);
            Some(address)
        })
    }

    /// Whether an attempt is still wanted now that its time has come; if not it is over.
    pub(super) fn is_wanted(&self, id: NodeId) -> bool {
        let mut peers = self.peers.borrow_mut();
        let Some(peer) = peers.get_mut(&id) else { return false };
        peer.connecting = peer.sending.is_none();
        peer.connecting
    }

    /// An attempt came to nothing.
    pub(super) fn failed(&self, id: NodeId, reason: &dyn std::fmt::Display) {
        self.counters.borrow_mut().failed += 1;
        let mut peers = self.peers.borrow_mut();
        let Some(peer) = peers.get_mut(&id) else { return };
        let node = format_args!("{:032x}", id.0);
        if peer.failures == 0 {
            warn!(peer = %node, %reason, "a peer cannot be connected to");
        } else {
            debug!(peer = %node, %reason, "a peer cannot be connected to");
        }
        peer.connecting = false;
        peer.has_failed();
        if peer.sending.is_none() {
            let told = lose(id, &mut peer.queue);
            drop(peers);
            self.say(told);
        }
    }

    /// The number of a new link.
    pub(super) fn next_number(&self) -> u64 {
        self.links.update(|number| number + 1);
        self.links.get()
    }

    /// A connection stands.
    pub(super) fn add(&self, link: &Rc<Link>) {
        let mut counters = self.counters.borrow_mut();
        let mut peers = self.peers.borrow_mut();
        let peer = peers.entry(link.peer).or_default();
        if link.made_here {
            peer.connecting = false;
            counters.made += 1;
        } else {
            counters.accepted += 1;
        }
        peer.links.push(Rc::clone(link));
        peer.close_superfluous();
        self.choose(link.peer, peer);
    }

    /// What a seed was to be sent, now that it is known who it is.
    pub(super) fn adopt(&self, peer: NodeId, queue: [Waiting; 2]) {
        let mut peers = self.peers.borrow_mut();
        let peer = peers.entry(peer).or_default();
        for (own, other) in peer.queue.iter_mut().zip(queue) {
            own.append(other);
        }
        peer.hand_over();
    }

    /// The other end of a connection says who it is.
    pub(super) fn greeted(&self, link: &Rc<Link>, head: &Head) {
        link.remote.set(Some((head.process, head.lane)));
        let mut peers = self.peers.borrow_mut();
        let Some(peer) = peers.get_mut(&link.peer) else { return };
        for other in peer.links.iter().filter(|other| other.number < link.number) {
            let Some((process, lane)) = other.remote.get() else { continue };
            let again = (lane, other.made_here) == (head.lane, link.made_here);
            if process != head.process {
                other.close(Closing::Replaced, "there is another process");
            } else if again {
                other.close(Closing::Replaced, "there is another connection");
            }
        }
        self.choose(link.peer, peer);
    }

    /// Chooses the connection to send by; what waited for one is handed to it.
    fn choose(&self, id: NodeId, peer: &mut Peer) {
        let lanes = self.members.borrow().get(&id).map(|attributes| attributes.lanes.max(1));
        let usable = peer.links.iter().filter(|link| {
            link.closing.get().is_none() && (link.made_here || link.remote.get().is_some())
        });
        let best = usable.max_by_key(|link| {
            let remote = link.remote.get().map(|(_, lane)| lane);
            let fits =
                link.made_here || lanes.is_none_or(|lanes| remote == Some(self.lane % lanes));
            let of_lower = link.made_here == (self.me < id);
            (fits, of_lower, link.number)
        });
        peer.sending = best.cloned();
        peer.hand_over();
    }

    /// A connection is no more.
    pub(super) fn lost(&self, link: &Rc<Link>, reason: &quinn::ConnectionError) {
        let mut told = Vec::new();
        link.outgoing.borrow_mut().lose(link.peer, &mut told);
        let wanted = link.closing.get();
        debug!(peer = %format_args!("{:032x}", link.peer.0), %reason, ?wanted, "a connection has ended");
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.get_mut(&link.peer) {
            peer.links.retain(|other| !Rc::ptr_eq(other, link));
            let sent_by = peer.sending.as_ref().is_some_and(|sending| Rc::ptr_eq(sending, link));
            if wanted.is_none() {
                self.counters.borrow_mut().lost += 1;
            }
            if sent_by || peer.links.is_empty() {
                if wanted.is_none() {
                    told.push(PeerEvent::Lost { peer: link.peer });
                }
                if link.began.elapsed() < LIVED_MIN {
                    peer.has_failed();
                } else {
                    peer.failures = 0;
                    peer.retry_at = None;
                }
            }
            self.choose(link.peer, peer);
        }
        drop(peers);
        self.say(told);
    }

    /// Closes the connections to a peer.
    pub(super) fn disconnect(&self, id: NodeId, closing: Closing, reason: &str) {
        let peers = self.peers.borrow();
        for link in peers.get(&id).into_iter().flat_map(|peer| &peer.links) {
            link.close(closing, reason);
        }
    }

    /// All connections, with how many bytes wait for each.
    pub(super) fn links(&self) -> Vec<(Rc<Link>, bool)> {
        let peers = self.peers.borrow();
        let all = peers.values().flat_map(|peer| {
            peer.links.iter().map(|link| {
                let sent_by =
                    peer.sending.as_ref().is_some_and(|sending| Rc::ptr_eq(sending, link));
                (Rc::clone(link), sent_by)
            })
        });
        all.collect()
    }
}

impl Peer {
    fn has_failed(&mut self) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(8)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 1];
        aws_lc_rs::rand::fill(&mut random).expect("the machine has randomness");
        // Three quarters to all of it, so that nodes that lost each other do not meet in the middle again and again.
        let pause = pause * (768 + u32::from(random[0])) / 1_024;
        self.retry_at = Some(Instant::now() + pause);
    }

    /// Closes the oldest connections beyond what a peer needs.
    fn close_superfluous(&self) {
        let open = || self.links.iter().filter(|link| link.closing.get().is_none());
        let is_silent = |link: &&Rc<Link>| !link.made_here && link.remote.get().is_none();
        let silent = open().filter(is_silent).count().saturating_sub(SILENT_MAX);
        for link in open().filter(is_silent).take(silent) {
            link.close(Closing::Replaced, "too many connections on which nothing was said");
        }
        let many = open().count().saturating_sub(LINKS_MAX);
        for link in open().take(many) {
            link.close(Closing::Replaced, "too many connections");
        }
    }

    fn hand_over(&mut self) {
        let Some(link) = &self.sending else { return };
        let mut outgoing = link.outgoing.borrow_mut();
        outgoing.append(std::mem::take(&mut self.queue));
        outgoing.write();
    }
}

fn lose(to: NodeId, queue: &mut [Waiting; 2]) -> Vec<PeerEvent> {
    let mut told = Vec::new();
    for waiting in queue {
        waiting.lose(to, &mut told);
    }
    told
}
