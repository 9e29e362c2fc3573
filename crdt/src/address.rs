//! Addresses: where in a key a cell is.

use bytes::Bytes;

use crate::digest::address_hash;
use crate::kind::{COUNTED_KINDS, Kind};

/// Where in a key a cell is: its kind, then a path of bytes. Ordered as its row key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// What the cell is part of.
    pub kind: Kind,
    /// Where within that; what it means is said at each [`Kind`].
    pub path: Bytes,
}

impl Address {
    /// The key's register.
    pub const REGISTER: Address = Address { kind: Kind::Register, path: Bytes::new() };
    /// The key's expiry.
    pub const EXPIRY: Address = Address { kind: Kind::Expiry, path: Bytes::new() };

    /// The cell of `kind` at `path`.
    pub fn new(kind: Kind, path: impl Into<Bytes>) -> Self {
        Address { kind, path: path.into() }
    }

    /// Where the cell is in the order in which replicas compare the cells of a large key: xxh3-64 of a feed
    /// of its own (docs/formats.md, "Digests").
    pub fn hash(&self) -> u64 {
        address_hash(self)
    }

    /// Whether there is such a cell: the only one of its kind has no path.
    pub(crate) fn is_sound(&self) -> bool {
        self.path.is_empty() || !self.kind.is_single()
    }

    /// The cell of a map at `segments`: a hash field where there is one, nested where there are more.
    ///
    /// # Panics
    /// If there is no segment.
    pub fn map(segments: &[Bytes]) -> Self {
        match segments {
            [] => panic!("a map's cell has a path"),
            [field] => Address::new(Kind::Field, field.clone()),
            _ => Address::new(Kind::Nested, nested_path(segments)),
        }
    }
}

/// Cells of one kind whose paths lie between two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Of which kind.
    pub kind: Kind,
    /// The first path inside.
    pub from: Bytes,
    /// The first path after it, or `None` for the end of the kind.
    pub to: Option<Bytes>,
}

impl AddressRange {
    /// All cells of `kind`.
    pub fn all(kind: Kind) -> Self {
        AddressRange { kind, from: Bytes::new(), to: None }
    }

    /// The cells of `kind` whose paths start with `prefix`.
    pub fn prefix(kind: Kind, prefix: Bytes) -> Self {
        let to = successor(&prefix);
        AddressRange { kind, from: prefix, to }
    }

    /// The cells of a map under `segments`, and the one at `segments` itself where that is
    /// [nested](Kind::Nested).
    pub fn under(segments: &[Bytes]) -> Self {
        AddressRange::prefix(Kind::Nested, nested_path(segments))
    }

    /// The cells outside the root after one address, up to another and with it; by kind, in order.
    pub fn between(after: Option<&Address>, upto: &Address) -> impl Iterator<Item = Self> {
        let first = after.map_or(Kind::Register, |after| after.kind);
        let kinds =
            COUNTED_KINDS.into_iter().filter(move |kind| (first..=upto.kind).contains(kind));
        kinds.map(move |kind| {
            let next = |address: &Address| path_after(&address.path);
            let from = after.filter(|after| after.kind == kind).map_or(Bytes::new(), next);
            let to = (upto.kind == kind).then(|| next(upto));
            // Where the one is not before the other there is nothing between.
            let to = to.map(|to| to.max(from.clone()));
            AddressRange { kind, from, to }
        })
    }

    /// Whether every address inside `other` is inside.
    pub(crate) fn covers(&self, other: &AddressRange) -> bool {
        let ends_later = match (&self.to, &other.to) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine >= theirs,
        };
        self.kind == other.kind && self.from <= other.from && ends_later
    }

    /// Whether it does not end before it starts.
    pub(crate) fn is_sound(&self) -> bool {
        self.to.as_ref().is_none_or(|to| self.from <= *to)
    }

    /// Whether `address` is inside.
    pub fn contains(&self, address: &Address) -> bool {
        address.kind == self.kind
            && address.path >= self.from
            && self.to.as_ref().is_none_or(|to| address.path < *to)
    }
}

