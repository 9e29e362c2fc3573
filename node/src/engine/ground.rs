//! The ground under a driver: its part of the storage, and how far that is synced.

use coterie_protocol::driver;
use coterie_protocol::rows::{Batch, NotResident, StoreError};

use crate::storage::{Fetched, LaneStore, ReadsFull, Then, With};

/// A store with what the log thread has said of it.
#[derive(Debug)]
pub(crate) struct Ground {
    store: LaneStore,
    synced: u64,
}

impl Ground {
    /// A store of which nothing is known to be synced.
    #[must_use]
    pub(crate) fn new(store: LaneStore) -> Self {
        Ground { store, synced: 0 }
    }

    /// Has rows fetched, and `then` called on a read thread.
    ///
    /// # Errors
    /// If too many reads wait.
    pub(crate) fn fetch(&mut self, wanted: NotResident, then: Then) -> Result<(), ReadsFull> {
        self.store.fetch(wanted, then)
    }

    /// A sync covers the commits up to `number`.
    pub(crate) fn synced(&mut self, number: u64) {
        self.synced = self.synced.max(number);
    }
}

impl driver::Storage for Ground {
    type Fetched = Fetched;
    type Rows<'a> = With<'a>;

    fn rows<'a>(&'a mut self, fetched: &'a Fetched) -> With<'a> {
        self.store.with(fetched)
    }

    fn gather(&mut self, batch: &mut Batch) {
        self.store.take(batch);
    }

    fn commit(&mut self) -> Result<u64, StoreError> {
        self.store.commit()
    }

    fn is_synced(&self, number: u64) -> bool {
        self.synced >= number
    }
}
