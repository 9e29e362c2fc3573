//! Sync: peers that share slices compare digests and join what differs.

mod event;
#[expect(dead_code, reason = "sessions follow")]
mod halving;

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Message, RequestId};

use crate::effects::Effects;
use crate::lane::Shared;
use crate::rows::{NotResident, Rows};

pub use event::{Asker, Event, SyncError, Told};

/// The rows that an event of sync needs.
#[derive(Debug)]
pub struct Found {}

/// The synchronisations of a lane.
#[derive(Debug, Default)]
pub struct Synchroniser {}

impl Synchroniser {
    /// Reads what an event of its own needs. Messages need nothing: what they bring is queued, and read for
    /// in chunks.
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

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        _shared: &mut Shared,
        _from: NodeId,
        _message: Message,
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

    /// A peer cannot be reached.
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
