//! Rows that are not in memory: by chance, until they have been fetched for the event that needs them.

use std::cell::RefCell;

use bytes::Bytes;
use coterie_protocol::driver::Storage;
use coterie_protocol::rows::{
    Batch, Direction, KeyRange, NotResident, Row, Rows, Space, StoreError,
};

use crate::disk::Disk;
use crate::random::Random;

/// What one event has had fetched.
#[derive(Clone, Debug, Default)]
pub struct Warm {
    fetched: Vec<NotResident>,
}

impl Warm {
    /// Fetches may go on for ever only if reading is not repeatable, which would be a bug.
    const FETCHES_MAX: usize = 64;

    /// Adds rows that have been fetched.
    pub fn fetched(&mut self, rows: NotResident) {
        self.fetched.push(rows);
    }

    fn holds(&self, wanted: &NotResident) -> bool {
        self.fetched.len() >= Self::FETCHES_MAX || self.fetched.contains(wanted)
    }
}

/// A disk of which some rows have to be fetched before they can be read.
#[derive(Debug)]
pub struct Cold<'d> {
    disk: &'d Disk,
    warm: &'d Warm,
    missing: RefCell<(&'d mut Random, u32)>,
}

impl<'d> Cold<'d> {
    /// The disk as an event sees it that had `warm` fetched; `permille` of other reads miss.
    pub fn new(disk: &'d Disk, warm: &'d Warm, random: &'d mut Random, permille: u32) -> Self {
        Cold { disk, warm, missing: RefCell::new((random, permille)) }
    }

    fn fetch(&self, wanted: impl FnOnce() -> NotResident) -> Result<(), NotResident> {
        let missing = &mut *self.missing.borrow_mut();
        let (random, permille) = (&mut *missing.0, missing.1);
        if !random.chance(permille) {
            return Ok(());
        }
        let wanted = wanted();
        if self.warm.holds(&wanted) { Ok(()) } else { Err(wanted) }
    }
}

impl Rows for Cold<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        self.fetch(|| NotResident {
            space,
            range: KeyRange::prefix(Bytes::copy_from_slice(key)),
            direction: Direction::Forward,
            rows_max: 1,
        })?;
        self.disk.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        self.fetch(|| NotResident { space, range: range.clone(), direction, rows_max })?;
        self.disk.scan(space, range, direction, rows_max)
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.disk.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.disk.free_permille()
    }
}

/// A disk as drivers use it, of which chance says what is not in memory.
#[derive(Debug)]
pub struct Chancy<'d> {
    disk: &'d mut Disk,
    random: &'d mut Random,
    permille: u32,
}

impl<'d> Chancy<'d> {
    /// The disk; `permille` of what is read of it has to be fetched.
    pub fn new(disk: &'d mut Disk, random: &'d mut Random, permille: u32) -> Self {
        Chancy { disk, random, permille }
    }
}

impl Storage for Chancy<'_> {
    type Fetched = Warm;
    type Rows<'a>
        = Cold<'a>
    where
        Self: 'a;

    fn rows<'a>(&'a mut self, fetched: &'a Warm) -> Cold<'a> {
        Cold::new(self.disk, fetched, self.random, self.permille)
    }

    fn gather(&mut self, batch: &mut Batch) {
        self.disk.gather(batch);
        batch.clear();
    }

    fn commit(&mut self) -> Result<u64, StoreError> {
        self.disk.commit_gathered()
    }

    fn is_synced(&self, number: u64) -> bool {
        self.disk.is_synced(number)
    }
}
