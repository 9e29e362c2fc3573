//! The contract of storages, kept through crashes that tear the log.

use std::path::PathBuf;

use coterie_node::storage::{Fetched, Storage};
use coterie_protocol::rows::contract;
use coterie_protocol::rows::{
    Batch, Direction, KeyRange, NotResident, Row, Rows, Space, Store, StoreError,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::opened::{Fetching, close, newest_log, small};

/// A store that knows how much of its log is synced.
#[derive(Debug)]
struct Tracked {
    store: Fetching,
    directory: PathBuf,
    /// The newest log and its length at the last sync.
    synced: Option<(PathBuf, u64)>,
}

struct OnRocksDb {
    directory: tempfile::TempDir,
    open: Option<Storage>,
    random: Xoshiro256PlusPlus,
    fetches: usize,
    torn: usize,
}

impl contract::Storage for OnRocksDb {
    type Store = Tracked;

    fn open(&mut self) -> Tracked {
        let directory = self.directory.path().to_owned();
        let storage = Storage::open(&directory, &small()).unwrap();
        let store = Fetching::new(storage.lane());
        self.open = Some(storage);
        // What is in logs at a start is in tables after it.
        Tracked { store, directory, synced: None }
    }

    fn crash(&mut self, store: Tracked) {
        let Tracked { store, directory, synced } = store;
        self.fetches += store.fetches;
        drop(store);
        close(self.open.take().expect("it was opened"));
        let log = newest_log(&directory);
        let length = std::fs::metadata(&log).unwrap().len();
        let kept = synced.filter(|(synced, _)| *synced == log).map_or(0, |(_, length)| length);
        let cut = self.random.random_range(kept..=length);
        self.torn += usize::from(cut < length);
        std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(cut).unwrap();
    }

    fn fetch(&mut self, store: &mut Tracked, missing: &NotResident) {
        store.store.fetch(missing);
        // What was fetched before stays true whatever is written since; now and then it is forgotten.
        if self.random.random_range(0..50) == 0 {
            store.store.fetched = Fetched::default();
        }
    }
}

impl Rows for Tracked {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<bytes::Bytes>, NotResident> {
        self.store.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        self.store.scan(space, range, direction, rows_max)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.store.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.store.free_permille()
    }
}

impl Store for Tracked {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.store.sync()?;
        let log = newest_log(&self.directory);
        let length = std::fs::metadata(&log).unwrap().len();
        self.synced = Some((log, length));
        Ok(())
    }
}

#[test]
fn a_store_on_rocksdb_keeps_the_contract() {
    let seeds = if std::env::var_os("COTERIE_PROOF").is_some() { 100 } else { 6 };
    let (mut fetches, mut torn) = (0, 0);
    for seed in 0..seeds {
        let mut storage = OnRocksDb {
            directory: tempfile::tempdir().unwrap(),
            open: None,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            fetches: 0,
            torn: 0,
        };
        contract::check(&mut storage, seed, 300);
        (fetches, torn) = (fetches + storage.fetches, torn + storage.torn);
    }
    assert!(fetches > 20 && torn > 20, "{fetches} fetches, {torn} torn logs: too tame");
}
