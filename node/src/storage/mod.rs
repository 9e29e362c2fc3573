//! Rows on disk: RocksDB under the lanes.
//!
//! One database has a column family for each space, and one log for all. Each lane has a [`LaneStore`], which gathers
//! what an event changes and commits it as one batch, without waiting for the disk: the log thread ([`Syncer`])
//! makes it durable, read threads fetch what is not in memory. After the first failure of the disk nothing is
//! written any more (invariant 12); drop every handle, wait until it is [`Closed`], and [`Storage::recover`].

mod cache;
mod cursor;
mod database;
mod directory;
mod error;
mod fetched;
mod free;
mod lane;
mod overlay;
mod reading;
mod reserve;
mod restored;
mod settings;
mod statistics;
mod survey;
mod syncer;
mod view;

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, NotResident, Row, Rows, Space, StoreError};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{FlushOptions, ReadOptions};
use smallvec::SmallVec;

pub use directory::{Identity, identity};
pub use error::StorageError;
pub use fetched::Fetched;
pub use lane::{LaneStore, With};
pub use reading::{ReadsFull, Then};
pub use restored::{Scope, forget_restored, install, restored};
pub use settings::StorageSettings;
pub use statistics::Statistics;
pub use survey::{Survey, survey};
pub use syncer::{Counter, Syncer, Waker};

use cursor::Tier;
use database::Database;
use directory::Directory;
use view::View;

/// An open store. The last of its handles, lanes' and log thread's among them, closes it.
#[derive(Clone)]
pub struct Storage {
    database: Arc<Database>,
}

impl Storage {
    /// Opens the store in a data directory, which is made if there is none.
    ///
    /// What a crash of the process left in the log is all there again; of a crash of the machine, all that was synced.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn open(directory: &Path, settings: &StorageSettings) -> Result<Storage, StorageError> {
        let directory = Directory::open(directory, settings.identity)?;
        let storage = Storage { database: Arc::new(Database::open(directory, settings)?) };
        reserve::keep(&storage.database.directory);
        Ok(storage)
    }

    /// Opens a store that failed. The room that was kept for this is used; all that could be recovered is written once
    /// more and synced before anything else is, since of what a failed write left in the operating system's memory
    /// nobody knows whether it is on the disk. Minting goes on under new actors, which is up to whoever calls this.
    ///
    /// # Errors
    /// [`StorageError`]: try again later, the disk may have room then.
    pub fn recover(directory: &Path, settings: &StorageSettings) -> Result<Storage, StorageError> {
        let directory = Directory::open(directory, settings.identity)?;
        reserve::release(&directory);
        // Opening writes what was in logs into tables, and syncs these.
        let storage = Storage { database: Arc::new(Database::open(directory, settings)?) };
        storage.flush()?;
        storage.database.sync().map_err(|failure| storage.failed(failure))?;
        reserve::keep(&storage.database.directory);
        Ok(storage)
    }

    /// A store for one lane, or for control.
    #[must_use]
    pub fn lane(&self) -> LaneStore {
        LaneStore::new(self.database.clone(), self.database.known_bytes)
    }

    /// All rows, from wherever they are: for opening and tools, never for lanes.
    #[must_use]
    pub fn everything(&self) -> Everything {
        Everything { database: self.database.clone(), options: ReadOptions::default() }
    }

    /// With what it has failed, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<StoreError> {
        self.database.failure()
    }

    /// How much of the disk is free, as parts of 1,000, as of about a second ago.
    #[must_use]
    pub fn free_permille(&self) -> u16 {
        self.database.free.permille()
    }

    /// Makes all that is committed durable. For tools and for the end; lanes have the log thread.
    ///
    /// # Errors
    /// If the disk fails; nothing is written from then on.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.database.sync()
    }

    /// Writes what is in memory into tables, so that opening the store again is quick.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn flush(&self) -> Result<(), StorageError> {
        let database = &*self.database;
        let families = Space::ALL.map(|space| database.family(space));
        let mut options = FlushOptions::default();
        options.set_wait(true);
        database.db().flush_cfs_opt(&families, &options).map_err(|error| {
            let directory = database.directory.path();
            database.fail(&error, "writing tables failed");
            StorageError::of(directory, &error)
        })
    }

    /// A copy of the store as it is now, as a data directory of this node in `to`, which must not be there. Tables are
    /// linked where that is on the same disk.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn checkpoint(&self, to: &Path) -> Result<(), StorageError> {
        std::fs::create_dir(to)
            .map_err(|source| directory::failed("make the directory", to, source))?;
        self.copy_store(&directory::store(to))?;
        directory::mark(to, self.database.directory.identity())
    }

    /// A copy of the database as it is now in `to`, which must not be there. Tables are linked where that is on the same
    /// disk. Nobody waits for it: the database goes on being written.
    ///
    /// # Errors
    /// [`StorageError`]
    pub fn copy_store(&self, to: &Path) -> Result<(), StorageError> {
        let failed = |error: rocksdb::Error| StorageError::of(to, &error);
        let checkpoint = Checkpoint::new(self.database.db()).map_err(failed)?;
        checkpoint.create_checkpoint(to).map_err(failed)
    }

    /// A handle that does not keep the store open.
    #[must_use]
    pub fn downgrade(&self) -> WeakStorage {
        WeakStorage(Arc::downgrade(&self.database))
    }

    /// Tells when the store is closed: after the last handle of it is dropped.
    #[must_use]
    pub fn closed(&self) -> Closed {
        Closed(self.database.closed())
    }

    fn failed(&self, source: StoreError) -> StorageError {
        let directory = self.database.directory.path().to_owned();
        StorageError::Store { directory, source, detail: source.to_string() }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.database.directory.path();
        f.debug_struct("Storage").field("directory", &directory).finish_non_exhaustive()
    }
}

/// A store that may be closed meanwhile.
#[derive(Clone)]
pub struct WeakStorage(Weak<Database>);

impl WeakStorage {
    /// The store, if it is open yet. It stays open as long as what is given here is held.
    #[must_use]
    pub fn upgrade(&self) -> Option<Storage> {
        self.0.upgrade().map(|database| Storage { database })
    }
}

impl fmt::Debug for WeakStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakStorage").finish_non_exhaustive()
    }
}

/// Waits for a store to be closed. Keeps nothing open itself.
#[derive(Clone, Debug)]
pub struct Closed(Receiver<Infallible>);

impl Closed {
    /// Whether the store was closed within `wait`.
    #[must_use]
    pub fn wait(&self, wait: Duration) -> bool {
        self.0.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }
}

/// All rows of a store that are committed, read from the disk where they are not in memory.
pub struct Everything {
    database: Arc<Database>,
    options: ReadOptions,
}

impl Everything {
    fn view(&self) -> View<'_> {
        View {
            database: &self.database,
            options: &self.options,
            cache: None,
            tier: Tier::Disk,
            layers: SmallVec::new(),
            pages: SmallVec::new(),
        }
    }
}

impl Rows for Everything {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        self.view().get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        self.view().scan(space, range, direction, rows_max)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.database.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.database.free.permille()
    }
}

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Everything").finish_non_exhaustive()
    }
}
