//! Finding a node's QUIC address by its gossip address: what `--join` needs.
//!
//! Nodes join by a QUIC address, operators name gossip addresses. A joining node asks a gossip socket in a sealed datagram
//! where its QUIC listens. These datagrams begin with a byte that no version of the failure detector's packets begins with.

use std::collections::BTreeMap;

use coterie_swim::Address;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The first byte of a question. Packets begin with their version, which is small.
const ASK: u8 = 0xF0;

/// The first byte of an answer: 16 octets of the address (IPv4 mapped) and two of the port follow.
const TELL: u8 = 0xF1;

/// A datagram of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// Where does your QUIC listen? To be answered with [`answer`].
    Asked,
    /// There.
    Told(Address),
}

/// The question.
#[must_use]
pub fn question() -> Vec<u8> {
    vec![ASK]
}

/// The answer of a node whose QUIC of lane 0 others reach there.
#[must_use]
pub fn answer(peer: Address) -> Vec<u8> {
    let address = SocketAddr::from(peer);
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut out = vec![TELL];
    out.extend(ip.octets());
    out.extend(address.port().to_be_bytes());
    out
}

/// What an opened datagram says, if it is of this protocol. A malformed one is of none.
#[must_use]
pub fn read(opened: &[u8]) -> Option<Located> {
    match opened {
        [ASK] => Some(Located::Asked),
        [TELL, rest @ ..] => {
            let (ip, port) = rest.split_first_chunk::<16>()?;
            let port = u16::from_be_bytes(port.try_into().ok()?);
            let ip = Ipv6Addr::from(*ip);
            let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
            Some(Located::Told(SocketAddr::new(ip, port).into()))
        }
        _ => None,
    }
}

/// The gossip addresses to join by, with what they have said.
///
/// Control is started with the gossip addresses as its seeds; a message to one of them
/// ([`ControlAction::Send`](coterie_protocol::control::ControlAction::Send) without a node) is sent where it has said, or
/// else it is asked and the message dropped: control says it again.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    told: BTreeMap<Address, Option<Address>>,
}

impl Seeds {
    /// Those of these gossip addresses.
    #[must_use]
    pub fn new(gossip: impl IntoIterator<Item = Address>) -> Seeds {
        Seeds { told: gossip.into_iter().map(|address| (address, None)).collect() }
    }

    /// Where a message to this address goes: nowhere yet (`None`) if it is a seed that has not said, which then is to be
    /// asked. An address that is no seed's is itself.
    #[must_use]
    pub fn peer_of(&self, address: Address) -> Option<Address> {
        self.told.get(&address).copied().unwrap_or(Some(address))
    }

    /// A seed has said where its QUIC listens. Others are not believed, nor needed.
    pub fn told(&mut self, from: Address, peer: Address) {
        if let Some(told) = self.told.get_mut(&from) {
            *told = Some(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        assert_eq!(read(&question()), Some(Located::Asked));
        for text in ["10.1.2.3:7400", "[2001:db8::1]:65535"] {
            assert_eq!(read(&answer(address(text))), Some(Located::Told(address(text))));
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[ASK, 0]), None);
        let told = answer(address("10.1.2.3:7400"));
        assert_eq!(read(&told[..18]), None);
        assert_eq!(read(&[&told[..], &[0]].concat()), None);
        assert_eq!(read(&[coterie_swim::VERSION, 0, 0]), None);
    }

    #[test]
    fn a_seed_is_asked_until_it_has_said() {
        let (seed, peer, other) =
            (address("10.0.0.1:7381"), address("10.0.0.1:7400"), address("10.0.0.2:7400"));
        let mut seeds = Seeds::new([seed]);
        assert_eq!(seeds.peer_of(seed), None);
        assert_eq!(seeds.peer_of(other), Some(other));
        seeds.told(other, peer);
        assert_eq!(seeds.peer_of(seed), None);
        seeds.told(seed, peer);
        assert_eq!(seeds.peer_of(seed), Some(peer));
    }
}
