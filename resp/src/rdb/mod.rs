//! What a key holds in Redis's own format, as `DUMP` gives and `RESTORE` takes it: a type, the contents, the format's version, and
//! a CRC-64 of all before.
//!
//! Written in the plainest encoding of each type, which every Redis since 5.0 reads. Read in all encodings that Redis 7.0 writes, and those of
//! earlier ones back to 2.6.

mod dump;
mod lzf;
mod packed;
mod reader;
mod restore;

use crc::{CRC_64_REDIS, Crc};

pub use dump::{NoForm, dump};
pub use restore::{Malformed, restore};

/// The version that is written: sorted sets have binary scores since 8.
const VERSION_WRITTEN: u16 = 9;
/// The latest that is read: that of Redis 7.2.
const VERSION_READ_MAX: u16 = 11;

/// Version and checksum.
const FOOTER_BYTES: usize = 10;

static CRC: Crc<u64> = Crc::<u64>::new(&CRC_64_REDIS);

/// Types, by the byte that a payload begins with.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const SORTED_SET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const SORTED_SET_BINARY: u8 = 5;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    pub(super) const SET_LISTPACK: u8 = 20;
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use coterie_crdt::encoding::{decode_contents, encode_contents};
    use coterie_crdt::operation::{Contents, Item};
    use coterie_crdt::{Address, Kind, Score};
    use proptest::prelude::*;

    use super::*;

    fn contents() -> impl Strategy<Value = Contents> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let many = move || proptest::collection::btree_set(bytes(), 1..200);
        let cells = prop_oneof![
            bytes().prop_map(|value| vec![(Address::REGISTER, Item::Value(value))]),
            any::<i64>().prop_map(|number| {
                vec![(Address::REGISTER, Item::Value(number.to_string().into()))]
            }),
            many().prop_map(|members| {
                let members = members.into_iter();
                members.map(|it| (Address::new(Kind::Member, it), Item::Present)).collect()
            }),
            many().prop_map(|fields| {
                let fields = fields.into_iter();
                fields.map(|it| (Address::new(Kind::Field, it.clone()), Item::Value(it))).collect()
            }),
            (many(), any::<f64>()).prop_map(|(members, score)| {
                let score = Score::new(score).unwrap_or(Score::new(0.5).unwrap());
                let members = members.into_iter();
                members.map(|it| (Address::new(Kind::Scored, it), Item::Score(score))).collect()
            }),
            many().prop_map(|elements| {
                let elements = (0_u64..).zip(elements);
                let place = |number: u64| number.to_be_bytes().to_vec();
                elements
                    .map(|(at, it)| (Address::new(Kind::Element, place(at)), Item::Value(it)))
                    .collect()
            }),
        ];
        cells.prop_map(|cells| Contents { cells, deadline: None })
    }

    proptest! {
        #[test]
        fn what_is_dumped_is_restored(contents in contents()) {
            let payload = dump(&contents).unwrap();
            // Other nodes read it as a part of a request.
            let sent = decode_contents(&encode_contents(&contents).into());
            prop_assert_eq!(sent.as_ref(), Ok(&contents));
            prop_assert_eq!(restore(&payload), Ok(contents));
        }

        #[test]
        fn a_changed_or_cut_payload_is_refused(contents in contents(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut payload = dump(&contents).unwrap();
            let at = at.index(payload.len());
            prop_assert!(restore(&payload[..at]).is_err());
            payload[at] ^= 1_u8 << bit;
            prop_assert!(restore(&payload).is_err());
        }

        /// Whatever the bytes are, and whatever they say of their sizes.
        #[test]
        fn what_is_no_payload_is_refused_and_nothing_worse(kind in 0_u8..24, mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            bytes.insert(0, kind);
            let _whatever = restore(&sealed(bytes));
        }
    }

    /// Bytes with the footer that belongs to them.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        dump::seal(&mut bytes);
        bytes
    }

    #[test]
    fn what_has_no_form_in_the_format_is_not_dumped() {
        let of = |kind, path: &'static [u8], item| Contents {
            cells: vec![(Address::new(kind, path), item)],
            deadline: None,
        };
        assert_eq!(dump(&of(Kind::Sketch, &[0, 1], Item::Rank(3))), Err(NoForm::Type));
        assert_eq!(dump(&of(Kind::EnableFlag, b"", Item::Present)), Err(NoForm::Type));
        let nested = Item::Value(Bytes::from("v"));
        assert_eq!(dump(&of(Kind::Nested, b"a\0\x01b\0\x01", nested)), Err(NoForm::Type));
        let until = Item::ValueUntil(Bytes::from("v"), 9);
        assert_eq!(dump(&of(Kind::Field, b"f", until)), Err(NoForm::FieldExpiry));
        let guarded = dump(&of(Kind::GuardedMember, b"a", Item::Present)).unwrap();
        assert_eq!(restore(&guarded), Ok(of(Kind::Member, b"a", Item::Present)));
    }

    #[test]
    fn a_later_version_is_refused() {
        let contents =
            Contents { cells: vec![(Address::REGISTER, Item::Value("v".into()))], deadline: None };
        let mut payload = dump(&contents).unwrap();
        payload.truncate(payload.len() - FOOTER_BYTES);
        payload.extend((VERSION_READ_MAX + 1).to_le_bytes());
        let sum = CRC.checksum(&payload);
        payload.extend(sum.to_le_bytes());
        assert_eq!(restore(&payload), Err(Malformed::Sealed));
    }
}
