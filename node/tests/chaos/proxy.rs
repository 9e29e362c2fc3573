//! A network between nodes that can be cut at run time, without any rights: userspace UDP proxies.
//!
//! Every node advertises its *fronts*, sockets of this proxy. What a node sends to another's front is known by its
//! source address, and passed on from the sender's own front: so receivers see, and answer, the address that the sender
//! advertises, and each direction between two nodes is a link of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Datagrams that a front holds back at most; more are lost.
const DELAYED_MAX: usize = 4_096;

/// A node's sockets: gossip, and the peers of its one lane.
pub(crate) type Addresses = [SocketAddr; 2];

/// One direction between two nodes.
#[derive(Debug, Default)]
struct Link {
    cut: AtomicBool,
    loss_permille: AtomicU16,
    delay_millis_max: AtomicU16,
    passed: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Addresses>,
    fronts: Vec<[UdpSocket; 2]>,
    /// By sender, then receiver.
    links: Vec<Vec<Link>>,
    over: AtomicBool,
}

/// The network of a cluster.
pub(crate) struct Network {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Network {
    /// Between nodes that listen on these addresses.
    pub(crate) fn between(nodes: Vec<Addresses>, seed: u64) -> Network {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let fronts: Vec<_> = nodes.iter().map(|_| [bind(), bind()]).collect();
        let row = || nodes.iter().map(|_| Link::default()).collect();
        let links = nodes.iter().map(|_| row()).collect();
        let shared = Arc::new(Shared { nodes, fronts, links, over: AtomicBool::new(false) });
        let mut threads = Vec::new();
        for to in 0..shared.nodes.len() {
            for class in 0..2 {
                let shared = Arc::clone(&shared);
                let random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (to * 2 + class) as u64);
                let mut front = Front { to, class, random, delayed: BinaryHeap::new(), count: 0 };
                threads.push(std::thread::spawn(move || front.run(&shared)));
            }
        }
        Network { shared, threads }
    }

    /// What a node is to advertise.
    pub(crate) fn fronts(&self, node: usize) -> Addresses {
        [0, 1].map(|class| self.shared.fronts[node][class].local_addr().unwrap())
    }

