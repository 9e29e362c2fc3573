//! Cursors of scans within a key: numbers for places that are names.

use bytes::Bytes;
use std::collections::BTreeMap;

/// Cursors that a lane remembers; past it the oldest is forgotten, and whoever comes back with that begins anew, so
/// that whatever stays in a key is still returned.
const CURSORS_MAX: usize = 4_096;

/// Places to go on from.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    places: BTreeMap<u64, (u64, Bytes)>,
    by_age: BTreeMap<u64, u64>,
    ever: u64,
}

impl Cursors {
    /// A cursor for the place after a name. `random` is never used again, and not 0 in effect.
    pub(crate) fn remember(&mut self, random: u64, after: &Bytes) -> u64 {
        // 0 begins and ends a scan; some clients take cursors to be signed.
        let cursor = (random >> 1).max(1);
        self.ever += 1;
        // A copy: what the name was cut from may be much larger.
        let after = Bytes::copy_from_slice(after);
        if let Some((age, _)) = self.places.insert(cursor, (self.ever, after)) {
            self.by_age.remove(&age);
        }
        self.by_age.insert(self.ever, cursor);
        if self.places.len() > CURSORS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.places.remove(&oldest);
        }
        cursor
    }

    /// Where a cursor goes on; from the beginning where it is not known.
    pub(crate) fn place(&self, cursor: u64) -> Option<Bytes> {
        Some(self.places.get(&cursor)?.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_cursors_are_remembered_and_an_unknown_one_begins_anew() {
        let mut cursors = Cursors::default();
        let first = cursors.remember(10, &Bytes::from("a"));
        assert_eq!(cursors.place(first), Some(Bytes::from("a")));
        assert_eq!(cursors.place(first), Some(Bytes::from("a")), "it may be used again");
        for n in 0..CURSORS_MAX {
            cursors.remember(1_000 + 2 * n as u64, &Bytes::from("b"));
        }
        assert_eq!(cursors.place(first), None);
        assert_eq!(cursors.places.len(), CURSORS_MAX);
        assert_eq!(cursors.by_age.len(), CURSORS_MAX);
        assert_eq!(cursors.remember(0, &Bytes::from("c")), 1);
    }
}
