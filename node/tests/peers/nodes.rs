//! Nodes of a test: certificates in a temporary directory, peers that keep what they are told.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use coterie_node::certificates::{CertCommand, Certificates, CertificatesError};
use coterie_node::peers::{PeerEvent, Peers, PeersLimits, PeersSettings};
use coterie_protocol::Class;
use coterie_ring::moves::SetVersion;
use coterie_ring::{NodeId, Partition};
use coterie_swim::{Address, Attributes, Generation, Instance, Label};
use coterie_wire::peer::control::{ControlMessage, Hello};
use coterie_wire::{Body, Message, RequestId, Slice};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long until a condition is looked at again if nothing is told.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: CertCommand,
}

/// `coterie-node cert …`
pub(crate) fn cert(arguments: &[&str]) -> Result<String, CertificatesError> {
    let line = CommandLine::try_parse_from(["cert"].iter().chain(arguments)).unwrap();
    line.command.carry_out()
}

/// A cluster's certificates.
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Files { directory: TempDir::new().unwrap() };
        cert(&["init", "--dir", files.ca().to_str().unwrap()]).unwrap();
        files
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca")
    }

    /// The directory of a node, made if need be.
    pub(crate) fn of(&self, node: u128) -> PathBuf {
        let out = self.directory.path().join(format!("node{node}"));
        if !out.exists() {
            let id = format!("{node:032x}");
            let (dir, to) = (self.ca(), out.to_str().unwrap());
            cert(&["node", "--dir", dir.to_str().unwrap(), "--out", to, "--node", &id]).unwrap();
        }
        out
    }

    pub(crate) fn load(&self, node: u128) -> Certificates {
        Certificates::load(&self.of(node)).unwrap()
    }
}

/// What a node was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) messages: Vec<(NodeId, Box<Message>)>,
    pub(crate) unreachable: Vec<(NodeId, RequestId)>,
    pub(crate) hellos: Vec<(NodeId, Hello, Duration)>,
    pub(crate) lost: Vec<NodeId>,
}

/// A lane's peers with what they told.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) peers: Peers,
    pub(crate) told: Rc<RefCell<Told>>,
    news: Rc<Notify>,
}

/// Limits under which faults are found quickly.
pub(crate) fn quick() -> PeersLimits {
    PeersLimits {
        handshake: Duration::from_secs(2),
        idle: Duration::from_millis(800),
        keep_alive: Duration::from_millis(200),
        ..PeersLimits::default()
    }
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Node {
    pub(crate) fn start(
        certificates: Certificates,
        listen: SocketAddr,
        limits: PeersLimits,
    ) -> Node {
        Node::start_lane(certificates, listen, limits, 0)
    }

    pub(crate) fn start_lane(
        certificates: Certificates,
        listen: SocketAddr,
        limits: PeersLimits,
        lane: u16,
    ) -> Node {
        let mut process = [0; 8];
        aws_lc_rs::rand::fill(&mut process).unwrap();
        let id = certificates.node();
        let process = u64::from_le_bytes(process);
        let settings = PeersSettings { lane, process, listen, certificates, limits };
        let told: Rc<RefCell<Told>> = Rc::default();
        let news = Rc::new(Notify::new());
        let (kept, notified) = (Rc::clone(&told), Rc::clone(&news));
        let events = move |event| {
            let mut told = kept.borrow_mut();
            match event {
                PeerEvent::Message { from, message } => told.messages.push((from, message)),
                PeerEvent::Unreachable { to, request } => told.unreachable.push((to, request)),
                PeerEvent::Hello { peer, hello, round_trip } => {
                    told.hellos.push((peer, hello, round_trip));
                }
                PeerEvent::Lost { peer } => told.lost.push(peer),
            }
            notified.notify_one();
        };
        let peers = Peers::start(settings, Rc::new(events)).unwrap();
        peers.set_hello(|| Hello { wall_millis: 77, protocols: (1, 3) });
        Node { id, peers, told, news }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.peers.local_address().unwrap()
    }

    /// Tells it where others are.
    pub(crate) fn knows(&self, members: &[(NodeId, SocketAddr, u16)]) {
        let members =
            members.iter().map(|(id, address, lanes)| (*id, attributes(*address, *lanes)));
        self.peers.members(Arc::new(members.collect()));
    }

    pub(crate) fn send(&self, to: NodeId, message: Message) {
        self.peers.send(to, Class::Requests, Box::new(message));
        self.peers.flush();
    }

    /// Waits until what it was told, or counted, is as wanted.
    pub(crate) async fn until(&self, wanted: &str, mut holds: impl FnMut(&Node) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain until {wanted}");
            // A condition that nothing is told of is looked at now and then.
            drop(timeout(LOOK_AGAIN, self.news.notified()).await);
        }
    }

    /// Waits until it was told so many messages; those that it was told, without their senders.
    pub(crate) async fn messages(&self, count: usize) -> Vec<Message> {
        let wanted = format!("{count} messages have come");
        self.until(&wanted, |node| node.told.borrow().messages.len() >= count).await;
        self.told.borrow().messages.iter().map(|(_, message)| (**message).clone()).collect()
    }
}

/// Two nodes that know each other.
pub(crate) fn pair(files: &Files, limits: PeersLimits) -> (Node, Node) {
    let one = Node::start(files.load(1), loopback(0), limits);
    let other = Node::start(files.load(2), loopback(0), limits);
    one.knows(&[(other.id, other.address(), 1)]);
    other.knows(&[(one.id, one.address(), 1)]);
    (one, other)
}

fn attributes(peer: SocketAddr, lanes: u16) -> Attributes {
    let address = Address::from(peer);
    Attributes {
        generation: Generation(1),
        version: 1,
        instance: Instance(1),
        gossip: address,
        peer: address,
        resp: address,
        http: address,
        lanes,
        weight: 1,
        protocols: (1, 3),
        region: Label::new("").unwrap(),
        zone: Label::new("").unwrap(),
    }
}

/// A message of so many bytes that expects an answer.
pub(crate) fn message(request: u128, bytes: usize) -> Message {
    let said = ControlMessage::Swim(Bytes::from(vec![0x5a; bytes]));
    Message {
        request: RequestId(request),
        slice: Some(Slice { partition: Partition(1), replicas: 3 }),
        layout: SetVersion { epoch: 0, number: 1 },
        epoch: 0,
        time_left: None,
        trace: 0,
        committed: None,
        body: Body::Control(said),
    }
}

/// Runs a test on a runtime like a lane's.
pub(crate) fn run<F: Future<Output = ()> + 'static>(test: F) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    runtime.block_on(local.run_until(test));
}

/// Copies the files of one node over those of another.
pub(crate) fn bring(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        // As an operator would: written beside it, then moved there.
        let new = to.join(format!("{name}.brought"));
        std::fs::copy(from.join(name), &new).unwrap();
        std::fs::rename(new, to.join(name)).unwrap();
    }
}
