//! A network between nodes that can be cut while they run, without any rights: userspace UDP proxies.
//!
//! Every node advertises its *fronts*, sockets of this proxy. What a node sends to another's front is known by its source
//! address, and passed on from the sender's own front: so receivers see, and answer, the address that the sender
//! advertises, and each direction between two nodes is a link of its own. What comes from nobody is dropped.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::net::sockopt;

use crate::error::LocalError;

/// Datagrams that a front holds back at most; more are lost.
const DELAYED_MAX: usize = 4_096;

/// What the kernel may keep for a front that is not read at the moment, if it lets us.
const BUFFER_BYTES: usize = 4 << 20;

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What chance is drawn from unless another seed is given.
const SEED: u64 = 1;

/// One direction between two nodes.
#[derive(Debug, Default)]
struct Link {
    cut: AtomicBool,
    loss_permille: AtomicU16,
    delay_millis_max: AtomicU16,
    passed: AtomicU64,
    dropped: AtomicU64,
}

/// A node's own sockets, and the proxy's that stand for them: gossip, then the peers of each lane.
#[derive(Debug)]
struct Site {
    sockets: Vec<SocketAddr>,
    fronts: Vec<UdpSocket>,
}

#[derive(Debug, Default)]
struct Table {
    sites: Vec<Arc<Site>>,
    /// A node's own sockets: which node, and which of its sockets.
    places: HashMap<SocketAddr, (usize, usize)>,
    /// By sender, then receiver.
    links: Vec<Vec<Arc<Link>>>,
}

#[derive(Debug, Default)]
struct Shared {
    table: RwLock<Table>,
    over: AtomicBool,
}

impl Shared {
    fn read<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Datagrams between nodes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Passed on.
    pub passed: u64,
    /// Lost on the way, because a link was cut or told to lose some.
    pub dropped: u64,
}

/// The network between the nodes of a cluster, which are named by their numbers. Without proxies
/// ([`crate::Wiring::Direct`]) it has no links, and nothing can be cut.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    seed: u64,
}

impl Default for Network {
    fn default() -> Network {
        Network::seeded(SEED)
    }
}

