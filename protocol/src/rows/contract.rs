//! What every storage must do, as a test that storages call.
//!
//! Random batches, reads, syncs and crashes are compared with maps in memory: gets and scans in both
//! directions, limits, ranges deleted, changes of one batch in order, batches whole or not at all, what was
//! synced there after any crash, and of what was not synced a prefix.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Batch, Change, Direction, KeyRange, NotResident, Row, Rows, Space, Store};

/// How the contract handles a storage under test.
pub trait Storage {
    /// The storage.
    type Store: Store;

    /// Opens it: at first empty, later with what is there.
    fn open(&mut self) -> Self::Store;

    /// Ends it as a crash of the machine does, of what was not synced keeping as many batches as it likes.
    fn crash(&mut self, store: Self::Store);

    /// Fetches what a read has found not to be in memory.
    fn fetch(&mut self, store: &mut Self::Store, missing: &NotResident);
}

/// Rows of each space.
type Spaces = [BTreeMap<Bytes, Bytes>; Space::ALL.len()];

/// Puts a storage to `steps` random uses.
///
/// # Panics
/// Where it does not what it must, with the seed.
pub fn check(storage: &mut impl Storage, seed: u64, steps: usize) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut store = storage.open();
    // What the storage holds after the last sync and after each batch since.
    let mut since: Vec<Spaces> = vec![Spaces::default()];
    for step in 0..steps {
        let at = format!("seed {seed}, step {step}");
        match random.random_range(0..20) {
            0 => {
                store.sync().unwrap_or_else(|error| panic!("{at}: {error}"));
                since.drain(..since.len() - 1);
            }
            1 => {
                storage.crash(store);
                store = storage.open();
                let found = Space::ALL.map(|space| all(storage, &mut store, space));
                let survived = since.iter().rposition(|spaces| *spaces == found);
                let survived = survived.unwrap_or_else(|| panic!("{at}: not a prefix survived"));
                since.truncate(survived + 1);
                since.drain(..survived);
            }
            2..8 => {
                let batch = batch(&mut random);
                store.commit(&batch).unwrap_or_else(|error| panic!("{at}: {error}"));
                let mut spaces = since[since.len() - 1].clone();
                batch.changes().iter().for_each(|change| apply(&mut spaces, change));
                since.push(spaces);
            }
            _ => read(storage, &mut store, &since[since.len() - 1], &mut random, &at),
        }
    }
}

/// Reads something both ways.
fn read<S: Storage>(
    storage: &mut S,
    store: &mut S::Store,
    spaces: &Spaces,
    random: &mut Xoshiro256PlusPlus,
    at: &str,
) {
    let space = Space::ALL[random.random_range(0..Space::ALL.len())];
    let model = &spaces[space as usize];
    let key = key(random);
    let found = resident(storage, store, |store| store.get(space, &key));
    assert_eq!(found.as_ref(), model.get(&key), "{at}: the row {key:?} in {space:?}");
    let range = range(random);
    let rows_max = random.random_range(0..6);
    for direction in [Direction::Forward, Direction::Backward] {
        let found =
            resident(storage, store, |store| store.scan(space, &range, direction, rows_max));
        let inside = model.iter().filter(|(key, _)| range.contains(key));
        let mut inside: Vec<Row> = inside.map(|(key, row)| (key.clone(), row.clone())).collect();
        if direction == Direction::Backward {
            inside.reverse();
        }
        inside.truncate(rows_max);
        assert_eq!(found, inside, "{at}: {rows_max} rows of {range:?} in {space:?}, {direction:?}");
    }
    // Only an estimate, but one that is always there.
    let _about = store.bytes_about(space, &range);
    assert!(store.free_permille() <= 1_000, "{at}: more of the disk is free than there is");
}

fn all<S: Storage>(storage: &mut S, store: &mut S::Store, space: Space) -> BTreeMap<Bytes, Bytes> {
    let range = KeyRange { from: Bytes::new(), to: None };
    let scan = |store: &S::Store| store.scan(space, &range, Direction::Forward, usize::MAX);
    resident(storage, store, scan).into_iter().collect()
}

/// Reads, fetching what is not in memory as often as it takes.
fn resident<S: Storage, T>(
    storage: &mut S,
    store: &mut S::Store,
    read: impl Fn(&S::Store) -> Result<T, NotResident>,
) -> T {
    loop {
        match read(store) {
            Ok(found) => return found,
            Err(missing) => storage.fetch(store, &missing),
        }
    }
}

fn batch(random: &mut Xoshiro256PlusPlus) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..random.random_range(0..8) {
        let space = Space::ALL[random.random_range(0..Space::ALL.len())];
        match random.random_range(0..6) {
            0 => batch.delete(space, key(random)),
            1 => batch.delete_range(space, range(random)),
            _ => batch.put(space, key(random), vec![random.random(); random.random_range(0..3)]),
        }
    }
    batch
}

