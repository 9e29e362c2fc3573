//! The log thread: makes durable what lanes have committed, for all of them at once.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use coterie_protocol::rows::StoreError;

use super::database::Database;
use super::error::StorageError;
use super::{Storage, reading};

/// How many batches a lane's store has committed: shared with the log thread.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// The number of the last commit.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::SeqCst);
    }
}

/// How stores reach the log thread.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// It sleeps until something is committed.
    idle: AtomicBool,
    /// A sync is wanted at once.
    asked: AtomicBool,
    stopping: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Signal {
    /// Something was committed: it is synced within the interval.
    pub(super) fn committed(&self) {
        if self.idle.load(Ordering::SeqCst) {
            self.unpark();
        }
    }

    /// Something waits for a sync.
    pub(super) fn wake(&self) {
        // Asked for before and not seen yet: it is under way.
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            thread.unpark();
        }
    }
}

/// The log thread of a store. Dropping it syncs once more and ends the thread.
pub struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    database: Arc<Database>,
    lanes: Mutex<Vec<Lane>>,
    failed: OnceLock<Box<dyn Fn(StoreError) + Send + Sync>>,
}

struct Lane {
    counter: Counter,
    /// The last number that was told.
    told: u64,
    on_synced: Arc<dyn Fn(u64) + Send + Sync>,
}

/// Asks for a sync, from any thread.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl Storage {
    /// Starts the log thread. What is committed is synced within `interval`, or at once where somebody asks; the
    /// first failure is told to `on_failed`, once, and nothing is written after it.
    ///
    /// # Errors
    /// If there can be no thread.
    ///
    /// # Panics
    /// If the store has a log thread.
    pub fn syncer(
        &self,
        interval: Duration,
        on_failed: Box<dyn Fn(StoreError) + Send + Sync>,
    ) -> Result<Syncer, StorageError> {
        let database = self.database.clone();
        let shared =
            Arc::new(Shared { database, lanes: Mutex::default(), failed: OnceLock::new() });
        let told = shared.failed.set(on_failed);
        assert!(told.is_ok(), "nobody else knows of it yet");
        let signal = &self.database.signal;
        let mut known = signal.thread.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(known.is_none(), "a store has one log thread");
        signal.stopping.store(false, Ordering::SeqCst);
        let at_work = shared.clone();
        let work = move || at_work.run(interval);
        let thread = std::thread::Builder::new().name("storage-log".to_owned());
        let thread = thread.spawn(work).map_err(reading::cannot_start)?;
        *known = Some(thread.thread().clone());
        Ok(Syncer { shared, thread: Some(thread) })
    }
}

impl Syncer {
    /// From now on the commits that `counter` counts are synced too; `on_synced` hears the number of the last
    /// that is, on the log thread, so it hands it over and returns.
    pub fn register(&self, counter: Counter, on_synced: Box<dyn Fn(u64) + Send + Sync>) {
        let lane = Lane { counter, told: 0, on_synced: on_synced.into() };
        self.shared.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
        self.shared.database.signal.committed();
    }

    /// Asks for a sync of all that is committed by now.
    pub fn wake(&self) {
        self.shared.database.signal.wake();
    }

    /// What asks for syncs from other threads.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(self.shared.clone())
    }
}

impl Waker {
    /// Asks for a sync of all that is committed by now.
    pub fn wake(&self) {
        self.0.database.signal.wake();
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        let signal = &self.shared.database.signal;
        signal.stopping.store(true, Ordering::SeqCst);
        signal.unpark();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the log thread panicked");
        }
        *signal.thread.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Syncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

impl Shared {
    fn run(&self, interval: Duration) {
        let signal = &self.database.signal;
        // Since when something is committed and not synced, as far as this thread has seen.
        let mut unsynced_since: Option<Instant> = None;
        loop {
            let stopping = signal.stopping.load(Ordering::SeqCst);
            let asked = signal.asked.swap(false, Ordering::SeqCst);
            if let Some(failure) = self.database.failure() {
                return self.tell_failed(failure);
            }
            if !self.is_unsynced() {
                if stopping {
                    return;
                }
                unsynced_since = None;
                signal.idle.store(true, Ordering::SeqCst);
                // A commit after this look finds it idle.
                if !self.is_unsynced() && !asked {
                    std::thread::park();
                }
                signal.idle.store(false, Ordering::SeqCst);
                continue;
            }
            let since = *unsynced_since.get_or_insert_with(Instant::now);
            let waits = interval.saturating_sub(since.elapsed());
            if !asked && !stopping && !waits.is_zero() {
                std::thread::park_timeout(waits);
                continue;
            }
            if let Err(failure) = self.sync() {
                return self.tell_failed(failure);
            }
            unsynced_since = None;
        }
    }

    fn is_unsynced(&self) -> bool {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().any(|lane| lane.counter.committed() > lane.told)
    }

    /// One sync for all lanes: what they had committed before it began is durable after it.
    fn sync(&self) -> Result<(), StoreError> {
        let sampled: Vec<(usize, u64)> = {
            let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            let numbers = lanes.iter().map(|lane| lane.counter.committed());
            numbers.enumerate().collect()
        };
        self.database.sync()?;
        for (at, number) in sampled {
            let tell = {
                let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
                let lane = &mut lanes[at];
                (number > lane.told).then(|| {
                    lane.told = number;
                    lane.on_synced.clone()
                })
            };
            if let Some(tell) = tell {
                tell(number);
            }
        }
        Ok(())
    }

    fn tell_failed(&self, failure: StoreError) {
        if let Some(on_failed) = self.failed.get() {
            on_failed(failure);
        }
    }
}
