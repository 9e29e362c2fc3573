//! An owner's side: storing what it is sent and showing what it has.

mod apply;

use coterie_ring::NodeId;
use coterie_wire::Message;

use crate::effects::Effects;
use crate::lane::Shared;
use crate::rows::{NotResident, Rows};

pub use apply::{Applied, apply, needs, write};

/// The rows that a message to a replica needs.
#[derive(Debug)]
pub struct Found {}

/// The owner's side of a lane.
#[derive(Debug, Default)]
pub struct Replicas {}

impl Replicas {
    /// Reads what a message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read(
        &self,
        _shared: &Shared,
        _from: NodeId,
        _message: &Message,
        _rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        Ok(Found {})
    }

    /// Takes a message in.
    pub fn message(
        &mut self,
        _shared: &mut Shared,
        _from: NodeId,
        _message: Message,
        _found: Found,
        _effects: &mut Effects,
    ) {
    }
}
