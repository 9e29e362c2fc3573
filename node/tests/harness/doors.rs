//! Addresses on loopback that nobody uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems give to outgoing connections: a node that is down for a while finds its own free.
const FIRST: u16 = 10_240;
const COUNT: u16 = 20_480;

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doors {
    pub(crate) resp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) gossip: SocketAddr,
    /// Of lane 0; the others follow.
    pub(crate) peers: SocketAddr,
}

impl Doors {
    /// Doors that are free now.
    pub(crate) fn free(lanes: u16) -> Doors {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Tests that run at the same time begin far from each other.
        let base = u16::try_from(std::process::id() % 1_024 * 20).expect("it is less");
        let needs = 3 + lanes;
        for _ in 0..1_000 {
            let offset = NEXT.fetch_add(needs, Ordering::Relaxed).wrapping_add(base) % COUNT;
            let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset + port));
            let tcp = (0..2).all(|port| TcpListener::bind(at(port)).is_ok());
            if tcp && (2..needs).all(|port| UdpSocket::bind(at(port)).is_ok()) {
                return Doors { resp: at(0), http: at(1), gossip: at(2), peers: at(3) };
            }
        }
        panic!("no free ports from {FIRST} on");
    }
}
