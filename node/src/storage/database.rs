//! The database that lanes share, and what every reader and writer of it has to know.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use coterie_protocol::rows::{KeyRange, Space, StoreError};
use crossbeam_channel::{Receiver, Sender, bounded};
use rocksdb::{Cache, ColumnFamily, DB, ErrorKind, Range, ReadOptions, ReadTier, WriteBatch};

use super::directory::Directory;
use super::error::{StorageError, store_error};
use super::free::Free;
use super::reading::Readers;
use super::settings::{self, StorageSettings};
use super::syncer::Signal;

/// An open database. What is last to hold on to it closes it.
pub(super) struct Database {
    // Closed in this order: the database first, the directory given up after it.
    db: DB,
    pub(super) cache: Cache,
    pub(super) directory: Directory,
    /// What each lane may know without it.
    pub(super) known_bytes: usize,
    pub(super) readers: Readers,
    pub(super) free: Free,
    pub(super) signal: Signal,
    pub(super) counts: Counts,
    failure: AtomicU8,
    closed: Receiver<Infallible>,
    _open: Sender<Infallible>,
}

/// What has happened since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) commits: AtomicU64,
    pub(super) fetched: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_nanos: AtomicU64,
    pub(super) range_deletes: AtomicU64,
}

/// Why a read gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not in memory.
    NotResident,
    /// What is there is damaged.
    Damaged,
    /// The disk, or the system, fails.
    Failed(StoreError),
}

const FULL: u8 = 1;
const IO: u8 = 2;

impl Database {
    pub(super) fn open(
        directory: Directory,
        settings: &StorageSettings,
    ) -> Result<Self, StorageError> {
        let store = directory.store();
        let (options, families, cache) = settings::options(settings, &store);
        let db = DB::open_cf_descriptors(&options, &store, families)
            .map_err(|error| StorageError::of(directory.path(), &error))?;
        let (open, closed) = bounded(0);
        Ok(Database {
            db,
            cache,
            known_bytes: settings.known_bytes,
            readers: Readers::start(settings)?,
            free: Free::watch(directory.path())?,
            directory,
            signal: Signal::default(),
            counts: Counts::default(),
            failure: AtomicU8::new(0),
            closed,
            _open: open,
        })
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }

    pub(super) fn family(&self, space: Space) -> &ColumnFamily {
        self.db.cf_handle(settings::family(space)).expect("it was opened with all spaces")
    }

    /// Hears when the database is closed: the other end of this is gone then.
    pub(super) fn closed(&self) -> Receiver<Infallible> {
        self.closed.clone()
    }

    /// One row.
    pub(super) fn get(
        &self,
        space: Space,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<Bytes>, Unread> {
        match self.db.get_pinned_cf_opt(self.family(space), key, options) {
            Ok(row) => Ok(row.map(|row| Bytes::copy_from_slice(&row))),
            Err(error) => Err(self.judge(space, &error)),
        }
    }

    /// How an error of a read is taken.
    pub(super) fn judge(&self, space: Space, error: &rocksdb::Error) -> Unread {
        match error.kind() {
            ErrorKind::Incomplete => Unread::NotResident,
            ErrorKind::Corruption => self.note_damage(space, error),
            // A sector that cannot be read: the rest of the disk may be sound.
            ErrorKind::IOError if error.as_ref().contains("Input/output error") => {
                self.note_damage(space, error)
            }
            _ => {
                tracing::error!(?space, %error, "a read of the store failed");
                Unread::Failed(store_error(error))
            }
        }
    }

    fn note_damage(&self, space: Space, error: &rocksdb::Error) -> Unread {
        // Each row of a damaged block is met many times.
        let count = self.counts.damaged.fetch_add(1, Ordering::Relaxed);
        if count.is_power_of_two() || count == 0 {
            tracing::error!(?space, %error, count, "the store is damaged");
        }
        Unread::Damaged
    }

    /// About how many bytes the rows of a range take: of what is in tables only, compressed.
    pub(super) fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let to = range.to.as_deref().unwrap_or(&[0xff; 64]);
        let ranges = [Range::new(&range.from, to)];
        self.db.get_approximate_sizes_cf(self.family(space), &ranges).into_iter().sum()
    }

    /// Writes a batch to the log and the operating system.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.check()?;
        self.db.write(batch).map_err(|error| self.fail(&error, "a write to the log failed"))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.check()?;
        let begun = Instant::now();
        self.db.flush_wal(true).map_err(|error| self.fail(&error, "a sync of the log failed"))?;
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.counts.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
        Ok(())
    }

    /// Nothing is written after the first failure (invariant 12): of what a failed sync was to write, the operating
    /// system may forget that it is not written.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failure() {
            None => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    /// With what it has failed.
    pub(super) fn failure(&self) -> Option<StoreError> {
        match self.failure.load(Ordering::Acquire) {
            0 => None,
            FULL => Some(StoreError::Full),
            _ => Some(StoreError::Io),
        }
    }

    /// From now on nothing is written.
    pub(super) fn fail(&self, error: &rocksdb::Error, what: &'static str) -> StoreError {
        tracing::error!(%error, "{what}");
        self.stop(store_error(error))
    }

    /// As [`Database::fail`], with what is known already.
    pub(super) fn stop(&self, failure: StoreError) -> StoreError {
        let code = match failure {
            StoreError::Full => FULL,
            StoreError::Io => IO,
        };
        let first = self.failure.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        self.signal.wake();
        self.free.refresh();
        match first {
            Ok(_) => failure,
            Err(_) => self.failure().expect("it is never taken back"),
        }
    }
}

/// Reads that never touch the disk.
pub(super) fn resident() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_read_tier(ReadTier::BlockCache);
    options
}
