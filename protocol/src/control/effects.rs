//! What control wants done.

use std::sync::Arc;

use coterie_ring::NodeId;
use coterie_swim::{Address, Transmit};
use coterie_wire::Message;

use super::event::{Event, OperatorId};
use super::operator::{Answer, CommandError};
use super::peers::Unfit;
use super::report::Report;
use crate::effects::After;
use crate::rows::Batch;
use crate::view::View;

/// One thing to be done.
#[derive(Debug)]
pub enum ControlAction {
    /// Send a packet of the failure detector. Its bytes are made by
    /// [`Control::write_packet`](super::Control::write_packet) while this action is carried out: before
    /// control is handed another event.
    Packet(Transmit),
    /// Send a message to another node's control. What cannot be sent is dropped.
    Send {
        /// Whom the certificate must name; any node of the cluster if unknown (a seed).
        to: Option<NodeId>,
        /// QUIC of its lane 0.
        address: Address,
        /// What.
        message: Box<Message>,
    },
    /// The verdict on a new connection ([`Event::Hello`]).
    Admit {
        /// Who is at the other end.
        peer: NodeId,
        /// Whether the connection may be used.
        verdict: Result<(), Unfit>,
    },
    /// Give the lanes another picture of the cluster. With the first one lanes are started.
    View(Arc<View>),
    /// Answer an operator.
    Respond {
        /// Whose command.
        operator: OperatorId,
        /// The answer.
        answer: Result<Box<Answer>, CommandError>,
    },
    /// Tell people.
    Report(Report),
    /// Hand an event back to control.
    Control(Box<Event>),
    /// End the process.
    Stop(StopCause),
}

/// Why a node ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// It is no part of the cluster any more, and the others know.
    Removed,
    /// Another process has its identity, and was there first.
    DuplicateIdentity,
}

/// What an event wants done: rows to write as one batch, then actions.
///
/// An action [`After::Synced`] waits until this batch, *and all that control had committed before*, is on disk: also where
/// this batch is empty.
#[derive(Debug, Default)]
pub struct ControlEffects {
    /// Rows to write.
    pub batch: Batch,
    /// What follows, in order within each [`After`].
    pub actions: Vec<(After, ControlAction)>,
}

impl ControlEffects {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        ControlEffects::default()
    }

    pub(super) fn now(&mut self, action: ControlAction) {
        self.actions.push((After::Written, action));
    }

    pub(super) fn synced(&mut self, action: ControlAction) {
        self.actions.push((After::Synced, action));
    }

    pub(super) fn report(&mut self, report: Report) {
        self.now(ControlAction::Report(report));
    }
}
