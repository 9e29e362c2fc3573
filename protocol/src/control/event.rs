//! What happens to control.

use std::time::Duration;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_swim::{Address, Generation};
use coterie_wire::Message;
use coterie_wire::peer::control::Hello;

use super::operator::Command;
use crate::event::ControlEvent;

/// Names an operator's command at the front door that submitted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(pub u64);

/// What happens to control.
#[derive(Clone, Debug)]
pub enum Event {
    /// A datagram was opened with the cluster's key.
    Packet {
        /// Where it came from.
        from: Address,
        /// What was sealed.
        bytes: Bytes,
    },
    /// A datagram could not be opened.
    Unopened {
        /// Where it came from.
        from: Address,
    },
    /// A message came from another node, on a connection whose certificate names it.
    Message {
        /// From whom.
        from: NodeId,
        /// What it says.
        message: Box<Message>,
    },
    /// A connection was made, and the other end has said hello.
    Hello {
        /// Who is there.
        peer: NodeId,
        /// What it said.
        hello: Hello,
        /// How long a round trip takes: what it said is between nothing and that old.
        round_trip: Duration,
    },
    /// A connection to a peer failed or was closed.
    ConnectionLost {
        /// To whom.
        peer: NodeId,
    },
    /// A lane says something.
    Lane(ControlEvent),
    /// An operator commands.
    Operator {
        /// Who, at the front door.
        operator: OperatorId,
        /// What.
        command: Box<Command>,
    },
    /// The process is about to end in order: lanes have stopped, and all they wrote is on disk.
    Stopping,
    /// The time of [`Control::next_deadline`](super::Control::next_deadline) has come.
    Tick,
    /// This generation of the node is on disk: packets may bear it. Handed back by control to itself.
    GenerationStored(Generation),
}