/// Keys are few, so that they meet, and of bytes at which orders and bounds go wrong.
fn key(random: &mut Xoshiro256PlusPlus) -> Bytes {
    let length = random.random_range(1..4);
    (0..length).map(|_| [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)]).collect()
}

fn range(random: &mut Xoshiro256PlusPlus) -> KeyRange {
    match random.random_range(0..4) {
        0 => KeyRange::prefix(key(random)),
        1 => KeyRange { from: key(random), to: None },
        2 => KeyRange { from: Bytes::new(), to: Some(key(random)) },
        // The end may come before the start: nothing is inside then.
        _ => KeyRange { from: key(random), to: Some(key(random)) },
    }
}

fn apply(spaces: &mut Spaces, change: &Change) {
    match change {
        Change::Put(space, key, row) => {
            spaces[*space as usize].insert(key.clone(), row.clone());
        }
        Change::Delete(space, key) => {
            spaces[*space as usize].remove(key);
        }
        Change::DeleteRange(space, range) => {
            spaces[*space as usize].retain(|key, _| !range.contains(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{MemoryStore, StoreError};

    /// The storage in memory, kept over crashes.
    struct Memory {
        kept: MemoryStore,
        random: Xoshiro256PlusPlus,
    }

    impl Storage for Memory {
        type Store = MemoryStore;

        fn open(&mut self) -> MemoryStore {
            self.kept.clone()
        }

        fn crash(&mut self, store: MemoryStore) {
            let kept = self.random.random_range(0..=store.unsynced());
            self.kept = store.crash(kept);
        }

        fn fetch(&mut self, _store: &mut MemoryStore, missing: &NotResident) {
            panic!("{missing} of a storage in memory");
        }
    }

    #[test]
    fn the_storage_in_memory_keeps_the_contract() {
        for seed in 0..200 {
            let random = Xoshiro256PlusPlus::seed_from_u64(seed);
            check(&mut Memory { kept: MemoryStore::new(), random }, seed, 300);
        }
    }

    /// A storage with one fault.
    struct Faulty {
        kept: MemoryStore,
        fault: Fault,
    }

    #[derive(Clone, Copy, Debug)]
    enum Fault {
        ForgetsSynced,
        TearsBatches,
        IgnoresLimits,
        LeavesEndOfRange,
    }

    #[derive(Clone)]
    struct FaultyStore(MemoryStore, Fault);

    impl Rows for FaultyStore {
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
            let limit = if matches!(self.1, Fault::IgnoresLimits) { usize::MAX } else { rows_max };
            self.0.scan(space, range, direction, limit)
        }

        fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
            self.0.bytes_about(space, range)
        }

        fn free_permille(&self) -> u16 {
            self.0.free_permille()
        }
    }

    impl Store for FaultyStore {
        fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
            let mut torn = Batch::new();
            for change in batch.changes() {
                match (change, self.1) {
                    (Change::DeleteRange(space, range), Fault::LeavesEndOfRange) => {
                        let last = self.0.scan(*space, range, Direction::Backward, 1);
                        let last = last.ok().and_then(|rows| rows.into_iter().next());
                        let to = last.map(|(key, _)| key).or_else(|| range.to.clone());
                        torn.delete_range(*space, KeyRange { from: range.from.clone(), to });
                    }
                    (Change::Put(space, key, row), _) => {
                        torn.put(*space, key.clone(), row.clone());
                    }
                    (Change::Delete(space, key), _) => torn.delete(*space, key.clone()),
                    (Change::DeleteRange(space, range), _) => {
                        torn.delete_range(*space, range.clone());
                    }
                }
                // Each change is a batch of its own, of which a crash may keep some.
                if matches!(self.1, Fault::TearsBatches) {
                    self.0.commit(&torn)?;
                    torn.clear();
                }
            }
            self.0.commit(&torn)
        }

        fn sync(&mut self) -> Result<(), StoreError> {
            if matches!(self.1, Fault::ForgetsSynced) { Ok(()) } else { self.0.sync() }
        }
    }

    impl Storage for Faulty {
        type Store = FaultyStore;

        fn open(&mut self) -> FaultyStore {
            FaultyStore(self.kept.clone(), self.fault)
        }

        fn crash(&mut self, store: FaultyStore) {
            let kept = store.0.unsynced() / 2;
            self.kept = store.0.crash(kept);
        }

        fn fetch(&mut self, _store: &mut FaultyStore, missing: &NotResident) {
            panic!("{missing} of a storage in memory");
        }
    }

    #[test]
    fn storages_with_a_fault_are_caught() {
        for fault in [
            Fault::ForgetsSynced,
            Fault::TearsBatches,
            Fault::IgnoresLimits,
            Fault::LeavesEndOfRange,
        ] {
            let caught = (0..100).any(|seed| {
                let test = || check(&mut Faulty { kept: MemoryStore::new(), fault }, seed, 300);
                std::panic::catch_unwind(test).is_err()
            });
            assert!(caught, "{fault:?}");
        }
    }
}