    /// Loses everything that nodes of `from` send to nodes of `to`.
    pub(crate) fn cut(&self, from: &[usize], to: &[usize]) {
        for &sender in from {
            for &receiver in to {
                self.shared.links[sender][receiver].cut.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Loses some of all datagrams, and holds the others back for some time each, so that they overtake one another.
    pub(crate) fn disturb(&self, loss_permille: u16, delay_millis_max: u16) {
        for link in self.shared.links.iter().flatten() {
            link.loss_permille.store(loss_permille, Ordering::Relaxed);
            link.delay_millis_max.store(delay_millis_max, Ordering::Relaxed);
        }
    }

    /// Everything passes again, at once.
    pub(crate) fn heal(&self) {
        for link in self.shared.links.iter().flatten() {
            link.cut.store(false, Ordering::Relaxed);
        }
        self.disturb(0, 0);
    }

    /// Datagrams passed on and lost so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let links = || self.shared.links.iter().flatten();
        let passed = links().map(|link| link.passed.load(Ordering::Relaxed)).sum();
        (passed, links().map(|link| link.dropped.load(Ordering::Relaxed)).sum())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let wake = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for front in self.shared.fronts.iter().flatten() {
            wake.send_to(&[], front.local_addr().unwrap()).unwrap();
        }
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// What is held back until then; ties by number, so that equal times keep their order.
type Delayed = Reverse<(Instant, u64, usize, Vec<u8>)>;

/// One socket of one node's fronts, and the datagrams to that node.
struct Front {
    to: usize,
    class: usize,
    random: Xoshiro256PlusPlus,
    delayed: BinaryHeap<Delayed>,
    count: u64,
}

impl Front {
    fn run(&mut self, shared: &Shared) {
        let socket = &shared.fronts[self.to][self.class];
        let mut datagram = vec![0; 65_535];
        while !shared.over.load(Ordering::Relaxed) {
            self.pass_due(shared);
            let wait = self.delayed.peek().map(|Reverse((due, ..))| {
                due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
            });
            socket.set_read_timeout(wait).unwrap();
            // Errors are of waiting in vain, or of a node that is down.
            let Ok((length, sender)) = socket.recv_from(&mut datagram) else { continue };
            let from = shared.nodes.iter().position(|node| node[self.class] == sender);
            if let Some(from) = from {
                self.take(shared, from, &datagram[..length]);
            }
        }
    }

    fn take(&mut self, shared: &Shared, from: usize, datagram: &[u8]) {
        let link = &shared.links[from][self.to];
        let lost = self.random.random_range(0..1_000) < link.loss_permille.load(Ordering::Relaxed);
        let delay = link.delay_millis_max.load(Ordering::Relaxed);
        if lost || link.cut.load(Ordering::Relaxed) || self.delayed.len() >= DELAYED_MAX {
            link.dropped.fetch_add(1, Ordering::Relaxed);
        } else if delay == 0 {
            self.pass(shared, from, datagram);
        } else {
            let delay = Duration::from_millis(self.random.random_range(0..u64::from(delay)));
            self.count += 1;
            let held = (Instant::now() + delay, self.count, from, datagram.to_vec());
            self.delayed.push(Reverse(held));
        }
    }

    fn pass_due(&mut self, shared: &Shared) {
        while let Some(Reverse((due, ..))) = self.delayed.peek()
            && *due <= Instant::now()
        {
            let Some(Reverse((_, _, from, datagram))) = self.delayed.pop() else { return };
            // The link may have been cut meanwhile.
            if shared.links[from][self.to].cut.load(Ordering::Relaxed) {
                shared.links[from][self.to].dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                self.pass(shared, from, &datagram);
            }
        }
    }

    fn pass(&self, shared: &Shared, from: usize, datagram: &[u8]) {
        let sent =
            shared.fronts[from][self.class].send_to(datagram, shared.nodes[self.to][self.class]);
        let link = &shared.links[from][self.to];
        let count = if sent.is_ok() { &link.passed } else { &link.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_link_is_one_direction_and_the_sender_is_seen_at_its_front() {
    let sockets: Vec<_> =
        (0..4).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let at = |socket: usize| sockets[socket].local_addr().unwrap();
    let network = Network::between(vec![[at(0), at(1)], [at(2), at(3)]], 1);
    let say = |from: usize, to: SocketAddr, what: u8| {
        sockets[from].send_to(&[what], to).unwrap();
    };
    let hear = |socket: usize| {
        let mut heard = [0; 8];
        let (length, from) = sockets[socket].recv_from(&mut heard).unwrap();
        assert_eq!(length, 1);
        (heard[0], from)
    };
    say(0, network.fronts(1)[0], 1);
    assert_eq!(hear(2), (1, network.fronts(0)[0]));
    say(1, network.fronts(1)[1], 2);
    assert_eq!(hear(3), (2, network.fronts(0)[1]));
    network.cut(&[0], &[1]);
    say(0, network.fronts(1)[0], 3);
    say(2, network.fronts(0)[0], 4);
    assert_eq!(hear(0), (4, network.fronts(1)[0]));
    wait_for_drop(&network);
    network.heal();
    network.disturb(0, 20);
    say(0, network.fronts(1)[0], 5);
    assert_eq!(hear(2), (5, network.fronts(0)[0]), "what was lost on a cut link stays lost");
    // Strangers are not passed on.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.send_to(&[6], network.fronts(1)[0]).unwrap();
    say(0, network.fronts(1)[0], 7);
    assert_eq!(hear(2).0, 7);
}

#[cfg(test)]
fn wait_for_drop(network: &Network) {
    crate::harness::until("the datagram is lost", Duration::from_secs(10), || {
        match network.counts() {
            (_, 1..) => Ok(()),
            counts => Err(format!("{counts:?}")),
        }
    });
}
