//! A page in the making: what owners have shown, merged, and the keys that are still to be looked at.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::Shown;
use coterie_wire::{ListFrom, ListedKey};
use smallvec::SmallVec;

use super::chunk::{self, Chunk, Place, Seen};

/// One key of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: Bytes,
    /// `None` until it was read.
    pub(super) shown: Option<Shown>,
}

/// A page in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) items: Vec<Item>,
    /// What comes next is not on it; `None` for the end of the partition.
    pub(super) end: Option<ListFrom>,
}

/// What was shown of one key: by this node, and by each other owner.
#[derive(Default)]
struct Both<'c> {
    own: Option<&'c Seen>,
    others: SmallVec<[&'c Seen; 2]>,
}

impl Draft {
    /// What this node and others have, up to the first end of any: past it, one of them may have a key that it has not
    /// shown.
    ///
    /// A key of which all have the same is what this node's rows say. Where only remains are left, nothing is there.
    /// Of all others it takes more than roots to tell, and they are read one by one.
    pub(super) fn merge(own: &Chunk, others: &[&Chunk], keys_max: usize) -> Draft {
        let ends = others.iter().copied().chain([own]).filter_map(|chunk| chunk.end.as_ref());
        let mut end = ends.min_by_key(|end| order(end)).cloned();
        let inside =
            |seen: &&Seen| end.as_ref().is_none_or(|end| chunk::is_before(seen.place(), end));
        let mut all: BTreeMap<Place<'_>, Both<'_>> = BTreeMap::new();
        for seen in own.keys.iter().filter(inside) {
            all.entry(seen.place()).or_default().own = Some(seen);
        }
        for seen in others.iter().flat_map(|chunk| chunk.keys.iter().filter(inside)) {
            all.entry(seen.place()).or_default().others.push(seen);
        }
        let (mut items, mut last) = (Vec::new(), None);
        for (place, both) in all {
            if items.len() == keys_max {
                end = Some(chunk::stop(last, place.0));
                break;
            }
            last = Some(place);
            let shown = both.shown(others.len());
            if shown != Some(Shown::Nothing) {
                items.push(Item { name: Bytes::copy_from_slice(place.2), shown });
            }
        }
        Draft { items, end }
    }

    /// The keys that are there.
    pub(super) fn keys(self) -> Vec<ListedKey> {
        let key = |item: Item| {
            let shown = item.shown.filter(|shown| *shown != Shown::Nothing)?;
            Some(ListedKey { name: item.name, shown })
        };
        self.items.into_iter().filter_map(key).collect()
    }
}

impl Both<'_> {
    fn shown(&self, others: usize) -> Option<Shown> {
        if self.own.iter().chain(&self.others).all(|seen| seen.remains) {
            return Some(Shown::Nothing);
        }
        let own = self.own?;
        let digest = own.digest?;
        let same = |seen: &&Seen| seen.digest == Some(digest);
        let all = self.others.len() == others && self.others.iter().all(same);
        own.shown.filter(|_| all)
    }
}

fn order(end: &ListFrom) -> (u64, Option<(usize, &Bytes)>) {
    (end.hash, end.after.as_ref().map(|after| (after.len(), after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(hash: u64, name: &'static str, digest: u128) -> Seen {
        let (name, shown) = (Bytes::from(name), Some(Shown::Set));
        Seen { hash, name, digest: Some(digest), remains: false, shown }
    }

    fn names(draft: &Draft) -> Vec<(&[u8], Option<Shown>)> {
        draft.items.iter().map(|item| (&item.name[..], item.shown)).collect()
    }

    #[test]
    fn what_is_the_same_everywhere_is_known_and_all_else_is_to_be_read() {
        let own =
            Chunk { keys: vec![seen(1, "a", 1), seen(2, "b", 2), seen(3, "c", 3)], end: None };
        let remains = Seen { remains: true, ..seen(5, "e", 5) };
        let theirs = vec![seen(1, "a", 1), seen(2, "b", 9), seen(4, "d", 4), remains];
        let draft = Draft::merge(&own, &[&Chunk { keys: theirs, end: None }], 10);
        let set = Some(Shown::Set);
        let expected = [(&b"a"[..], set), (b"b", None), (b"c", None), (b"d", None)];
        assert_eq!(names(&draft), expected);
        assert_eq!(draft.end, None);
    }

    #[test]
    fn nothing_past_the_first_end_of_any_is_on_the_page() {
        let end = Some(ListFrom { hash: 2, after: Some("b".into()) });
        let own = Chunk { keys: vec![seen(1, "a", 1), seen(2, "b", 2)], end: end.clone() };
        let theirs = vec![seen(2, "b", 2), seen(2, "bb", 2), seen(3, "c", 3)];
        let draft = Draft::merge(&own, &[&Chunk { keys: theirs, end: None }], 10);
        let set = Some(Shown::Set);
        assert_eq!(names(&draft), [(&b"a"[..], None), (b"b", set)]);
        assert_eq!(draft.end, end);
    }

    #[test]
    fn a_page_that_is_full_ends_before_the_next_key_even_among_equal_hashes() {
        let keys = vec![seen(1, "a", 1), seen(2, "b", 2), seen(2, "c", 2), seen(3, "d", 2)];
        let own = Chunk { keys, end: None };
        let ends = |keys_max| Draft::merge(&own, &[], keys_max).end;
        assert_eq!(ends(1), Some(ListFrom { hash: 2, after: None }));
        assert_eq!(ends(2), Some(ListFrom { hash: 2, after: Some("b".into()) }));
        assert_eq!(ends(3), Some(ListFrom { hash: 3, after: None }));
        assert_eq!(ends(4), None);
    }
}
