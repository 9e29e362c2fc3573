//! Rows of a lane that it has read or written of late, found without the database.
//!
//! A lane is the only writer of its rows, so what it read or committed last is what is there. A look-up costs a tenth of
//! one in RocksDB's memory tables. Rows are kept in two generations: what is used moves to the young one, and when that
//! has its bytes, the old one is dropped and the young one is old.

use std::mem;

use bytes::Bytes;
use coterie_protocol::rows::Space;
use hashbrown::HashMap;

/// Bytes of both generations of a lane.
const BYTES_MAX: usize = 16 << 20;

/// Larger rows are left to the database.
const ROW_BYTES_MAX: usize = 4 << 10;

/// What a row takes beside its key and value, about.
const OVERHEAD_BYTES: usize = 112;

/// A row, or that there is none.
type Known = Option<Bytes>;

/// The rows of two spaces: those of keys, and derived ones.
#[derive(Debug, Default)]
pub(super) struct RowCache {
    rows: Generations,
    derived: Generations,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Bytes, Known>,
    old: HashMap<Bytes, Known>,
    young_bytes: usize,
}

impl RowCache {
    /// What is known of a row; `None` where nothing is.
    pub(super) fn get(&mut self, space: Space, key: &[u8]) -> Option<Known> {
        self.of(space)?.get(key)
    }

    /// A row was read, or committed.
    pub(super) fn put(&mut self, space: Space, key: &[u8], row: Known) {
        let Some(of) = self.of(space) else { return };
        if row.as_ref().is_some_and(|row| row.len() > ROW_BYTES_MAX) {
            of.forget(key);
        } else {
            of.put(Bytes::copy_from_slice(key), row);
        }
    }

    /// Rows of a space may have changed in some other way.
    pub(super) fn clear(&mut self, space: Space) {
        if let Some(of) = self.of(space) {
            *of = Generations::default();
        }
    }

    fn of(&mut self, space: Space) -> Option<&mut Generations> {
        match space {
            Space::Rows => Some(&mut self.rows),
            Space::Derived => Some(&mut self.derived),
            Space::Hints | Space::Control => None,
        }
    }
}

impl Generations {
    fn get(&mut self, key: &[u8]) -> Option<Known> {
        if let Some(row) = self.young.get(key) {
            return Some(row.clone());
        }
        let (key, row) = self.old.remove_entry(key)?;
        self.put(key, row.clone());
        Some(row)
    }

    fn put(&mut self, key: Bytes, row: Known) {
        self.old.remove(&key);
        let bytes = |row: &Known| row.as_ref().map_or(0, Bytes::len);
        let (key_bytes, row_bytes) = (key.len() + OVERHEAD_BYTES, bytes(&row));
        match self.young.insert(key, row) {
            Some(before) => self.young_bytes -= bytes(&before),
            None => self.young_bytes += key_bytes,
        }
        self.young_bytes += row_bytes;
        if self.young_bytes > BYTES_MAX / 4 {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    fn forget(&mut self, key: &[u8]) {
        self.old.remove(key);
        if let Some((key, row)) = self.young.remove_entry(key) {
            let row_bytes = row.map_or(0, |row| row.len());
            self.young_bytes -= key.len() + OVERHEAD_BYTES + row_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Known {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_last_that_was_said_of_a_row_is_known() {
        let mut cache = RowCache::default();
        assert_eq!(cache.get(Space::Rows, b"a"), None);
        cache.put(Space::Rows, b"a", row("1"));
        cache.put(Space::Rows, b"a", row("22"));
        assert_eq!(cache.get(Space::Rows, b"a"), Some(row("22")));
        assert_eq!(cache.get(Space::Derived, b"a"), None, "spaces are apart");
        cache.put(Space::Rows, b"a", None);
        assert_eq!(cache.get(Space::Rows, b"a"), Some(None));
        cache.clear(Space::Rows);
        assert_eq!(cache.get(Space::Rows, b"a"), None);
        cache.put(Space::Control, b"a", row("1"));
        assert_eq!(cache.get(Space::Control, b"a"), None, "others write there too");
    }

    #[test]
    fn a_large_row_takes_the_place_of_what_was_known_of_it() {
        let mut cache = RowCache::default();
        cache.put(Space::Rows, b"a", row("1"));
        cache.put(Space::Rows, b"a", Some(Bytes::from(vec![0; ROW_BYTES_MAX + 1])));
        assert_eq!(cache.get(Space::Rows, b"a"), None);
        assert_eq!(cache.rows.young_bytes, 0);
    }

    #[test]
    fn bytes_are_bounded_and_what_is_used_stays() {
        let mut cache = RowCache::default();
        let value = Bytes::from(vec![7; 1_000]);
        for number in 0..100_000_u32 {
            cache.put(Space::Rows, &number.to_be_bytes(), Some(value.clone()));
            assert_eq!(cache.get(Space::Rows, &0_u32.to_be_bytes()), Some(Some(value.clone())));
        }
        let held = cache.rows.young.len() + cache.rows.old.len();
        assert!(held * 1_000 <= BYTES_MAX, "{held} rows are held");
        assert_eq!(cache.get(Space::Rows, &1_u32.to_be_bytes()), None);
    }
}
