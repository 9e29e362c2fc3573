//! A request's life: evaluated once, stored at enough owners, answered truthfully.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Message, Request, RequestId};

use crate::effects::{ClientId, Effects};
use crate::lane::Shared;
use crate::rows::{NotResident, Rows};

/// What happens to the coordinator from within its lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// This node's own copy of a write is as durable as was asked.
    Stored {
        /// Of which request.
        request: RequestId,
    },
    /// A request of this lane itself, for which nobody waits: whoever wants its effect looks for it.
    Internal {
        /// What is asked.
        request: Box<Request>,
    },
}

/// The rows that an event of the coordinator needs.
#[derive(Debug)]
pub struct Found {}

/// The requests that a lane coordinates or has forwarded.
#[derive(Debug, Default)]
pub struct Coordinator {}

impl Coordinator {
    /// Reads what a client's request needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_request(
        &self,
        _shared: &Shared,
        _request: &Request,
        _rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        Ok(Found {})
    }

    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        _shared: &Shared,
        _from: NodeId,
        _message: &Message,
        _rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        Ok(Found {})
    }

    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        _shared: &Shared,
        _event: &Event,
        _rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        Ok(Found {})
    }

    /// Begins a client's request.
    pub fn request(
        &mut self,
        _shared: &mut Shared,
        _client: ClientId,
        _request: Request,
        _found: Found,
        _effects: &mut Effects,
    ) {
    }

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        _shared: &mut Shared,
        _from: NodeId,
        _message: Message,
        _found: Found,
        _effects: &mut Effects,
    ) {
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        _shared: &mut Shared,
        _event: Event,
        _found: Found,
        _effects: &mut Effects,
    ) {
    }

    /// A node that was asked cannot be reached.
    pub fn unreachable(
        &mut self,
        _shared: &mut Shared,
        _to: NodeId,
        _request: RequestId,
        _effects: &mut Effects,
    ) {
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, _shared: &mut Shared, _effects: &mut Effects) {}

    /// Time has passed.
    pub fn tick(&mut self, _shared: &mut Shared, _effects: &mut Effects) {}

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }
}
