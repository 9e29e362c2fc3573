//! Read threads: they fetch for lanes what is not in memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coterie_protocol::rows::{NotResident, Row, StoreError};
use crossbeam_channel::{Sender, TrySendError, bounded};
use rocksdb::ReadOptions;
use thiserror::Error;

use super::cursor::{Cursor, Tier, after};
use super::database::{Database, Unread};
use super::error::StorageError;
use super::fetched::{Fetched, Ticket};
use super::settings::StorageSettings;

/// What is done with what was fetched: on a read thread, so it hands it over and returns.
pub type Then = Box<dyn FnOnce(NotResident, Result<Fetched, StoreError>) + Send>;

/// More reads wait for the disk than may; what the read is for is to be refused, or tried later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many reads wait for the disk")]
pub struct ReadsFull;

/// The threads, which end with the last handle of the database.
pub(super) struct Readers {
    jobs: Sender<Job>,
}

struct Job {
    database: Arc<Database>,
    wanted: NotResident,
    ticket: Arc<Ticket>,
    then: Then,
}

impl Readers {
    pub(super) fn start(settings: &StorageSettings) -> Result<Self, StorageError> {
        let (jobs, waiting) = bounded::<Job>(settings.reads_waiting_max);
        for number in 0..settings.read_threads.max(1) {
            let waiting = waiting.clone();
            let thread = std::thread::Builder::new().name(format!("storage-read-{number}"));
            let work = move || {
                let mut options = ReadOptions::default();
                options.set_async_io(false);
                for Job { database, wanted, ticket, then } in waiting {
                    let fetched = fetch(&database, &wanted, &options)
                        .map(|rows| Fetched::page(&wanted, rows, ticket));
                    // Whoever waits may close the store as soon as it hears of this.
                    drop(database);
                    then(wanted, fetched);
                }
            };
            thread.spawn(work).map_err(cannot_start)?;
        }
        Ok(Readers { jobs })
    }

    pub(super) fn fetch(
        database: &Arc<Database>,
        wanted: NotResident,
        ticket: Arc<Ticket>,
        then: Then,
    ) -> Result<(), ReadsFull> {
        let job = Job { database: database.clone(), wanted, ticket, then };
        database.readers.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => ReadsFull,
            TrySendError::Disconnected(_) => unreachable!("read threads end after the database"),
        })
    }

    pub(super) fn waiting(&self) -> usize {
        self.jobs.len()
    }
}

pub(super) fn cannot_start(source: io::Error) -> StorageError {
    StorageError::Directory { action: "start a thread for", path: "the store".into(), source }
}

/// Rows from wherever they are. Damaged ones are empty.
fn fetch(
    database: &Database,
    wanted: &NotResident,
    options: &ReadOptions,
) -> Result<Vec<Row>, StoreError> {
    database.counts.fetched.fetch_add(1, Ordering::Relaxed);
    let range = &wanted.range;
    let is_one = range.to.as_ref().is_some_and(|to| *to == after(&range.from));
    if is_one && wanted.rows_max > 0 {
        // Unlike a walk, this asks the filters.
        return match database.get(wanted.space, &range.from, options) {
            Ok(row) => Ok(row.map(|row| (range.from.clone(), row)).into_iter().collect()),
            Err(Unread::Damaged) => Ok(vec![(range.from.clone(), bytes::Bytes::new())]),
            Err(unread) => Err(failure(unread)),
        };
    }
    let mut rows = Vec::new();
    let mut cursor =
        Cursor::new(database, wanted.space, range.clone(), wanted.direction, Tier::Disk);
    while rows.len() < wanted.rows_max
        && let Some(row) = cursor.next().map_err(failure)?
    {
        rows.push(row);
    }
    Ok(rows)
}

fn failure(unread: Unread) -> StoreError {
    match unread {
        Unread::Failed(failure) => failure,
        Unread::NotResident | Unread::Damaged => {
            unreachable!("the disk has all rows, and damage is shown")
        }
    }
}
