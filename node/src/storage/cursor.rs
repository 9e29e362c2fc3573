//! Rows of a range of the database one after the other, past what is damaged.

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, Row, Space};
use rocksdb::{DBRawIterator, ReadOptions, ReadTier};

use super::database::{Database, Unread};

/// From where rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// From memory alone.
    Resident,
    /// From wherever they are.
    Disk,
}

/// Walks along a range of a space.
///
/// Where a block is damaged, the rows in it cannot be told. One row without a value stands for all of them, at the
/// end of the damage, so that who goes on after it does not come upon the same damage again.
pub(super) struct Cursor<'d> {
    database: &'d Database,
    space: Space,
    tier: Tier,
    direction: Direction,
    range: KeyRange,
    iterator: DBRawIterator<'d>,
    place: Place,
}

/// Where a cursor is.
enum Place {
    /// Before the first row.
    Start,
    /// At a row that was handed out.
    At,
    /// Before the rows beyond a damage.
    Beyond(Bytes),
    /// After the last.
    End,
}

impl<'d> Cursor<'d> {
    pub(super) fn new(
        database: &'d Database,
        space: Space,
        range: KeyRange,
        direction: Direction,
        tier: Tier,
    ) -> Self {
        let mut options = ReadOptions::default();
        if tier == Tier::Resident {
            options.set_read_tier(ReadTier::BlockCache);
        }
        if let Some(to) = &range.to {
            options.set_iterate_upper_bound(&to[..]);
        }
        if direction == Direction::Backward {
            options.set_iterate_lower_bound(&range.from[..]);
        }
        let iterator = database.db().raw_iterator_cf_opt(database.family(space), options);
        // An end before the start would not be taken well.
        let place = if range.is_empty() { Place::End } else { Place::Start };
        Cursor { database, space, tier, direction, range, iterator, place }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Unread> {
        let last = match (&self.place, self.direction) {
            (Place::End, _) => return Ok(None),
            (Place::Start, Direction::Forward) => {
                self.iterator.seek(&self.range.from);
                None
            }
            (Place::Start, Direction::Backward) => {
                self.iterator.seek_to_last();
                None
            }
            (Place::At, Direction::Forward) => {
                let last = self.damage_may_follow();
                self.iterator.next();
                last
            }
            (Place::At, Direction::Backward) => {
                let last = self.damage_may_follow();
                self.iterator.prev();
                last
            }
            (Place::Beyond(at), Direction::Forward) => {
                self.iterator.seek(at);
                Some(at.clone())
            }
            (Place::Beyond(at), Direction::Backward) => {
                self.iterator.seek_for_prev(at);
                Some(at.clone())
            }
        };
        if let (Some(key), Some(value)) = (self.iterator.key(), self.iterator.value()) {
            let row = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            self.place = Place::At;
            return Ok(Some(row));
        }
        match self.iterator.status() {
            Ok(()) => {
                self.place = Place::End;
                Ok(None)
            }
            Err(error) => match self.database.judge(self.space, &error) {
                // How far it goes only the disk can tell.
                Unread::Damaged if self.tier == Tier::Resident => Err(Unread::NotResident),
                Unread::Damaged => match self.damage(last) {
                    Some(row) => Ok(Some(row)),
                    // It is sound again right from here.
                    None => self.next(),
                },
                unread => Err(unread),
            },
        }
    }

    /// The row that is left, which tells where damage begins. Not worth a copy where rows come from memory.
    fn damage_may_follow(&self) -> Option<Bytes> {
        if self.tier == Tier::Resident {
            return None;
        }
        self.iterator.key().map(Bytes::copy_from_slice)
    }

    /// The row that stands for the damage after `last`; none where the damage has no room for any.
    fn damage(&mut self, last: Option<Bytes>) -> Option<Row> {
        let key = match self.direction {
            Direction::Forward => {
                let begins = match (last, &self.place) {
                    (Some(last), Place::At) => after(&last),
                    (Some(at), _) => at,
                    (None, _) => self.range.from.clone(),
                };
                self.damage_forward(begins)
            }
            Direction::Backward => {
                let begins = match (last, &self.place) {
                    (Some(last), Place::At) => Some(last),
                    (Some(at), _) => Some(after(&at)),
                    (None, _) => self.range.to.clone(),
                };
                self.damage_backward(begins)?
            }
        };
        Some((key, Bytes::new()))
    }

    /// `begins` is in the damage: a key at its end.
    fn damage_forward(&mut self, begins: Bytes) -> Bytes {
        let to = self.range.to.clone();
        let mut is_damaged = |key: &[u8]| {
            self.iterator.seek(key);
            !self.iterator.valid() && self.iterator.status().is_err()
        };
        // Ever farther, until what is found is sound again.
        let (mut damaged, mut sound) = (begins.clone(), None);
        for length in (0..=begins.len().min(STEPS_MAX)).rev() {
            let next = KeyRange::prefix(begins.slice(..length)).to;
            let Some(next) = next.filter(|next| to.as_ref().is_none_or(|to| next < to)) else {
                break;
            };
            if next > damaged {
                if !is_damaged(&next) {
                    sound = Some(next);
                    break;
                }
                damaged = next;
            }
        }
        // Nothing was sound within the range: either its very end is, or the damage goes on past it.
        let sound = sound.or_else(|| to.filter(|to| !is_damaged(&right_before(to))));
        let Some(sound) = sound else {
            self.place = Place::End;
            return begins;
        };
        let end = last_that(&damaged, &sound, is_damaged);
        self.place = Place::Beyond(after(&end));
        end
    }

    /// All keys right below `begins` are in the damage, or below the end of the space: a key at its other end.
    fn damage_backward(&mut self, begins: Option<Bytes>) -> Option<Bytes> {
        let from = self.range.from.clone();
        let mut is_sound = |key: &[u8]| {
            self.iterator.seek_for_prev(key);
            self.iterator.valid() || self.iterator.status().is_ok()
        };
        let begins = begins.unwrap_or_else(|| Bytes::from_static(&[0xff; STEPS_MAX]));
        let (mut damaged, mut sound) = (begins.clone(), None);
        for length in (0..begins.len().min(STEPS_MAX)).rev() {
            let before = begins.slice(..length);
            if before <= from {
                break;
            }
            if is_sound(&before) {
                sound = Some(before);
                break;
            }
            damaged = before;
        }
        let sound = sound.or_else(|| Some(from.clone()).filter(|from| is_sound(from)));
        let Some(sound) = sound else {
            self.place = Place::End;
            return Some(from);
        };
        let end = last_that(&sound, &damaged, is_sound);
        let stands = after(&end);
        self.place = Place::Beyond(end);
        // Seeking the row before a key looks where that key itself would be.
        (stands < begins).then_some(stands)
    }
}

/// A key below `to` so close to it that no block ends between.
fn right_before(to: &[u8]) -> Vec<u8> {
    let Some((last, before)) = to.split_last() else { return Vec::new() };
    let mut key = before.to_vec();
    if let Some(less) = last.checked_sub(1) {
        key.push(less);
        key.extend([0xff; 16]);
    }
    key
}

/// How much of a key is looked at where the end of a damage is sought: the marks between blocks are shorter.
const STEPS_MAX: usize = 512;

/// The first key after this one.
pub(super) fn after(key: &[u8]) -> Bytes {
    key.iter().copied().chain([0]).collect()
}

/// The last key for which something holds that holds for `first` and all up to some key, and neither for `beyond` nor
/// any between.
fn last_that(first: &[u8], beyond: &[u8], mut holds: impl FnMut(&[u8]) -> bool) -> Bytes {
    let mut holds = |key: &[u8]| key <= first || (key < beyond && holds(key));
    let same = first.iter().zip(beyond).take_while(|(one, other)| one == other).count();
    let mut last = first[..same].to_vec();
    while last.len() < STEPS_MAX {
        let mut next = |byte: u8| {
            last.push(byte);
            let next_holds = holds(&last);
            last.pop();
            next_holds
        };
        if !next(0) {
            break;
        }
        // The greatest byte that may follow.
        let (mut low, mut high) = (0u8, u8::MAX);
        while low < high {
            let middle = high - (high - low) / 2;
            if next(middle) { low = middle } else { high = middle - 1 }
        }
        last.push(low);
    }
    last.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop::sample::select(vec![0u8, 1, 0x80, 0xff]), 0..5)
    }

    proptest! {
        #[test]
        fn the_last_key_for_which_something_holds_is_found_exactly(
            mut keys in proptest::collection::vec(key(), 3),
        ) {
            keys.sort();
            let (first, last, beyond) = (&keys[0], &keys[1], &keys[2]);
            prop_assume!(last < beyond);
            let found = last_that(first, beyond, |key| key <= &last[..]);
            prop_assert_eq!(&found[..], &last[..]);
        }
    }
}
