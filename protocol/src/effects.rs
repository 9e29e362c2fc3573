//! What an event wants done, and when.

use coterie_ring::NodeId;
use coterie_wire::{Key, Listed, Message, Response};

use crate::event::{ControlEvent, Event};
use crate::repair::barrier::{BarrierId, Outcome};
use crate::rows::Batch;

/// What has to have happened before an action is carried out. The driver commits the batch of an event
/// before any of its actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum After {
    /// The batch was handed to the operating system: enough for what promises nothing.
    Written,
    /// The batch is as durable as the node's `sync` setting asks (invariant 11).
    Durable,
    /// The batch is on disk, whatever the setting.
    Synced,
}

/// Which stream a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for it.
    Requests,
    /// Repair and transfers.
    Bulk,
}

/// Names a client's request at the front door that submitted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One thing to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send a message to another node. What cannot be sent is dropped; that is told by
    /// [`Event::Unreachable`].
    Send {
        /// To whom.
        to: NodeId,
        /// By which stream.
        class: Class,
        /// What.
        message: Box<Message>,
    },
    /// Answer a client of this node.
    Respond {
        /// Which request.
        client: ClientId,
        /// The answer.
        response: Box<Response>,
    },
    /// Answer a client of this node that asked for keys.
    Listed {
        /// Which request.
        client: ClientId,
        /// The answer.
        listed: Box<Listed>,
    },
    /// Hand an event back to this lane, after those that are waiting.
    Lane(Box<Event>),
    /// Tell control.
    Control(Box<ControlEvent>),
    /// A key's visible state changed here: for whoever waits for it.
    Changed {
        /// Which.
        key: Key,
    },
    /// Answer whoever waits until owners are equal.
    Barrier {
        /// Who.
        barrier: BarrierId,
        /// What it has come to.
        outcome: Outcome,
    },
}

/// What an event wants done: rows to write as one batch, then actions, in order within each
/// [`After`].
#[derive(Debug, Default)]
pub struct Effects {
    /// Rows to write.
    pub batch: Batch,
    /// What follows.
    pub actions: Vec<(After, Action)>,
}

impl Effects {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Effects::default()
    }

    /// Sends a message for which nobody is promised anything.
    pub fn send(&mut self, to: NodeId, class: Class, message: Message) {
        self.send_after(After::Written, to, class, message);
    }

    /// Sends a message once `after` holds.
    pub fn send_after(&mut self, after: After, to: NodeId, class: Class, message: Message) {
        let message = Box::new(message);
        self.actions.push((after, Action::Send { to, class, message }));
    }

    /// Answers a client once `after` holds.
    pub fn respond(&mut self, after: After, client: ClientId, response: Response) {
        self.actions.push((after, Action::Respond { client, response: Box::new(response) }));
    }

    /// Answers a client that asked for keys.
    pub fn listed(&mut self, client: ClientId, listed: Listed) {
        self.actions.push((After::Written, Action::Listed { client, listed: Box::new(listed) }));
    }

    /// Hands an event back to this lane once `after` holds.
    pub fn lane(&mut self, after: After, event: Event) {
        self.actions.push((after, Action::Lane(Box::new(event))));
    }

    /// Tells control, once the batch is written.
    pub fn control(&mut self, event: ControlEvent) {
        self.actions.push((After::Written, Action::Control(Box::new(event))));
    }
}
