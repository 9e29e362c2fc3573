//! A node's disk: ordered rows that survive what a disk survives, and no more.
//!
//! What is committed outlives the process, what is synced outlives the machine. A loss of power keeps a
//! prefix of the commits that were not synced: a torn last one is found by its checksum and dropped whole.

mod cold;
mod image;

use std::collections::VecDeque;

use bytes::Bytes;
use coterie_protocol::rows::{
    Batch, Change, Direction, KeyRange, NotResident, Row, Rows, Space, Store, StoreError,
};

use crate::random::Random;
pub use cold::{Chancy, Cold, Warm};
pub use image::Image;

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    image: Image,
    /// What undoes each commit that is not synced, oldest first.
    unsynced: VecDeque<Undo>,
    /// What undoes the batches that are gathered for the next commit.
    gathered: Undo,
    /// The number of the last commit.
    committed: u64,
    /// The last commit that it says is synced.
    synced: u64,
    /// Whether it says that it has synced, and has not.
    lying: bool,
    has_lied: bool,
    /// With what its next commit or sync fails.
    failing: Option<StoreError>,
    free_permille: u16,
}

#[derive(Clone, Debug, Default)]
struct Undo {
    number: u64,
    rows: Vec<(Space, Bytes, Option<Bytes>)>,
}

impl Default for Disk {
    fn default() -> Self {
        Disk {
            image: Image::default(),
            unsynced: VecDeque::new(),
            gathered: Undo::default(),
            committed: 0,
            synced: 0,
            lying: false,
            has_lied: false,
            failing: None,
            free_permille: 900,
        }
    }
}

impl Disk {
    /// All rows, those of the commit that is gathered among them.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Adds a batch to the commit that is gathered.
    pub fn gather(&mut self, batch: &Batch) {
        for change in batch.changes() {
            match change {
                Change::Put(space, key, value) => {
                    let before = self.image.put(*space, key.clone(), value.clone());
                    self.gathered.rows.push((*space, key.clone(), before));
                }
                Change::Delete(space, key) => {
                    if let Some(before) = self.image.delete(*space, key) {
                        self.gathered.rows.push((*space, key.clone(), Some(before)));
                    }
                }
                Change::DeleteRange(space, range) => {
                    for (key, before) in self.image.delete_range(*space, range) {
                        self.gathered.rows.push((*space, key, Some(before)));
                    }
                }
            }
        }
    }

    /// Hands what was gathered to the operating system; the number of this commit.
    ///
    /// # Errors
    /// If the disk is failing; what was gathered is not there then.
    pub fn commit_gathered(&mut self) -> Result<u64, StoreError> {
        if let Some(error) = self.failing {
            self.drop_gathered();
            return Err(error);
        }
        if !self.gathered.rows.is_empty() {
            self.committed += 1;
            let mut undo = std::mem::take(&mut self.gathered);
            undo.number = self.committed;
            self.unsynced.push_back(undo);
        }
        Ok(self.committed)
    }

    /// The number of the last commit: what a sync that begins now will cover.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether a sync has covered the commits up to `number`.
    #[must_use]
    pub fn is_synced(&self, number: u64) -> bool {
        self.synced >= number
    }

    /// A sync that covers the commits up to `number` is over.
    ///
    /// # Errors
    /// If the disk is failing; then nothing is known of those commits.
    pub fn synced(&mut self, number: u64) -> Result<(), StoreError> {
        if let Some(error) = self.failing {
            return Err(error);
        }
        self.synced = self.synced.max(number);
        while !self.lying && self.unsynced.front().is_some_and(|undo| undo.number <= number) {
            self.unsynced.pop_front();
        }
        Ok(())
    }

    /// The process ends; what it had committed stays.
    pub fn kill(&mut self) {
        self.drop_gathered();
    }

    /// The machine ends: of the commits that were not synced, some of the oldest stay. How many are gone.
    pub fn lose_power(&mut self, random: &mut Random) -> usize {
        self.drop_gathered();
        let kept = random.index(self.unsynced.len() + 1);
        let lost = self.unsynced.split_off(kept);
        for undo in lost.iter().rev() {
            self.undo(undo);
        }
        self.unsynced.clear();
        self.synced = self.committed;
        lost.len()
    }

    /// All rows as they are now, for a backup.
    #[must_use]
    pub fn backup(&self) -> Image {
        self.image.clone()
    }

    /// What is here is replaced by an earlier state, or by nothing.
    pub fn restore(&mut self, image: Image) {
        self.has_lied = true;
        self.image = image;
        self.unsynced.clear();
        self.synced = self.committed;
        self.gathered = Undo::default();
    }

    /// Another disk takes its place, with nothing on it.
    pub fn empty(&mut self) {
        *self = Disk { has_lied: true, ..Disk::default() };
    }

    /// From now on it says that it has synced and does not, or does again.
    pub fn lie(&mut self, lying: bool) {
        self.lying = lying;
        self.has_lied |= lying;
    }

    /// Whether it says that it has synced and does not.
    #[must_use]
    pub fn is_lying(&self) -> bool {
        self.lying
    }

    /// Whether it ever lost what it had said is synced, or may have.
    #[must_use]
    pub fn has_lied(&self) -> bool {
        self.has_lied
    }

    /// From now on commits and syncs fail like this, or succeed again.
    pub fn fail(&mut self, failing: Option<StoreError>) {
        self.failing = failing;
    }

    /// How much room is left, in parts of 1,000.
    pub fn fill(&mut self, free_permille: u16) {
        self.free_permille = free_permille;
    }

    /// A bit of one row of a key turns over, which the storage's checksum finds. Which row, if there is any.
    pub fn rot(&mut self, random: &mut Random) -> Option<Bytes> {
        self.has_lied = true;
        self.image.rot(Space::Rows, random)
    }

    /// A row as it would be read after a loss of power now.
    #[must_use]
    pub fn durable(&self, space: Space, key: &[u8]) -> Option<Bytes> {
        let mut undone = self.unsynced.iter().chain([&self.gathered]).flat_map(|undo| &undo.rows);
        let first = undone.find(|(of, row, _)| *of == space && row[..] == *key);
        match first {
            Some((_, _, before)) => before.clone(),
            None => self.image.get(space, key).cloned(),
        }
    }

    fn drop_gathered(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        self.undo(&gathered);
    }

    fn undo(&mut self, undo: &Undo) {
        for (space, key, before) in undo.rows.iter().rev() {
            match before {
                Some(value) => {
                    self.image.put(*space, key.clone(), value.clone());
                }
                None => {
                    self.image.delete(*space, key);
                }
            }
        }
    }
}

impl Rows for Disk {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        Ok(self.image.get(space, key).cloned())
    }

    fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        Ok(self.image.scan(space, range, direction, rows_max))
    }

    fn bytes_about(&self, space: Space, range: &KeyRange) -> u64 {
        self.image.bytes_about(space, range)
    }

    fn free_permille(&self) -> u16 {
        self.free_permille
    }
}

impl Store for Disk {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.gather(batch);
        self.commit_gathered().map(|_number| ())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.synced(self.committed)
    }
}
