//! Changes that lie over what the database has: gathered for the next commit, or made while something was fetched.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use coterie_protocol::rows::{Change, KeyRange, Space};

/// Changes by space, each key as it is after the last of them.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    spaces: [Changed; Space::ALL.len()],
    bytes: usize,
}

/// What has changed in one space: first the ranges were deleted, then the rows written or deleted.
#[derive(Debug, Default)]
struct Changed {
    rows: BTreeMap<Bytes, Option<Bytes>>,
    /// Deleted ranges by where they begin, none overlapping or next to another; `None` is the end of the space.
    ranges: BTreeMap<Bytes, Option<Bytes>>,
}

/// What an overlay says of one row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Says<'a> {
    /// Nothing: it is as it is below.
    Nothing,
    /// It is gone.
    Deleted,
    /// It has this value.
    Put(&'a Bytes),
}

impl Overlay {
    /// Whether it says nothing of any row.
    pub(super) fn is_empty(&self) -> bool {
        self.spaces.iter().all(Changed::is_empty)
    }

    /// Whether it says nothing of any row of a space.
    pub(super) fn is_silent(&self, space: Space) -> bool {
        self.spaces[space as usize].is_empty()
    }

    /// About how many bytes it holds on to.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in changes, in order.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            match change {
                Change::Put(space, key, row) => {
                    self.bytes += ENTRY_BYTES + key.len() + row.len();
                    self.spaces[space as usize].rows.insert(key, Some(row));
                }
                Change::Delete(space, key) => {
                    self.bytes += ENTRY_BYTES + key.len();
                    self.spaces[space as usize].rows.insert(key, None);
                }
                Change::DeleteRange(space, range) => {
                    self.bytes += ENTRY_BYTES + range.from.len();
                    self.spaces[space as usize].delete_range(range);
                }
            }
        }
    }

    /// Takes in what another says, which came after.
    pub(super) fn append(&mut self, later: Overlay) {
        self.bytes += later.bytes;
        for (mine, its) in self.spaces.iter_mut().zip(later.spaces) {
            for (from, to) in its.ranges {
                mine.delete_range(KeyRange { from, to });
            }
            mine.rows.extend(its.rows);
        }
    }

    /// What it says of a row.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Says<'_> {
        let changed = &self.spaces[space as usize];
        match changed.rows.get(key) {
            Some(Some(row)) => Says::Put(row),
            Some(None) => Says::Deleted,
            None if changed.is_deleted(key) => Says::Deleted,
            None => Says::Nothing,
        }
    }

    /// Whether it deletes a range with this key in it; rows written since are another matter.
    pub(super) fn is_deleted(&self, space: Space, key: &[u8]) -> bool {
        self.spaces[space as usize].is_deleted(key)
    }

    /// The rows of a range that it writes or, without a value, deletes one by one; in order.
    pub(super) fn rows(
        &self,
        space: Space,
        range: &KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Option<Bytes>)> {
        within(&self.spaces[space as usize].rows, range)
    }

    /// The ranges that it deletes before it writes any row, in order.
    pub(super) fn ranges(&self, space: Space) -> impl Iterator<Item = KeyRange> + '_ {
        let ranges = self.spaces[space as usize].ranges.iter();
        ranges.map(|(from, to)| KeyRange { from: from.clone(), to: to.clone() })
    }

    /// Takes out the rows that it writes or deletes one by one, in order.
    pub(super) fn take_rows(
        &mut self,
        space: Space,
    ) -> impl Iterator<Item = (Bytes, Option<Bytes>)> + use<> {
        std::mem::take(&mut self.spaces[space as usize].rows).into_iter()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        for changed in &mut self.spaces {
            changed.rows.clear();
            changed.ranges.clear();
        }
    }
}

/// About what an entry takes beside its bytes.
const ENTRY_BYTES: usize = 96;