impl Network {
    /// A network of no nodes yet. Which datagrams are lost and how long others are held back is drawn from the seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Network {
        Network { shared: Arc::default(), threads: Vec::new(), seed }
    }

    /// Takes in the next node: its own sockets, and where their fronts are to be; port 0 is any that is free. Where the fronts
    /// are, which the node is to advertise.
    ///
    /// # Errors
    /// If a front cannot be there.
    ///
    /// # Panics
    /// If there are not as many fronts as sockets.
    pub fn add(
        &mut self,
        sockets: Vec<SocketAddr>,
        fronts: &[SocketAddr],
    ) -> Result<Vec<SocketAddr>, LocalError> {
        assert_eq!(sockets.len(), fronts.len(), "each socket has a front");
        let bind = |at: &SocketAddr| {
            let front = UdpSocket::bind(at)?;
            // The kernel may give less; then more is lost where much comes at once, and sent again.
            let _given = sockopt::set_socket_recv_buffer_size(&front, BUFFER_BYTES);
            Ok(front)
        };
        let fronts = fronts
            .iter()
            .map(|at| bind(at).map_err(LocalError::io(format!("the proxy cannot listen on {at}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let places = fronts.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>();
        let places = places.map_err(LocalError::io("the proxy's sockets"))?;
        let site = Arc::new(Site { sockets, fronts });
        let number = {
            let mut table = self.shared.table.write().unwrap_or_else(PoisonError::into_inner);
            let number = table.sites.len();
            for (class, socket) in site.sockets.iter().enumerate() {
                table.places.insert(*socket, (number, class));
            }
            table.sites.push(Arc::clone(&site));
            for row in &mut table.links {
                row.push(Arc::default());
            }
            let row = (0..=number).map(|_| Arc::default()).collect();
            table.links.push(row);
            number
        };
        for class in 0..site.fronts.len() {
            let (shared, site) = (Arc::clone(&self.shared), Arc::clone(&site));
            let seed = self.seed ^ ((number as u64) << 8 | class as u64);
            let random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut front =
                Front { to: number, class, site, random, delayed: BinaryHeap::new(), count: 0 };
            self.threads.push(std::thread::spawn(move || front.run(&shared)));
        }
        Ok(places)
    }

    fn each(&self, change: impl Fn(usize, usize, &Link)) {
        self.shared.read(|table| {
            for (from, row) in table.links.iter().enumerate() {
                for (to, link) in row.iter().enumerate() {
                    change(from, to, link);
                }
            }
        });
    }

    /// Loses everything that nodes of `from` send to nodes of `to`; the other direction stays as it is.
    pub fn cut(&self, from: &[usize], to: &[usize]) {
        self.each(|sender, receiver, link| {
            if sender != receiver && from.contains(&sender) && to.contains(&receiver) {
                link.cut.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Nodes of different groups hear nothing of each other. Nodes in no group hear all that they heard before.
    pub fn partition(&self, groups: &[Vec<usize>]) {
        for (index, group) in groups.iter().enumerate() {
            for other in groups.iter().skip(index + 1) {
                self.cut(group, other);
                self.cut(other, group);
            }
        }
    }

    /// Loses some of all datagrams, and holds the others back for some time each, so that they overtake one another.
    pub fn disturb(&self, loss_permille: u16, delay_millis_max: u16) {
        self.each(|_from, _to, link| {
            link.loss_permille.store(loss_permille, Ordering::Relaxed);
            link.delay_millis_max.store(delay_millis_max, Ordering::Relaxed);
        });
    }

    /// Everything passes again, at once.
    pub fn heal(&self) {
        self.each(|_from, _to, link| link.cut.store(false, Ordering::Relaxed));
        self.disturb(0, 0);
    }

    /// The directions that are cut: from, to.
    #[must_use]
    pub fn cuts(&self) -> Vec<(usize, usize)> {
        let cuts = std::cell::RefCell::new(Vec::new());
        self.each(|from, to, link| {
            if link.cut.load(Ordering::Relaxed) {
                cuts.borrow_mut().push((from, to));
            }
        });
        cuts.into_inner()
    }

    /// What has passed between all nodes so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let sum = std::cell::Cell::new(Traffic::default());
        self.each(|_from, _to, link| {
            let Traffic { passed, dropped } = sum.get();
            sum.set(Traffic {
                passed: passed + link.passed.load(Ordering::Relaxed),
                dropped: dropped + link.dropped.load(Ordering::Relaxed),
            });
        });
        sum.get()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // A datagram of nothing wakes a front that waits. Where it does not arrive, the thread ends with the process.
        let woken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).is_ok_and(|wake| {
            self.shared.read(|table| {
                let mut fronts = table.sites.iter().flat_map(|site| &site.fronts);
                fronts.all(|front| front.local_addr().is_ok_and(|at| wake.send_to(&[], at).is_ok()))
            })
        });
        if woken {
            for thread in self.threads.drain(..) {
                // A thread that panicked has said so.
                drop(thread.join());
            }
        }
    }
}

/// What is held back until then; ties by number, so that equal times keep their order.
type Delayed = Reverse<(Instant, u64, usize, usize, Vec<u8>)>;

/// One socket of one node's fronts, and the datagrams to that node.
struct Front {
    to: usize,
    class: usize,
    site: Arc<Site>,
    random: Xoshiro256PlusPlus,
    delayed: BinaryHeap<Delayed>,
    count: u64,
}

impl Front {
    fn run(&mut self, shared: &Shared) {
        let site = Arc::clone(&self.site);
        let socket = &site.fronts[self.class];
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
        let mut timeout = None;
        while !shared.over.load(Ordering::Relaxed) {
            self.pass_due(shared);
            let wait = self.delayed.peek().map(|Reverse((due, ..))| {
                due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
            });
            if wait != timeout && socket.set_read_timeout(wait).is_ok() {
                timeout = wait;
            }
            // Errors are of waiting in vain, or of a node that is down.
            let Ok((length, sender)) = socket.recv_from(&mut datagram) else { continue };
            let place = shared.read(|table| table.places.get(&sender).copied());
            if let Some((from, class)) = place {
                self.take(shared, from, class, &datagram[..length]);
            }
        }
    }

    fn take(&mut self, shared: &Shared, from: usize, class: usize, datagram: &[u8]) {
        let link = shared.read(|table| Arc::clone(&table.links[from][self.to]));
        let loss = link.loss_permille.load(Ordering::Relaxed);
        let lost = loss > 0 && self.random.random_range(0..1_000) < loss;
        let delay = link.delay_millis_max.load(Ordering::Relaxed);
        if lost || link.cut.load(Ordering::Relaxed) || self.delayed.len() >= DELAYED_MAX {
            link.dropped.fetch_add(1, Ordering::Relaxed);
        } else if delay == 0 {
            self.pass(shared, &link, from, class, datagram);
        } else {
            let delay = Duration::from_millis(self.random.random_range(0..u64::from(delay)));
            self.count += 1;
            let held = (Instant::now() + delay, self.count, from, class, datagram.to_vec());
            self.delayed.push(Reverse(held));
        }
    }

    fn pass_due(&mut self, shared: &Shared) {
        while let Some(Reverse((due, ..))) = self.delayed.peek()
            && *due <= Instant::now()
        {
            let Some(Reverse((_, _, from, class, datagram))) = self.delayed.pop() else { return };
            let link = shared.read(|table| Arc::clone(&table.links[from][self.to]));
            // The link may have been cut meanwhile.
            if link.cut.load(Ordering::Relaxed) {
                link.dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                self.pass(shared, &link, from, class, &datagram);
            }
        }
    }

    fn pass(&self, shared: &Shared, link: &Link, from: usize, class: usize, datagram: &[u8]) {
        let sender = shared.read(|table| Arc::clone(&table.sites[from]));
        let sent = sender.fronts[class].send_to(datagram, self.site.sockets[self.class]);
        let count = if sent.is_ok() { &link.passed } else { &link.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// Nodes with a socket of gossip and one of a lane each, and a network that has taken them in one by one.
    fn network(nodes: usize) -> (Network, Vec<[UdpSocket; 2]>) {
        let mut network = Network::default();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let nodes: Vec<_> = (0..nodes).map(|_| [socket(), socket()]).collect();
        for node in &nodes {
            let own = node.iter().map(|socket| socket.local_addr().unwrap()).collect();
            network.add(own, &[any, any]).unwrap();
        }
        (network, nodes)
    }

    fn front(network: &Network, node: usize, class: usize) -> SocketAddr {
        network.shared.read(|table| table.sites[node].fronts[class].local_addr().unwrap())
    }

    fn hear(socket: &UdpSocket) -> (u8, SocketAddr) {
        let mut heard = [0; 8];
        let (length, from) = socket.recv_from(&mut heard).unwrap();
        assert_eq!(length, 1);
        (heard[0], from)
    }

    fn wait_for_drops(network: &Network, drops: u64) {
        let until = Instant::now() + Duration::from_secs(10);
        while network.traffic().dropped < drops {
            assert!(Instant::now() < until, "{:?}", network.traffic());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_link_is_one_direction_and_the_sender_is_seen_at_its_front() {
        let (network, nodes) = network(2);
        let [[gossip_0, lane_0], [gossip_1, lane_1]] = &nodes[..] else { unreachable!() };
        gossip_0.send_to(&[1], front(&network, 1, 0)).unwrap();
        assert_eq!(hear(gossip_1), (1, front(&network, 0, 0)));
        lane_0.send_to(&[2], front(&network, 1, 1)).unwrap();
        assert_eq!(hear(lane_1), (2, front(&network, 0, 1)));
        network.cut(&[0], &[1]);
        assert_eq!(network.cuts(), [(0, 1)]);
        gossip_0.send_to(&[3], front(&network, 1, 0)).unwrap();
        gossip_1.send_to(&[4], front(&network, 0, 0)).unwrap();
        assert_eq!(hear(gossip_0), (4, front(&network, 1, 0)));
        wait_for_drops(&network, 1);
        network.heal();
        network.disturb(0, 20);
        gossip_0.send_to(&[5], front(&network, 1, 0)).unwrap();
        assert_eq!(hear(gossip_1).0, 5, "what was lost on a cut link stays lost");
        // Strangers are not passed on.
        socket().send_to(&[6], front(&network, 1, 0)).unwrap();
        gossip_0.send_to(&[7], front(&network, 1, 0)).unwrap();
        assert_eq!(hear(gossip_1).0, 7);
    }

    #[test]
    fn groups_do_not_hear_each_other_and_who_is_in_none_hears_all() {
        let (network, nodes) = network(4);
        network.partition(&[vec![0, 1], vec![2]]);
        assert_eq!(network.cuts(), [(0, 2), (1, 2), (2, 0), (2, 1)]);
        for (from, to) in [(0, 1), (3, 0), (2, 3)] {
            let what = u8::try_from(from * 10 + to).unwrap();
            nodes[from][0].send_to(&[what], front(&network, to, 0)).unwrap();
            assert_eq!(hear(&nodes[to][0]).0, what);
        }
        nodes[0][1].send_to(&[1], front(&network, 2, 1)).unwrap();
        wait_for_drops(&network, 1);
        network.heal();
        assert_eq!(network.cuts(), []);
        network.disturb(1_000, 0);
        nodes[0][0].send_to(&[1], front(&network, 1, 0)).unwrap();
        wait_for_drops(&network, 2);
    }
}
