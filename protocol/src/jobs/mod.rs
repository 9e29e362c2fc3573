//! Jobs: what a lane does by itself, in chunks, because one event may not touch so many rows.

mod expire;
mod sweep;

use std::time::Duration;

use coterie_wire::Key;

use crate::effects::Effects;
use crate::lane::Shared;
use crate::rows::{NotResident, Rows};

pub use expire::Deadlines;

use expire::Expiry;
use sweep::Sweeps;

/// What happens to the jobs of a lane from within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key was deleted whose rows are still there.
    Deleted {
        /// Which.
        key: Key,
    },
    /// The next rows of deleted keys are to be swept.
    Sweep,
    /// The next keys whose time has passed are to be looked at.
    Expire,
}

impl From<Event> for crate::Event {
    fn from(event: Event) -> Self {
        crate::Event::Jobs(event)
    }
}

/// The rows that an event of jobs needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// Those of a sweep.
    Sweep(sweep::Found),
    /// Marks of keys in the order of their deadlines.
    Deadlines(expire::Found),
}

/// The jobs of a lane.
#[derive(Debug, Default)]
pub struct Jobs {
    sweeps: Sweeps,
    expiry: Expiry,
}

impl Jobs {
    /// Reads what an event needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match event {
            Event::Deleted { .. } => Ok(Found::Nothing),
            Event::Sweep => self.sweeps.read(shared, rows).map(Found::Sweep),
            Event::Expire => self.expiry.read(shared, rows).map(Found::Deadlines),
        }
    }

    /// Takes an event in.
    ///
    /// # Panics
    /// If `found` was not read for it.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match (event, found) {
            (Event::Deleted { key }, Found::Nothing) => self.sweeps.begin(shared, key, effects),
            (Event::Sweep, Found::Sweep(found)) => self.sweeps.go_on(shared, found, effects),
            (Event::Expire, Found::Deadlines(found)) => self.expiry.go_on(shared, found, effects),
            (event, found) => panic!("{found:?} was not read for {event:?}"),
        }
    }

    /// Others own than before: what was left unfinished is looked for in partitions that are new.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.sweeps.view_changed(shared, effects);
        self.expiry.view_changed(shared);
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.sweeps.tick(shared, effects);
        self.expiry.tick(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.sweeps.next_deadline(), self.expiry.next_deadline()].into_iter().flatten().min()
    }
}