/// The least byte string greater than all that start with `prefix`; `None` where there is none.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut to = prefix[..=kept].to_vec();
    to[kept] += 1;
    Some(to.into())
}

/// The least path greater than `path`.
pub(crate) fn path_after(path: &[u8]) -> Bytes {
    path.iter().copied().chain([0]).collect()
}

/// The path of a nested map's cell: each segment with 0x00 doubled into 0x00 0xFF, then 0x00 0x01.
///
/// Order of paths is order of segments, and a path under another starts with it, so a submap is one
/// contiguous range.
pub fn nested_path(segments: &[Bytes]) -> Bytes {
    let mut path = Vec::with_capacity(segments.iter().map(|s| s.len() + 2).sum());
    for segment in segments {
        for &byte in segment {
            path.push(byte);
            if byte == 0 {
                path.push(0xff);
            }
        }
        path.extend([0, 1]);
    }
    path.into()
}

/// The segments of a [`nested_path`], or `None` where the bytes are none.
pub fn nested_segments(path: &[u8]) -> Option<Vec<Bytes>> {
    let mut segments = Vec::new();
    let mut segment = Vec::new();
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        match (byte, if byte == 0 { Some(*rest.next()?) } else { None }) {
            (0, Some(1)) => segments.push(Bytes::from(std::mem::take(&mut segment))),
            (0, Some(0xff)) => segment.push(0),
            (0, _) => return None,
            (byte, _) => segment.push(byte),
        }
    }
    segment.is_empty().then_some(segments)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments() -> impl Strategy<Value = Vec<Bytes>> {
        let byte = prop_oneof![Just(0u8), Just(1), Just(0xff), any::<u8>()];
        let segment = prop::collection::vec(byte, 0..4).prop_map(Bytes::from);
        prop::collection::vec(segment, 1..4)
    }

    proptest! {
        #[test]
        fn paths_keep_the_order_of_segments_and_come_back(a in segments(), b in segments()) {
            let (left, right) = (nested_path(&a), nested_path(&b));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(right.starts_with(&left), b.starts_with(&a));
            prop_assert_eq!(nested_segments(&left), Some(a));
        }

        #[test]
        fn a_prefix_range_holds_just_what_starts_with_it(
            prefix in prop::collection::vec(prop_oneof![Just(0xffu8), Just(0u8)], 0..4),
            path in prop::collection::vec(prop_oneof![Just(0xffu8), Just(0u8)], 0..6),
        ) {
            let range = AddressRange::prefix(Kind::Member, prefix.clone().into());
            let inside = range.contains(&Address::new(Kind::Member, path.clone()));
            prop_assert_eq!(inside, path.starts_with(&prefix));
        }

        #[test]
        fn ranges_between_addresses_hold_just_what_is_between(
            after in prop::option::of((0usize..10, 0u8..3)),
            (upto, path) in (0usize..10, 0u8..3),
            probe in (0usize..10, prop::collection::vec(0u8..3, 0..3)),
        ) {
            let address = |(kind, path)| Address::new(COUNTED_KINDS[kind], path);
            let after = after.map(|(kind, path)| address((kind, vec![path])));
            let (upto, probe) = (address((upto, vec![path])), address(probe));
            let ranges: Vec<AddressRange> = AddressRange::between(after.as_ref(), &upto).collect();
            prop_assert!(ranges.iter().all(AddressRange::is_sound));
            let inside = after.is_none_or(|after| after < probe) && probe <= upto;
            prop_assert_eq!(ranges.iter().any(|range| range.contains(&probe)), inside);
        }

        #[test]
        fn any_bytes_are_segments_or_refused(path in prop::collection::vec(0u8..3, 0..12)) {
            if let Some(segments) = nested_segments(&path) {
                prop_assert_eq!(nested_path(&segments), path);
            }
        }
    }
}
