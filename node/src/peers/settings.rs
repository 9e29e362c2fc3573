//! What peers are told at their start, and what they count.

use std::net::SocketAddr;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::Message;
use coterie_wire::RequestId;
use coterie_wire::frame::FrameCounters;
use coterie_wire::peer::control::Hello;

use crate::certificates::Certificates;

/// What the peers of a lane are told at their start.
#[derive(Clone, Debug)]
pub struct PeersSettings {
    /// Which lane, from 0.
    pub lane: u16,
    /// Drawn at the start of the process, the same in all its lanes: tells its connections from those of the process
    /// before it.
    pub process: u64,
    /// Where to listen; connections that this lane makes come from there, too.
    pub listen: SocketAddr,
    /// Who this node is.
    pub certificates: Certificates,
    /// The timing and the bounds.
    pub limits: PeersLimits,
}

/// Timing and bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct PeersLimits {
    /// How long a handshake may take.
    pub handshake: Duration,
    /// After how long without any packet a connection is given up.
    pub idle: Duration,
    /// How often a connection on which nothing is said is kept alive.
    pub keep_alive: Duration,
    /// Bytes that may wait for one peer; what is sent beyond them is told as unreachable.
    pub queued_bytes_max: usize,
    /// The largest datagram that is tried; above 6,400 quinn's batches do not get through.
    pub datagram_bytes_max: u16,
    /// Receive and send buffers that are asked of the kernel.
    pub socket_bytes: usize,
}

impl Default for PeersLimits {
    fn default() -> Self {
        PeersLimits {
            handshake: Duration::from_secs(3),
            idle: Duration::from_secs(10),
            keep_alive: Duration::from_secs(3),
            queued_bytes_max: 64 << 20,
            datagram_bytes_max: 6_400,
            socket_bytes: 4 << 20,
        }
    }
}

/// What peers tell.
#[derive(Debug)]
pub enum PeerEvent {
    /// A message came, on a connection whose certificate names the sender.
    Message {
        /// From whom.
        from: NodeId,
        /// What.
        message: Box<Message>,
    },
    /// A message could not be sent, or the connection it went by was lost: it may or may not have arrived, and may have
    /// been answered long ago. Not told of answers, nor of what is about no slice.
    Unreachable {
        /// To whom.
        to: NodeId,
        /// What it was about.
        request: RequestId,
    },
    /// A connection was made, and the other end has said hello.
    Hello {
        /// Who is there.
        peer: NodeId,
        /// What it said.
        hello: Hello,
        /// What it said is at most so old.
        round_trip: Duration,
    },
    /// The connection to a peer was lost.
    Lost {
        /// Which peer.
        peer: NodeId,
    },
}

/// What the peers of a lane have counted since their start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersCounters {
    /// Connections that this lane made.
    pub made: u64,
    /// Connections that others made.
    pub accepted: u64,
    /// Attempts of this lane that came to nothing.
    pub failed: u64,
    /// Attempts of others that came to nothing: no certificate, one of another cluster, or silence.
    pub refused: u64,
    /// Connections that ended without this lane having wanted it.
    pub lost: u64,
    /// Connections closed because what came on them was no frame, or no head of a stream.
    pub garbage: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Bytes of frames sent.
    pub sent_bytes: u64,
    /// Bytes of frames received.
    pub received_bytes: u64,
    /// Messages told as unreachable because too much was waiting.
    pub overflowed: u64,
    /// Frames that were not taken.
    pub frames: FrameCounters,
}
