//! Stores as the tests open them, and reads that fetch what is not in memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use coterie_node::storage::{Fetched, Identity, LaneStore, Storage, StorageSettings};
use coterie_protocol::rows::{
    Batch, Direction, KeyRange, NotResident, Row, Rows, Space, Store, StoreError,
};
use coterie_ring::NodeId;
use crossbeam_channel::bounded;

/// Long enough for anything that ends at all.
pub(crate) const WAIT: Duration = Duration::from_secs(600);

/// A store that keeps nearly nothing in memory but what was just written.
pub(crate) fn small() -> StorageSettings {
    let identity = Identity { cluster: 1, node: NodeId(2) };
    StorageSettings {
        cache_bytes: 32 << 10,
        memtables_bytes: 1 << 20,
        read_threads: 2,
        ..StorageSettings::new(identity)
    }
}

/// Ends all use of a store and waits until its files are closed.
pub(crate) fn close(storage: Storage) {
    let closed = storage.closed();
    drop(storage);
    assert!(closed.wait(WAIT), "somebody holds on to the store");
}

/// The newest of the database's logs.
pub(crate) fn newest_log(directory: &Path) -> PathBuf {
    let files = std::fs::read_dir(directory.join("store")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.max().expect("an open store has a log")
}

/// All files of a directory, and of those in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else if file.file_name() != "reserve" {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

/// A lane's store together with all that was fetched for it.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub(crate) lane: LaneStore,
    pub(crate) fetched: Fetched,
    pub(crate) fetches: usize,
}

impl Fetching {
    pub(crate) fn new(lane: LaneStore) -> Self {
        Fetching { lane, fetched: Fetched::default(), fetches: 0 }
    }

    /// Fetches what a read found not to be in memory.
    pub(crate) fn fetch(&mut self, missing: &NotResident) {
        let (told, hears) = bounded(1);
        let then = Box::new(move |_, fetched| told.send(fetched).unwrap());
        self.lane.fetch(missing.clone(), then).unwrap();
        let fetched: Result<Fetched, StoreError> = hears.recv_timeout(WAIT).unwrap();
        self.fetched.absorb(fetched.unwrap());
        self.fetches += 1;
    }

    /// Reads, fetching as often as it takes.
    pub(crate) fn read<T>(&mut self, read: impl Fn(&Self) -> Result<T, NotResident>) -> T {
        // A read that needs ever more fetches would go on for ever.
        for _ in 0..10_000 {
            match read(self) {
                Ok(found) => return found,
                Err(missing) => self.fetch(&missing),
            }
        }
        panic!("fetching leads nowhere");
    }
}

impl Rows for Fetching {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        self.lane.with(&self.fetched).get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        self.lane.with(&self.fetched).scan(space, range, direction, rows_max)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.lane.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.lane.free_permille()
    }
}

impl Store for Fetching {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        Store::commit(&mut self.lane, batch)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.lane.sync()
    }
}
