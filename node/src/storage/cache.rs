//! Rows of a lane that it has read or written of late, found without the database.
//!
//! A lane is the only writer of its rows, so what it read or committed last is what is there. A look-up costs a tenth of
//! one in RocksDB's memory tables. Rows are kept in two generations: what is used moves to the young one, and when that
//! has its bytes, the old one is dropped and the young one is old.

use std::mem;

use bytes::Bytes;
use coterie_protocol::rows::Space;
use hashbrown::HashMap;

/// Larger rows are left to the database.
const ROW_BYTES_MAX: usize = 4 << 10;

/// What a row takes beside its key and value, about.
const OVERHEAD_BYTES: usize = 112;

/// A row, or that there is none.
type Known = Option<Bytes>;

/// The rows of two spaces: those of keys, and derived ones.
#[derive(Debug)]
pub(super) struct RowCache {
    rows: Generations,
    derived: Generations,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Bytes, Known>,
    old: HashMap<Bytes, Known>,
    young_bytes: usize,
    /// When the young one is old.
    young_bytes_max: usize,
}

impl RowCache {
    /// Nothing is known yet; at most so many bytes ever are.
    pub(super) fn new(bytes_max: usize) -> Self {
        // Of each there are two generations; few derived rows are looked up.
        let generations = |part| Generations { young_bytes_max: part, ..Generations::default() };
        RowCache { rows: generations(bytes_max / 16 * 7), derived: generations(bytes_max / 16) }
    }

    /// What is known of a row; `None` where nothing is.
    pub(super) fn get(&mut self, space: Space, key: &[u8]) -> Option<Known> {
        self.of(space)?.get(key)
    }

    /// A row was read.
    pub(super) fn put(&mut self, space: Space, key: &[u8], row: Known) {
        let Some(of) = self.of(space) else { return };
        if is_kept(&row) {
            of.put(Bytes::copy_from_slice(key), row);
        } else {
            of.forget(key);
        }
    }

    /// A row was committed. Most derived rows are never looked up, but for those that were before.
    pub(super) fn committed(&mut self, space: Space, key: Bytes, row: Known) {
        let Some(of) = self.of(space) else { return };
        if !is_kept(&row) {
            of.forget(&key);
        } else if space == Space::Rows || of.knows(&key) {
            of.put(key, row);
        }
    }

    /// Rows of a space may have changed in some other way.
    pub(super) fn clear(&mut self, space: Space) {
        if let Some(of) = self.of(space) {
            *of = Generations { young_bytes_max: of.young_bytes_max, ..Generations::default() };
        }
    }

    fn of(&mut self, space: Space) -> Option<&mut Generations> {
        match space {
            Space::Rows => Some(&mut self.rows),
            Space::Derived => Some(&mut self.derived),
            Space::Hints | Space::Control | Space::Leaves => None,
        }
    }
}

fn is_kept(row: &Known) -> bool {
    row.as_ref().is_none_or(|row| row.len() <= ROW_BYTES_MAX)
}

impl Generations {
    fn knows(&self, key: &[u8]) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

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
        if self.young_bytes > self.young_bytes_max {
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

    const BYTES_MAX: usize = 16 << 20;

    fn row(text: &str) -> Known {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn the_last_that_was_said_of_a_row_is_known() {
        let mut cache = RowCache::new(BYTES_MAX);
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
    fn a_derived_row_is_known_from_when_it_was_looked_up() {
        let mut cache = RowCache::new(BYTES_MAX);
        cache.committed(Space::Derived, Bytes::from_static(b"a"), row("1"));
        assert_eq!(cache.get(Space::Derived, b"a"), None);
        cache.put(Space::Derived, b"a", None);
        cache.committed(Space::Derived, Bytes::from_static(b"a"), row("2"));
        assert_eq!(cache.get(Space::Derived, b"a"), Some(row("2")));
        cache.committed(Space::Rows, Bytes::from_static(b"a"), row("3"));
        assert_eq!(cache.get(Space::Rows, b"a"), Some(row("3")));
        cache.committed(Space::Derived, Bytes::from_static(b"a"), None);
        assert_eq!(cache.get(Space::Derived, b"a"), Some(None));
    }

    #[test]
    fn a_large_row_takes_the_place_of_what_was_known_of_it() {
        let mut cache = RowCache::new(BYTES_MAX);
        cache.put(Space::Rows, b"a", row("1"));
        cache.put(Space::Rows, b"a", Some(Bytes::from(vec![0; ROW_BYTES_MAX + 1])));
        assert_eq!(cache.get(Space::Rows, b"a"), None);
        assert_eq!(cache.rows.young_bytes, 0);
    }

    #[test]
    fn bytes_are_bounded_and_what_is_used_stays() {
        let mut cache = RowCache::new(BYTES_MAX);
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
