//! The store as one lane sees it: what it has gathered over what is committed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use coterie_protocol::rows::{
    Batch, Direction, KeyRange, NotResident, Row, Rows, Space, Store, StoreError,
};
use rocksdb::{ReadOptions, WriteBatch};
use smallvec::{SmallVec, smallvec};

use super::cache::RowCache;
use super::cursor::{Cursor, Tier};
use super::database::{Database, resident};
use super::fetched::{Fetched, Ticket};
use super::overlay::Overlay;
use super::reading::{Readers, ReadsFull, Then};
use super::syncer::Counter;
use super::view::View;

/// A store of which each lane has one, and control has one: the only writer of its rows. Reads of it never wait
/// for the disk.
pub struct LaneStore {
    database: Arc<Database>,
    options: ReadOptions,
    gathered: Overlay,
    recent: Recent,
    cache: RefCell<RowCache>,
    committed: u64,
    counter: Counter,
}

/// What a lane has committed since the oldest of its fetches was asked for: that may lack it.
#[derive(Debug, Default)]
struct Recent {
    /// Layers of changes, the latest first.
    layers: VecDeque<Overlay>,
    /// The number of the latest layer; each older one has one less.
    latest: u64,
    /// The oldest number from which on all changes are kept.
    kept: u64,
    tickets: VecDeque<Weak<Ticket>>,
    bytes: usize,
}

/// A layer of more bytes is followed by another, so that older ones can be dropped before all fetches are over.
const LAYER_BYTES: usize = 1 << 20;

/// Past so many bytes, changes are dropped, and with them what is being fetched: it is fetched again.
const RECENT_BYTES_MAX: usize = 64 << 20;

/// A range with at most so many rows, all of them in memory, is deleted row by row: marks of deleted ranges slow down
/// every read until they are compacted away.
const POINT_DELETES_MAX: usize = 128;

/// No row is known to begin like this.
const LAST: [u8; 64] = [0xff; 64];

impl LaneStore {
    pub(super) fn new(database: Arc<Database>, known_bytes: usize) -> Self {
        LaneStore {
            database,
            options: resident(),
            gathered: Overlay::default(),
            recent: Recent::default(),
            cache: RefCell::new(RowCache::new(known_bytes)),
            committed: 0,
            counter: Counter::default(),
        }
    }

    /// Adds a batch to the commit at hand. Reads of this store see it at once.
    pub fn gather(&mut self, batch: &Batch) {
        self.gathered.apply(batch.changes().iter().cloned());
    }

    /// As [`LaneStore::gather`]; leaves the batch empty.
    pub fn take(&mut self, batch: &mut Batch) {
        self.gathered.apply(batch.drain());
    }

    /// Hands all that was gathered to the log and the operating system, as one: the number of this commit, or of the last
    /// where nothing was gathered. Not durable until the log thread says so.
    ///
    /// # Errors
    /// If the disk fails or is full. What was gathered is dropped, and nothing is written from then on by anybody.
    pub fn commit(&mut self) -> Result<u64, StoreError> {
        if self.gathered.is_empty() {
            return self.database.check().map(|()| self.committed);
        }
        let batch = self.batch();
        if !batch.is_empty() {
            if let Err(failure) = self.database.write(batch) {
                self.gathered.clear();
                return Err(failure);
            }
            self.committed += 1;
            self.counter.set(self.committed);
            self.database.counts.commits.fetch_add(1, Ordering::Relaxed);
            self.database.signal.committed();
        }
        let waited_for = self.recent.is_waited_for();
        self.remember(waited_for);
        if waited_for {
            self.recent.take(&mut self.gathered);
        }
        Ok(self.committed)
    }

    /// What was committed is known from now on. Where it is not kept for what is being fetched, nothing is gathered then.
    fn remember(&mut self, kept: bool) {
        let cache = self.cache.get_mut();
        let all = KeyRange { from: Bytes::new(), to: None };
        for space in [Space::Rows, Space::Derived] {
            if self.gathered.is_silent(space) {
                continue;
            }
            if self.gathered.ranges(space).next().is_some() {
                cache.clear(space);
            }
            if kept {
                for (key, row) in self.gathered.rows(space, &all) {
                    cache.committed(space, key.clone(), row.clone());
                }
            } else {
                for (key, row) in self.gathered.take_rows(space) {
                    cache.committed(space, key, row);
                }
            }
        }
        if !kept {
            self.gathered.clear();
        }
    }

    /// The number of the last commit.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// What the log thread reads the number of the last commit from.
    #[must_use]
    pub fn counter(&self) -> Counter {
        self.counter.clone()
    }

    /// Has rows fetched on a read thread, and `then` called there. Read them by [`LaneStore::with`]: what this store
    /// has changed meanwhile is not lost.
    ///
    /// # Errors
    /// If too many reads wait; `then` is dropped.
    pub fn fetch(&mut self, wanted: NotResident, then: Then) -> Result<(), ReadsFull> {
        let ticket = self.recent.ticket();
        Readers::fetch(&self.database, wanted, ticket, then)
    }

    /// The rows of this store with fetched ones in hand.
    #[must_use]
    pub fn with<'a>(&'a self, fetched: &'a Fetched) -> With<'a> {
        let mut layers = SmallVec::new();
        layers.push(&self.gathered);
        layers.extend(&self.recent.layers);
        let pages = fetched.since(self.recent.kept).collect();
        With(View {
            database: &self.database,
            options: &self.options,
            cache: Some(&self.cache),
            tier: Tier::Resident,
            layers,
            pages,
        })
    }

