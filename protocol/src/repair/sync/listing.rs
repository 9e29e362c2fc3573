//! Lists what this node has between two hashes, in chunks.

use bytes::Bytes;
use coterie_crdt::digest::key_digest;
use coterie_crdt::encoding::decode_root;
use coterie_wire::{Key, Slice};

use super::halving::{Entry, HashRange};
use crate::digests::share_of;
use crate::rows::address::{self, KeyRow};
use crate::rows::{Direction, KeyRange, NotResident, Rows, Space};
use crate::strong;

/// The most that one session holds in memory: past it, fewer hashes are compared at a time.
pub(super) const ENTRIES_MAX: usize = 65_536;

/// Rows read for one event.
const ROWS_MAX: usize = 768;

/// Rows read at once: few where keys have many cells, which are skipped.
const PAGE_MAX: usize = 256;

/// Empty ranges looked at for one event.
const SCANS_MAX: usize = 128;

/// The keys of a slice in some ranges of hashes, being listed.
#[derive(Debug)]
pub(super) struct KeyLister {
    slice: Slice,
    buckets: Vec<Bytes>,
    /// Ranges to be listed, in order, none next to another.
    ranges: Vec<HashRange>,
    place: Place,
    /// The last hash that will have been listed.
    to: u64,
    entries: Vec<Entry>,
    /// Whether a key was left out: a delete of it is being swept, or it is damaged.
    pub(super) incomplete: bool,
    /// Whether one was left out because it is damaged.
    pub(super) damaged: bool,
}

#[derive(Clone, Debug)]
struct Place {
    range: usize,
    bucket: usize,
    /// The row to go on from within the bucket and range.
    from: Option<Bytes>,
    page: usize,
}

/// What one event has listed.
#[derive(Debug)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    place: Place,
    incomplete: bool,
    damaged: bool,
}

impl KeyLister {
    /// To list the keys of `buckets` whose hashes lie in `ranges`.
    pub(super) fn new(
        slice: Slice,
        buckets: Vec<Bytes>,
        ranges: impl IntoIterator<Item = HashRange>,
        to: u64,
    ) -> Self {
        let mut joined: Vec<HashRange> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if last.to.checked_add(1) == Some(range.from) => last.to = range.to,
                _ => joined.push(range),
            }
        }
        let place = Place { range: 0, bucket: 0, from: None, page: 8 };
        KeyLister {
            slice,
            buckets,
            ranges: joined,
            place,
            to,
            entries: Vec::new(),
            incomplete: false,
            damaged: false,
        }
    }

    /// Whether all is listed.
    pub(super) fn is_done(&self) -> bool {
        self.is_past_end(&self.place)
    }

    fn is_past_end(&self, place: &Place) -> bool {
        self.ranges.get(place.range).is_none_or(|range| range.from > self.to)
            || self.buckets.is_empty()
    }

    /// What was listed, and up to which hash.
    pub(super) fn finish(self) -> (Vec<Entry>, u64) {
        (self.entries, self.to)
    }

    /// Reads the next rows.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Listed, NotResident> {
        let (entries, place) = (Vec::new(), self.place.clone());
        let mut listed = Listed { entries, place, incomplete: false, damaged: false };
        let (mut rows_left, mut scans_left) = (ROWS_MAX, SCANS_MAX);
        while rows_left > 0 && scans_left > 0 && !self.is_past_end(&listed.place) {
            scans_left -= 1;
            let range = self.ranges[listed.place.range];
            let bucket = &self.buckets[listed.place.bucket];
            let hashes = (range.from, range.to.min(self.to));
            let mut range = address::hash_range(self.slice.partition, bucket, hashes.0, hashes.1);
            if let Some(from) = &listed.place.from {
                range.from = from.clone();
            }
            let page = listed.place.page.min(rows_left);
            // Where the cells of a range's last key are skipped, nothing is left of it.
            let found = if range.is_empty() {
                Vec::new()
            } else {
                rows.scan(Space::Rows, &range, Direction::Forward, page)?
            };
            rows_left -= found.len();
            let whole = found.len() == page;
            listed.take(found, page);
            if !whole {
                listed.place.from = None;
                listed.place.bucket += 1;
                if listed.place.bucket == self.buckets.len() {
                    (listed.place.bucket, listed.place.range) = (0, listed.place.range + 1);
                }
            }
        }
        Ok(listed)
    }

    /// Takes in what was read. Where that is too much to hold, what has the greatest hashes is left for later.
    pub(super) fn take(&mut self, listed: Listed) {
        self.place = listed.place;
        self.incomplete |= listed.incomplete;
        self.damaged |= listed.damaged;
        self.entries.extend(listed.entries);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.sort_unstable_by_key(|entry| entry.hash);
            self.to = self.entries[ENTRIES_MAX - 1].hash;
            self.entries.retain(|entry| entry.hash <= self.to);
        }
    }
}

impl Listed {
    /// Takes in a page of rows: roots are listed, cells are skipped.
    fn take(&mut self, found: Vec<(Bytes, Bytes)>, page: usize) {
        let mut roots = 0;
        let mut last: Option<Bytes> = None;
        for (row, value) in &found {
            match address::parse(row) {
                Some((_, key, KeyRow::Root)) => {
                    roots += 1;
                    let prefix = row.slice(..row.len() - 1);
                    self.list(&key, prefix.clone(), value);
                    last = Some(prefix);
                }
                Some((_, _, KeyRow::Cell(address))) => {
                    last = Some(row.slice(..row.len() - 1 - address.path.len()));
                }
                None => (self.incomplete, self.damaged) = (true, true),
            }
        }
        // The cells of the last key are skipped: the next page begins after them.
        self.place.from = match last {
            Some(prefix) => KeyRange::prefix(prefix).to,
            None => found.last().and_then(|(row, _)| KeyRange::prefix(row.clone()).to),
        };
        self.place.page =
            if roots == found.len() { (page * 2).min(PAGE_MAX) } else { roots.clamp(1, PAGE_MAX) };
    }

    fn list(&mut self, key: &Key, at: Bytes, row: &Bytes) {
        let digest = if strong::is_register(row) {
            strong::decode(Some(row)).ok().map(|acceptor| Some(strong::digest(&acceptor)))
        } else {
            let root = decode_root(row).ok();
            root.map(|root| (!root.is_counting()).then(|| key_digest(&root)))
        };
        match digest {
            // A promise alone is no difference.
            Some(Some(0)) => {}
            Some(Some(digest)) => {
                let digest = share_of(key, digest);
                self.entries.push(Entry { hash: key.hash().0, digest, at });
            }
            Some(None) => self.incomplete = true,
            None => (self.incomplete, self.damaged) = (true, true),
        }
    }
}
