//! Drivers: what hands events to a lane or to control, commits what they change, and holds back what
//! promises durability until a sync covers it (DESIGN §7, "Storage is synchronous, durability is not").
//!
//! They know no threads, sockets or clocks: the daemon runs them on those, the simulator in one thread, so that
//! what is proven there is what runs here.

mod control;
mod lane;

use crate::rows::{Batch, Rows, StoreError};

pub use control::{ControlDriver, ControlTurn, Packet};
pub use lane::{LaneDriver, Turn};

/// A storage as drivers use it: what is gathered is seen by reads at once, and committed as one batch.
pub trait Storage {
    /// Rows that were fetched for one event.
    type Fetched: Default;

    /// The rows as one event sees them.
    type Rows<'a>: Rows
    where
        Self: 'a;

    /// The rows as an event sees them that had `fetched` fetched.
    fn rows<'a>(&'a mut self, fetched: &'a Self::Fetched) -> Self::Rows<'a>;

    /// Adds a batch to the commit that is gathered, and leaves it empty.
    fn gather(&mut self, batch: &mut Batch);

    /// Hands what was gathered to the operating system. The number of the last commit: of this one, or of the one
    /// before where nothing was gathered.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of what was gathered is there then, and nothing may be written any more.
    fn commit(&mut self) -> Result<u64, StoreError>;

    /// Whether a sync has covered the commits up to `number`.
    fn is_synced(&self, number: u64) -> bool;
}