    fn view(&self) -> View<'_> {
        View {
            database: &self.database,
            options: &self.options,
            cache: Some(&self.cache),
            tier: Tier::Resident,
            layers: smallvec![&self.gathered],
            pages: SmallVec::new(),
        }
    }

    /// What was gathered, each row as it is in the end.
    fn batch(&self) -> WriteBatch {
        let mut batch = WriteBatch::with_capacity_bytes(self.gathered.bytes());
        for space in Space::ALL {
            if self.gathered.is_silent(space) {
                continue;
            }
            let family = self.database.family(space);
            for range in self.gathered.ranges(space) {
                self.delete_range(&mut batch, space, range);
            }
            let all = KeyRange { from: Bytes::new(), to: None };
            for (key, row) in self.gathered.rows(space, &all) {
                match row {
                    Some(row) => batch.put_cf(family, key, row),
                    None => batch.delete_cf(family, key),
                }
            }
        }
        batch
    }

    fn delete_range(&self, batch: &mut WriteBatch, space: Space, range: KeyRange) {
        let family = self.database.family(space);
        // To look for leaves would sort all that are in memory.
        let few = (space != Space::Leaves).then(|| self.few_rows(space, &range)).flatten();
        if let Some(rows) = few {
            // What is written or deleted besides comes after this.
            rows.iter().for_each(|key| batch.delete_cf(family, key));
            return;
        }
        self.database.counts.range_deletes.fetch_add(1, Ordering::Relaxed);
        match &range.to {
            Some(to) => batch.delete_range_cf(family, &range.from, to),
            // The database knows no end of the space.
            None => {
                if range.from[..] < LAST[..] {
                    batch.delete_range_cf(family, &range.from[..], &LAST[..]);
                }
                let beyond = KeyRange { from: range.from.max(Bytes::from_static(&LAST)), to: None };
                let direction = Direction::Forward;
                let mut rows = Cursor::new(&self.database, space, beyond, direction, Tier::Disk);
                while let Ok(Some((key, _))) = rows.next() {
                    batch.delete_cf(family, key);
                }
            }
        }
    }

    /// The keys of a range's rows, if they are few and known without the disk.
    fn few_rows(&self, space: Space, range: &KeyRange) -> Option<Vec<Bytes>> {
        let direction = Direction::Forward;
        let mut cursor =
            Cursor::new(&self.database, space, range.clone(), direction, Tier::Resident);
        let mut keys = Vec::new();
        while let Some((key, _)) = cursor.next().ok()? {
            if keys.len() == POINT_DELETES_MAX {
                return None;
            }
            keys.push(key);
        }
        Some(keys)
    }
}

impl Recent {
    fn ticket(&mut self) -> Arc<Ticket> {
        self.forget();
        let ticket = Arc::new(Ticket { layer: self.latest });
        self.tickets.push_back(Arc::downgrade(&ticket));
        if self.layers.is_empty() {
            self.layers.push_front(Overlay::default());
            self.kept = self.latest;
        }
        ticket
    }

    /// Whether a fetch may lack what is committed now.
    fn is_waited_for(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Keeps what was committed as long as a fetch may lack it. Nothing is gathered then.
    fn take(&mut self, gathered: &mut Overlay) {
        self.forget();
        let Some(latest) = self.layers.front_mut() else {
            gathered.clear();
            return;
        };
        self.bytes += gathered.bytes();
        latest.append(std::mem::take(gathered));
        if latest.bytes() > LAYER_BYTES {
            self.layers.push_front(Overlay::default());
            self.latest += 1;
        }
        if self.bytes > RECENT_BYTES_MAX {
            self.layers.clear();
            self.layers.push_front(Overlay::default());
            self.latest += 1;
            self.kept = self.latest;
            self.bytes = 0;
        }
    }

    /// Drops the changes that no fetch lacks.
    fn forget(&mut self) {
        while self.tickets.front().is_some_and(|ticket| ticket.strong_count() == 0) {
            self.tickets.pop_front();
        }
        let oldest = self.tickets.front().and_then(Weak::upgrade);
        let Some(oldest) = oldest else {
            self.tickets.clear();
            self.layers.clear();
            self.bytes = 0;
            // What has no ticket now is never read again.
            self.latest += 1;
            self.kept = self.latest;
            return;
        };
        while self.kept < oldest.layer {
            let dropped = self.layers.pop_back();
            self.bytes -= dropped.map_or(0, |layer| layer.bytes());
            self.kept += 1;
        }
    }
}

impl Rows for LaneStore {
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

impl Store for LaneStore {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.gather(batch);
        LaneStore::commit(self).map(|_number| ())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.database.sync()
    }
}

impl fmt::Debug for LaneStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneStore").field("committed", &self.committed).finish_non_exhaustive()
    }
}

/// A lane's store with fetched rows in hand.
pub struct With<'a>(View<'a>);

impl Rows for With<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        self.0.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        self.0.scan(space, range, direction, rows_max)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.0.database.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.0.database.free.permille()
    }
}

impl fmt::Debug for With<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("With").finish_non_exhaustive()
    }
}