impl Changed {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.ranges.is_empty()
    }

    fn is_deleted(&self, key: &[u8]) -> bool {
        let before = (Bound::Unbounded, Bound::Included(key));
        let last = self.ranges.range::<[u8], _>(before).next_back();
        last.is_some_and(|(_, to)| to.as_ref().is_none_or(|to| key < &to[..]))
    }

    fn delete_range(&mut self, mut range: KeyRange) {
        if range.is_empty() {
            return;
        }
        let gone: Vec<Bytes> = within(&self.rows, &range).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.rows.remove(&key);
        }
        // The range before may reach into this one, and this one over those after it.
        let upto = (Bound::Unbounded, Bound::Included(&range.from[..]));
        if let Some((from, to)) = self.ranges.range::<[u8], _>(upto).next_back()
            && to.as_ref().is_none_or(|to| *to >= range.from)
        {
            range = KeyRange { from: from.clone(), to: later(to.clone(), range.to) };
        }
        while let Some((from, _)) = self.ranges.range::<Bytes, _>(&range.from..).next()
            && range.to.as_ref().is_none_or(|to| from <= to)
        {
            let from = from.clone();
            let to = self.ranges.remove(&from).expect("just found");
            range.to = later(to, range.to);
        }
        self.ranges.insert(range.from, range.to);
    }
}

/// The later of two ends.
fn later(one: Option<Bytes>, other: Option<Bytes>) -> Option<Bytes> {
    Some(one?.max(other?))
}

fn within<'a, T>(
    rows: &'a BTreeMap<Bytes, T>,
    range: &KeyRange,
) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a T)> {
    // A map panics where an end is before a start.
    let bounds = (!range.is_empty()).then(|| {
        let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        rows.range::<[u8], _>((Bound::Included(&range.from[..]), to))
    });
    bounds.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(prop::sample::select(vec![0u8, 1, 0x7f, 0xff]), 0..3)
            .prop_map(Bytes::from)
    }

    fn change() -> impl Strategy<Value = Change> {
        let space = Space::Hints;
        prop_oneof![
            (key(), key()).prop_map(move |(key, row)| Change::Put(space, key, row)),
            key().prop_map(move |key| Change::Delete(space, key)),
            (key(), proptest::option::of(key()))
                .prop_map(move |(from, to)| Change::DeleteRange(space, KeyRange { from, to })),
        ]
    }

    fn all_keys() -> Vec<Bytes> {
        let bytes = [0u8, 1, 0x7f, 0xff];
        let mut keys = vec![Bytes::new()];
        for one in bytes {
            keys.push(vec![one].into());
            keys.extend(bytes.map(|two| Bytes::from(vec![one, two])));
        }
        keys
    }

    proptest! {
        #[test]
        fn what_it_says_is_what_the_last_change_made(
            changes in proptest::collection::vec(change(), 0..24),
            cut in 0usize..24,
        ) {
            let cut = cut.min(changes.len());
            let mut overlay = Overlay::default();
            overlay.apply(changes[..cut].iter().cloned());
            let mut later = Overlay::default();
            later.apply(changes[cut..].iter().cloned());
            overlay.append(later);
            for key in all_keys() {
                let mut expected = Says::Nothing;
                for change in &changes {
                    match change {
                        Change::Put(_, changed, row) if *changed == key => {
                            expected = Says::Put(row);
                        }
                        Change::Delete(_, changed) if *changed == key => expected = Says::Deleted,
                        Change::DeleteRange(_, range) if range.contains(&key) => {
                            expected = Says::Deleted;
                        }
                        Change::Put(..) | Change::Delete(..) | Change::DeleteRange(..) => {}
                    }
                }
                prop_assert_eq!(overlay.get(Space::Hints, &key), expected);
                prop_assert_eq!(overlay.get(Space::Rows, &key), Says::Nothing);
            }
            let ranges: Vec<KeyRange> = overlay.ranges(Space::Hints).collect();
            for pair in ranges.windows(2) {
                let to = pair[0].to.as_ref().expect("what has no end is the last");
                prop_assert!(*to < pair[1].from, "{:?} and {:?} are one", pair[0], pair[1]);
            }
        }
    }
}
