//! Which node listens where: each has a block of a hundred ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use crate::error::LocalError;

/// Ports of a node's block.
const BLOCK: u16 = 100;

const GOSSIP_FRONT: u16 = 3;
const PEERS: u16 = 21;
const PEERS_FRONT: u16 = 51;

/// Below the ports that systems give to outgoing connections: a node that is down for a while finds its own free.
const FIRST: u16 = 10_300;
const LAST: u16 = 30_000;

/// Where a node listens and, where there are proxies, where others reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doors {
    pub(crate) resp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) gossip: SocketAddr,
    /// Of lane 0; the others follow.
    pub(crate) peers: SocketAddr,
    pub(crate) gossip_front: SocketAddr,
    /// Of lane 0; the others follow.
    pub(crate) peers_front: SocketAddr,
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl Doors {
    /// Those of a node, unless they lie beyond the last port.
    pub(crate) fn of(base_port: u16, number: usize) -> Result<Doors, LocalError> {
        let base = u16::try_from(number)
            .ok()
            .and_then(|number| number.checked_mul(BLOCK))
            .and_then(|offset| base_port.checked_add(offset))
            .filter(|base| base.checked_add(BLOCK).is_some())
            .ok_or_else(|| LocalError::Shape {
                what: format!(
                    "node {number} has no ports: each takes {BLOCK} from {base_port} on; give a lower base port"
                ),
            })?;
        Ok(Doors {
            resp: at(base),
            http: at(base + 1),
            gossip: at(base + 2),
            gossip_front: at(base + GOSSIP_FRONT),
            peers: at(base + PEERS),
            peers_front: at(base + PEERS_FRONT),
        })
    }

    fn are_free(&self, lanes: u16) -> bool {
        let free = |socket: SocketAddr| UdpSocket::bind(socket).is_ok();
        let lane = |first: SocketAddr, lane: u16| at(first.port() + lane);
        [self.resp, self.http].into_iter().all(|door| TcpListener::bind(door).is_ok())
            && [self.gossip, self.gossip_front].into_iter().all(free)
            && (0..lanes).all(|it| free(lane(self.peers, it)) && free(lane(self.peers_front, it)))
    }
}

/// A base port from which so many nodes, of so many lanes each, find all their ports free now.
///
/// # Errors
/// If there is none.
pub fn free_base_port(nodes: usize, lanes: u16) -> Result<u16, LocalError> {
    let blocks = usize::from((LAST - FIRST) / BLOCK);
    let needs = nodes.max(1);
    // Processes that look at the same time begin at different places.
    let process = usize::try_from(std::process::id()).unwrap_or_default();
    let begin = process.wrapping_mul(7) % blocks;
    for block in (0..blocks).map(|it| (begin + it) % blocks) {
        let Ok(offset) = u16::try_from(block) else { continue };
        let base = FIRST + offset * BLOCK;
        let fits = usize::from(base) + needs * usize::from(BLOCK) <= usize::from(LAST);
        let free = |number| Doors::of(base, number).is_ok_and(|doors| doors.are_free(lanes));
        if fits && (0..needs).all(free) {
            return Ok(base);
        }
    }
    let what = format!("no {needs} nodes find free ports between {FIRST} and {LAST}");
    Err(LocalError::Shape { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_nodes_do_not_meet_and_end_with_the_ports() {
        let (first, second) = (Doors::of(7_379, 0).unwrap(), Doors::of(7_379, 1).unwrap());
        assert_eq!(first.resp.port() + BLOCK, second.resp.port());
        assert!(first.peers_front.port() + crate::shape::LANES_MAX <= second.resp.port());
        assert!(first.peers.port() + crate::shape::LANES_MAX <= first.peers_front.port());
        assert!(Doors::of(65_400, 0).is_ok());
        assert!(Doors::of(65_400, 1).is_err());
        assert!(Doors::of(65_500, 0).is_err());
        assert!(Doors::of(1, usize::MAX).is_err());
    }

    #[test]
    fn what_is_taken_is_not_free() {
        let base = free_base_port(2, 1).unwrap();
        let doors = Doors::of(base, 1).unwrap();
        assert!(doors.are_free(1));
        let _taken = UdpSocket::bind(doors.peers_front).unwrap();
        assert!(!doors.are_free(1));
    }
}
