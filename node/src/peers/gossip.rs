//! Sealed datagrams of the failure detector (docs/formats.md, "node").
//!
//! Sealed with AES-256-GCM-SIV: all nodes seal with one key and draw nonces without knowing of each other, and with this
//! mode a nonce that comes up twice gives away no more than that a packet was sent twice.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use bytes::Bytes;
use coterie_swim::Address;
use tokio::net::UdpSocket;

use super::transport;
use crate::certificates::Certificates;

/// The version of sealed datagrams.
const VERSION: u8 = 1;
/// Version, key id.
const CLEAR_BYTES: usize = 2;
const TAG_BYTES: usize = 16;
/// What sealing adds.
const SEAL_BYTES: usize = CLEAR_BYTES + NONCE_LEN + TAG_BYTES;
/// The largest datagram, which passes everywhere.
const DATAGRAM_BYTES_MAX: usize = 1_200;
/// The largest that is looked at: other versions may send more.
const RECEIVED_BYTES_MAX: usize = 9_000;
/// Buffers that are asked of the kernel.
const SOCKET_BYTES: usize = 4 << 20;

/// A datagram did not open: it is of another cluster, of a key that is not known here, or no datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened;

/// What was not sent or did not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GossipCounters {
    /// Datagrams that did not open.
    pub unopened: u64,
    /// Packets that the socket did not take: as good as lost on the way.
    pub unsent: u64,
}

/// The gossip socket of a node. Lives on one thread.
#[derive(Debug)]
pub struct Gossip {
    socket: UdpSocket,
    /// The same socket: sending waits for nobody, so it need not ask the runtime whether it may.
    sender: std::net::UdpSocket,
    ipv6: bool,
    certificates: Certificates,
    nonces: Nonces,
    sealed: RefCell<Vec<u8>>,
    counters: Cell<GossipCounters>,
}

/// Nonces: eight bytes drawn, then a count of four; drawn anew when it is used up.
#[derive(Debug)]
struct Nonces(Cell<([u8; 8], u32)>);

impl Nonces {
    fn new() -> Self {
        Nonces(Cell::new((draw(), 0)))
    }

    fn next(&self) -> [u8; NONCE_LEN] {
        let (drawn, count) = self.0.get();
        self.0.set(count.checked_add(1).map_or_else(|| (draw(), 0), |next| (drawn, next)));
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&drawn);
        nonce[8..].copy_from_slice(&count.to_be_bytes());
        nonce
    }
}

fn draw() -> [u8; 8] {
    let mut drawn = [0; 8];
    aws_lc_rs::rand::fill(&mut drawn).expect("the machine has randomness");
    drawn
}

impl Gossip {
    /// The largest packet that can be sent.
    pub const PACKET_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - SEAL_BYTES;

    /// Binds the socket. Within a tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(listen: SocketAddr, certificates: Certificates) -> io::Result<Gossip> {
        let socket = transport::socket(listen, SOCKET_BYTES)?;
        let (sender, socket) = (socket.try_clone()?, UdpSocket::from_std(socket)?);
        let (nonces, sealed, counters) = (Nonces::new(), RefCell::default(), Cell::default());
        let ipv6 = listen.is_ipv6();
        Ok(Gossip { socket, sender, ipv6, certificates, nonces, sealed, counters })
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// If the socket does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What was not sent or did not open.
    #[must_use]
    pub fn counters(&self) -> GossipCounters {
        self.counters.get()
    }

    /// Seals a packet and sends it. What the socket does not take is lost, as datagrams are.
    ///
    /// # Panics
    /// If the packet is larger than [`Gossip::PACKET_BYTES_MAX`].
    pub fn send(&self, to: Address, packet: &[u8]) {
        assert!(packet.len() <= Self::PACKET_BYTES_MAX, "a packet of {} bytes", packet.len());
        let mut sealed = self.sealed.borrow_mut();
        seal(&self.certificates, self.nonces.next(), packet, &mut sealed);
        if self.sender.send_to(&sealed, self.reachable(to)).is_err() {
            self.counters
                .update(|counters| GossipCounters { unsent: counters.unsent + 1, ..counters });
        }
    }

    /// A socket of IPv6 sends to IPv4 by addresses that stand for it.
    fn reachable(&self, to: Address) -> SocketAddr {
        match SocketAddr::from(to) {
            SocketAddr::V4(to) if self.ipv6 => {
                SocketAddr::new(IpAddr::V6(to.ip().to_ipv6_mapped()), to.port())
            }
            to => to,
        }
    }

    /// The next datagram and where it came from. Cancel-safe.
    pub async fn receive(&self) -> (Address, Result<Bytes, Unopened>) {
        let mut received = [0; RECEIVED_BYTES_MAX];
        loop {
            // Errors here are of datagrams sent before, of which nobody is told.
            let Ok((length, from)) = self.socket.recv_from(&mut received).await else { continue };
            let opened = open(&self.certificates, &mut received[..length]);
            if opened.is_err() {
                self.counters.update(|counters| GossipCounters {
                    unopened: counters.unopened + 1,
                    ..counters
                });
            }
            return (from.into(), opened);
        }
    }
}

/// What a seal vouches for besides the packet.
fn associated(cluster: u128, key: u8) -> Aad<[u8; 18]> {
    let mut associated = [0; 18];
    associated[0] = VERSION;
    associated[1] = key;
    associated[2..].copy_from_slice(&cluster.to_be_bytes());
    Aad::from(associated)
}

fn seal(certificates: &Certificates, nonce: [u8; NONCE_LEN], packet: &[u8], out: &mut Vec<u8>) {
    let loaded = certificates.current();
    let key = loaded.gossip.current();
    out.clear();
    out.extend_from_slice(&[VERSION, key.id]);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(packet);
    let sealed = &mut out[CLEAR_BYTES + NONCE_LEN..];
    let nonce = Nonce::assume_unique_for_key(nonce);
    let associated = associated(certificates.cluster(), key.id);
    let tag = key.key.seal_in_place_separate_tag(nonce, associated, sealed);
    let tag = tag.expect("a packet is far shorter than what can be sealed");
    out.extend_from_slice(tag.as_ref());
}

fn open(certificates: &Certificates, datagram: &mut [u8]) -> Result<Bytes, Unopened> {
    let Some(([version, id], rest)) = datagram.split_first_chunk_mut::<CLEAR_BYTES>() else {
        return Err(Unopened);
    };
    let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(Unopened)?;
    if *version != VERSION {
        return Err(Unopened);
    }
    let loaded = certificates.current();
    let key = loaded.gossip.get(*id).ok_or(Unopened)?;
    let associated = associated(certificates.cluster(), *id);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.key.open_in_place(nonce, associated, sealed);
    opened.map(|packet| Bytes::copy_from_slice(packet)).map_err(|_unspecified| Unopened)
}
