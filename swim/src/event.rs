//! What goes into the state machine, and what comes out.

use std::time::Duration;

use crate::attributes::{Address, Attributes};
use crate::identity::{Generation, Layout, NodeId};
use crate::record::Record;
use crate::wire::Message;

/// The driver's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the process started; never goes back. All that this crate reads.
    pub monotonic: Duration,
    /// Wall-clock milliseconds since 1970, for consumers' stamps: no decision about life and death rests on it.
    pub wall_millis: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The deadline asked for has passed. The driver hands over everything received before it sends this: a
    /// node that was stopped must not judge by timers before it has read its mail.
    Tick,
    /// A datagram was opened with the cluster's key, the cluster id as associated data.
    Packet {
        /// Where it came from.
        from: Address,
        /// What was sealed.
        bytes: &'a [u8],
    },
    /// A datagram could not be opened: another cluster's, or sealed under a key not known here.
    Unopened {
        /// Where it came from.
        from: Address,
    },
    /// A message arrived on a stream whose certificate names this peer.
    Stream {
        /// By the certificate.
        peer: NodeId,
        /// The whole message.
        bytes: &'a [u8],
    },
    /// A connection to a peer failed or was closed: it is probed next. Never evidence by itself.
    ConnectionLost {
        /// To whom.
        peer: NodeId,
    },
    /// This node's own addresses or other attributes changed. Generation, version and instance are ignored.
    Announce(Attributes),
    /// The layout this node works under.
    Layout(Layout),
    /// Say goodbye. [`Change::LeaveFinished`] follows once the farewell has spread.
    Leave,
}

/// A packet to send. The bytes are made by [`crate::Swim::write_packet`] once the driver knows the
/// destination's size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Whom it is meant for, if known.
    pub to: Option<NodeId>,
    /// Where it goes.
    pub address: Address,
    pub(crate) message: Message,
    /// Whether the destination is told what is said of it, though it is nothing bad.
    pub(crate) tell: bool,
}

/// A message to send over a stream, on a connection made if there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSend {
    /// Whom the certificate must name; any node of the cluster if unknown (a seed).
    pub to: Option<NodeId>,
    /// QUIC address of lane 0.
    pub address: Address,
    /// The whole message, at most [`crate::STREAM_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// How a member was found to be down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// This node convicted it; the accusers known here (at most four).
    Convicted(Vec<NodeId>),
    /// Another node did.
    Told,
}

/// What consumers learn. All of it can also be read at any time: see [`crate::Swim::view`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// To be used from now on: new, back, or verified.
    Up(NodeId),
    /// To be used last.
    Suspect(NodeId),
    /// A suspicion was refuted.
    Cleared(NodeId),
    /// Its fallbacks take over, here only.
    Unreachable(NodeId),
    /// Its fallbacks take over.
    Down {
        /// Who.
        id: NodeId,
        /// How this is known.
        reason: DownReason,
    },
    /// It said goodbye.
    Left(NodeId),
    /// It is a new process: what its memory held is gone.
    Restarted {
        /// Who.
        id: NodeId,
        /// Its new life.
        generation: Generation,
    },
    /// One of its addresses changed.
    AddressChanged(NodeId),
    /// Another of its attributes changed.
    AttributesChanged(NodeId),
    /// Somebody accused this node, which has refuted it.
    SelfAccused,
    /// This node hears too few others to judge (true), or hears enough again (false).
    SelfIsolated(bool),
    /// This node's local health score.
    LocalHealth(u8),
    /// Another process claims this node's identity.
    DuplicateIdentity {
        /// Whether this process has fallen silent in its favour.
        halted: bool,
    },
    /// To be made durable before the next packet of this node is sent: its generation was raised.
    GenerationRaised(Generation),
    /// Datagrams arrive that this cluster's key does not open (at most told once in 10 s).
    ForeignCluster {
        /// From where.
        from: Address,
    },
    /// A peer works under a newer layout, or another one of the same version (told at most once per probe
    /// interval, as long as that lasts).
    OtherLayout {
        /// Who.
        peer: NodeId,
        /// Which.
        layout: Layout,
    },
    /// After a difference, a peer's view was found equal to this node's.
    Converged {
        /// The digest of both.
        digest: u64,
    },
    /// The farewell has spread; the process may end.
    LeaveFinished,
}

/// What the driver is to do, in order.
#[derive(Debug, Default)]
pub struct Effects {
    /// Packets to send.
    pub transmits: Vec<Transmit>,
    /// Stream messages to send.
    pub streams: Vec<StreamSend>,
    /// What consumers are to learn.
    pub changes: Vec<Change>,
}

impl Effects {
    pub(crate) fn send(&mut self, to: NodeId, address: Address, message: Message) {
        self.transmits.push(Transmit { to: Some(to), address, message, tell: false });
    }
}

/// How a node starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// Its identity.
    pub id: NodeId,
    /// What it announces. The generation must be greater than in any earlier life, and durable.
    pub attributes: Attributes,
    /// QUIC addresses to join by, if known.
    pub seeds: Vec<Address>,
    /// What an earlier life's snapshot remembered, if there is one.
    pub remembered: Vec<Record>,
    /// Seeds the node's own randomness.
    pub seed: u64,
}
