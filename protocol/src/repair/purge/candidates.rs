//! Keys with nothing live, found by looking through all rows, slowly.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::encoding::decode_root;
use coterie_ring::Partition;
use coterie_wire::peer::purge::PURGE_KEYS_MAX;
use coterie_wire::{Key, Slice};

use super::round::leads;
use crate::lane::Shared;
use crate::rows::address::{self, KeyPrefix, KeyRow};
use crate::rows::{Direction, KeyRange, NotResident, Row, Rows, Space};
use crate::strong::is_register;

/// The rows that one event looks through.
const ROWS_PER_EVENT: usize = 256;

/// The most keys remembered of one slice, and in all. The rest are found again.
const KEYS_PER_SLICE_MAX: usize = 4 * PURGE_KEYS_MAX;
const KEYS_MAX: usize = 16_384;

/// What may be proposed, and where the search is.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    keys: BTreeMap<Slice, BTreeSet<Key>>,
    count: usize,
    partition: Option<Partition>,
    /// Where in the partition the search goes on.
    from: Option<Bytes>,
}

impl Candidates {
    /// The slices that have any.
    pub(super) fn slices(&self) -> impl Iterator<Item = Slice> + '_ {
        self.keys.keys().copied()
    }

    /// The next keys of a slice to propose.
    pub(super) fn of(&self, slice: Slice) -> impl Iterator<Item = &Key> {
        self.keys.get(&slice).into_iter().flatten().take(PURGE_KEYS_MAX)
    }

    /// Takes out the next keys of a slice.
    pub(super) fn take_of(&mut self, slice: Slice) -> Vec<Key> {
        let next: Vec<Key> = self.of(slice).cloned().collect();
        if let Some(keys) = self.keys.get_mut(&slice) {
            next.iter().for_each(|key| {
                keys.remove(key);
            });
            self.count -= next.len();
            if keys.is_empty() {
                self.keys.remove(&slice);
            }
        }
        next
    }

    /// Remembers a key, if this node leads the purges of its slice.
    fn add(&mut self, shared: &Shared, key: Key) {
        let Some(slice) = shared.view.slice(&key).filter(|slice| leads(shared, *slice)) else {
            return;
        };
        let keys = self.keys.entry(slice).or_default();
        if self.count < KEYS_MAX && keys.len() < KEYS_PER_SLICE_MAX && keys.insert(key) {
            self.count += 1;
        }
        if self.keys.get(&slice).is_some_and(BTreeSet::is_empty) {
            self.keys.remove(&slice);
        }
    }

    /// Finds the next partition with a slice whose purges this node leads and that has any keys. False if there
    /// is none.
    pub(super) fn seek(&mut self, shared: &Shared) -> bool {
        let searched =
            |slice: &Slice| leads(shared, *slice) && shared.slices[slice].tree.root() != 0;
        if self.partition.is_some_and(|at| slices_of(shared, at).any(|slice| searched(&slice))) {
            return true;
        }
        self.from = None;
        let from = self.partition.map_or(0, |at| at.0.wrapping_add(1));
        let first = Slice { partition: Partition(from), replicas: 0 };
        let all = shared.slices.range(first..).chain(shared.slices.range(..first));
        self.partition = all.map(|(slice, _)| *slice).find(|s| searched(s)).map(|s| s.partition);
        self.partition.is_some()
    }

    /// The page of rows to look through next.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Vec<Row>, NotResident> {
        let Some(partition) = self.partition else { return Ok(Vec::new()) };
        let all = address::partition_range(partition);
        let range = KeyRange { from: self.from.clone().unwrap_or(all.from), to: all.to };
        rows.scan(Space::Rows, &range, Direction::Forward, ROWS_PER_EVENT)
    }

    /// Takes in that page. The cells of a key say nothing that its root does not: where a page ends within a key, the
    /// next one begins after it.
    pub(super) fn take(&mut self, shared: &Shared, page: &[Row]) {
        let Some(partition) = self.partition else { return };
        for (row, value) in page {
            if let Some((_, key, KeyRow::Root)) = address::parse(row)
                && !is_register(value)
                && decode_root(value).is_ok_and(|root| root.has_nothing_live())
            {
                self.add(shared, key);
            }
        }
        let last = page.last().filter(|_| page.len() == ROWS_PER_EVENT);
        let after = last.and_then(|(row, _)| match address::parse(row) {
            Some((_, key, _)) => KeyPrefix::new(partition, &key).rows().to,
            None => Some(address::after(row)),
        });
        self.from = after;
        if self.from.is_none() {
            self.partition = next(shared, partition);
        }
    }
}

/// The partition after this one of which the lane has slices; from the first again after the last.
fn next(shared: &Shared, partition: Partition) -> Option<Partition> {
    let after = Slice { partition: Partition(partition.0.wrapping_add(1)), replicas: 0 };
    let mut all = shared.slices.range(after..).chain(shared.slices.iter());
    all.next().map(|(slice, _)| slice.partition)
}

fn slices_of(shared: &Shared, partition: Partition) -> impl Iterator<Item = Slice> + '_ {
    let first = Slice { partition, replicas: 0 };
    let last = Slice { partition, replicas: u8::MAX };
    shared.slices.range(first..=last).map(|(slice, _)| *slice)
}
