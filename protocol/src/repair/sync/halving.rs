//! Halving: how two sides find the rows that differ, at the cost of the difference.
//!
//! Both list what they have of some ranges of hashes. One 32-bit sum is sent for each range that is halved; the other
//! half's follows by subtraction. A range with two rows or less on either side is listed, 4 bytes a row.
//! Sums are seeded anew for each session, and at the end the full digests of the rows found equal are summed and
//! compared: a collision can only cost another session.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use coterie_wire::peer::sync::Verdict;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Ranges with so few rows on one side are listed by the side that asks.
const LIST_ROWS: usize = 2;

/// A range of which so many rows are listed at most; one byte says how many.
const LISTED_MAX: usize = 0xfd;
const MANY: u8 = 0xfe;

/// What was received does not fit what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("sums or verdicts do not fit the open ranges")]
pub(super) struct Mismatch;

/// One row, or one key, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where it lies among the others.
    pub(super) hash: u64,
    /// What it adds to a leaf.
    pub(super) digest: u128,
    /// Where its row is.
    pub(super) at: Bytes,
}

/// Hashes from the first to the last, both inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HashRange {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl HashRange {
    pub(super) fn halves(self) -> [HashRange; 2] {
        let middle = self.from + (self.to - self.from) / 2;
        [HashRange { from: self.from, to: middle }, HashRange { from: middle + 1, to: self.to }]
    }

    /// What lies in both.
    pub(super) fn within(self, other: HashRange) -> Option<HashRange> {
        let range = HashRange { from: self.from.max(other.from), to: self.to.min(other.to) };
        (range.from <= range.to).then_some(range)
    }
}

/// What one side has in the ranges that are compared.
#[derive(Debug)]
pub(super) struct Listing {
    entries: Vec<Entry>,
    /// At i: the sum of the marks of the first i entries.
    sums: Vec<u32>,
    differs: Vec<bool>,
}

impl Listing {
    pub(super) fn new(mut entries: Vec<Entry>, salt: u64) -> Self {
        entries.sort_unstable_by(|a, b| (a.hash, &a.at).cmp(&(b.hash, &b.at)));
        let mut sum: u32 = 0;
        let mut sums = Vec::with_capacity(entries.len() + 1);
        sums.push(0);
        for entry in &entries {
            sum = sum.wrapping_add(mark(entry.digest, salt));
            sums.push(sum);
        }
        let differs = vec![false; entries.len()];
        Listing { entries, sums, differs }
    }

    /// What was listed.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn inside(&self, range: HashRange) -> std::ops::Range<usize> {
        let from = self.entries.partition_point(|entry| entry.hash < range.from);
        let count = self.entries[from..].partition_point(|entry| entry.hash <= range.to);
        from..from + count
    }

    fn sum(&self, inside: &std::ops::Range<usize>) -> u32 {
        self.sums[inside.end].wrapping_sub(self.sums[inside.start])
    }

    /// Four bytes that tell a row from others of its range.
    fn mark(&self, at: usize) -> [u8; 4] {
        self.sums[at + 1].wrapping_sub(self.sums[at]).to_be_bytes()
    }

    fn differ(&mut self, inside: std::ops::Range<usize>) {
        self.differs[inside].fill(true);
    }

    /// The sum of the digests of all that was found equal.
    pub(super) fn equal(&self) -> u128 {
        let equal = self.entries.iter().zip(&self.differs).filter(|(_, differs)| !**differs);
        equal.fold(0, |sum: u128, (entry, _)| sum.wrapping_add(entry.digest))
    }

    /// Where the rows are that were found to differ, in order of hash.
    pub(super) fn differing(&self) -> impl Iterator<Item = &Bytes> {
        let differing = self.entries.iter().zip(&self.differs).filter(|(_, differs)| **differs);
        differing.map(|(entry, _)| &entry.at)
    }
}

/// What a row adds to the sums of its session.
fn mark(digest: u128, salt: u64) -> u32 {
    let [_, _, _, _, mark @ ..] = xxh3_64_with_seed(&digest.to_be_bytes(), salt).to_be_bytes();
    u32::from_be_bytes(mark)
}

/// The side that asks.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) listing: Listing,
    open: Vec<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    range: HashRange,
    /// The other side has so few rows there that this one is to list its own.
    few: bool,
}

/// How a range goes on.
enum Ask {
    Halve,
    List,
    Many,
}

impl Asking {
    pub(super) fn new(listing: Listing, ranges: impl IntoIterator<Item = HashRange>) -> Self {
        let open = ranges.into_iter().map(|range| Open { range, few: false }).collect();
        Asking { listing, open }
    }

    /// Whether every difference is found.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// The sums of the ranges as they were opened.
    pub(super) fn totals(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(4 * self.open.len());
        for open in &self.open {
            bytes.put_u32(self.listing.sum(&self.listing.inside(open.range)));
        }
        bytes.freeze()
    }

    fn ask(&self, open: &Open) -> Ask {
        let rows = self.listing.inside(open.range).len();
        let listed = open.few || rows <= LIST_ROWS || open.range.from == open.range.to;
        match rows {
            0..=LISTED_MAX if listed => Ask::List,
            _ if open.range.from < open.range.to => Ask::Halve,
            // Keys made to share one hash: they are not told apart, all of them are sent.
            _ => Ask::Many,
        }
    }

    /// The next question about every open range.
    pub(super) fn question(&self) -> Bytes {
        let mut bits = Bits::default();
        let mut bytes = BytesMut::with_capacity(4 * self.open.len());
        for open in &self.open {
            let ask = self.ask(open);
            bits.put_bit(matches!(ask, Ask::Halve));
            match ask {
                Ask::Halve => {
                    let [lower, _] = open.range.halves();
                    bytes.put_u32(self.listing.sum(&self.listing.inside(lower)));
                }
                Ask::List => {
                    let inside = self.listing.inside(open.range);
                    bytes.put_u8(u8::try_from(inside.len()).expect("at most 253"));
                    inside.for_each(|at| bytes.put_slice(&self.listing.mark(at)));
                }
                Ask::Many => bytes.put_u8(MANY),
            }
        }
        let mut question = bits.bytes;
        question.unsplit(bytes);
        question.freeze()
    }

    /// Takes in the verdicts on the ranges as they were opened.
    pub(super) fn opened(&mut self, bits: &Bytes) -> Result<(), Mismatch> {
        let mut bits = Bits::of(bits);
        for Open { range, .. } in std::mem::take(&mut self.open) {
            self.judged(range, bits.verdict()?);
        }
        bits.end()
    }

    /// Takes in the answer to the last question.
    pub(super) fn answered(&mut self, bits: &Bytes) -> Result<(), Mismatch> {
        let mut bits = Bits::of(bits);
        for open in std::mem::take(&mut self.open) {
            let inside = self.listing.inside(open.range);
            match self.ask(&open) {
                Ask::Halve => {
                    for half in open.range.halves() {
                        self.judged(half, bits.verdict()?);
                    }
                }
                Ask::List => {
                    for at in inside {
                        self.listing.differs[at] = bits.bit()?;
                    }
                }
                Ask::Many => self.listing.differ(inside),
            }
        }
        bits.end()
    }

    fn judged(&mut self, range: HashRange, verdict: Verdict) {
        match verdict {
            Verdict::Equal => {}
            Verdict::Halve => self.open.push(Open { range, few: false }),
            Verdict::List => self.open.push(Open { range, few: true }),
            Verdict::Absent => self.listing.differ(self.listing.inside(range)),
        }
    }
}

/// The side that answers.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) listing: Listing,
    /// With the sums of the side that asks.
    open: Vec<(HashRange, u32)>,
}

impl Answering {
    /// Compares ranges with the sums of the side that asks, and says how they compare.
    pub(super) fn open(
        listing: Listing,
        ranges: &[HashRange],
        totals: &Bytes,
    ) -> Result<(Self, Bytes), Mismatch> {
        if totals.len() != 4 * ranges.len() {
            return Err(Mismatch);
        }
        let mut answering = Answering { listing, open: Vec::new() };
        let (mut bits, mut totals) = (Bits::default(), totals.clone());
        for range in ranges {
            let verdict = answering.judge(*range, totals.get_u32());
            bits.put_verdict(verdict);
        }
        Ok((answering, bits.bytes.freeze()))
    }

    fn judge(&mut self, range: HashRange, theirs: u32) -> Verdict {
        let inside = self.listing.inside(range);
        if theirs == self.listing.sum(&inside) {
            return Verdict::Equal;
        }
        if theirs == 0 {
            self.listing.differ(inside);
            return Verdict::Equal;
        }
        let verdict = match inside.len() {
            0 => return Verdict::Absent,
            1..=LIST_ROWS => Verdict::List,
            _ => Verdict::Halve,
        };
        self.open.push((range, theirs));
        verdict
    }

    /// Answers the next question about every open range.
    pub(super) fn answer(&mut self, question: &Bytes) -> Result<Bytes, Mismatch> {
        let open = std::mem::take(&mut self.open);
        let mut question = question.clone();
        if question.len() < open.len().div_ceil(8) {
            return Err(Mismatch);
        }
        let mut halved = Bits::of(&question.split_to(open.len().div_ceil(8)));
        let mut bits = Bits::default();
        for (range, total) in open {
            match halved.bit()? {
                true if range.from < range.to => {
                    let lower = question.try_get_u32().map_err(|_short| Mismatch)?;
                    let sums = [lower, total.wrapping_sub(lower)];
                    for (half, theirs) in range.halves().into_iter().zip(sums) {
                        let verdict = self.judge(half, theirs);
                        bits.put_verdict(verdict);
                    }
                }
                true => return Err(Mismatch),
                false => match question.try_get_u8().map_err(|_short| Mismatch)? {
                    MANY => self.listing.differ(self.listing.inside(range)),
                    rows => self.listed(range, usize::from(rows), &mut question, &mut bits)?,
                },
            }
        }
        if question.has_remaining() { Err(Mismatch) } else { Ok(bits.bytes.freeze()) }
    }

    fn listed(
        &mut self,
        range: HashRange,
        rows: usize,
        question: &mut Bytes,
        bits: &mut Bits,
    ) -> Result<(), Mismatch> {
        let inside = self.listing.inside(range);
        let mut mine: Vec<(usize, [u8; 4])> =
            inside.map(|at| (at, self.listing.mark(at))).collect();
        for _ in 0..rows {
            let mut theirs = [0; 4];
            question.try_copy_to_slice(&mut theirs).map_err(|_short| Mismatch)?;
            let same = mine.iter().position(|(_, mark)| *mark == theirs);
            bits.put_bit(same.is_none());
            same.map(|same| mine.swap_remove(same));
        }
        for (at, _) in mine {
            self.listing.differs[at] = true;
        }
        Ok(())
    }
}

/// Bits, the first lowest in the first byte.
#[derive(Debug, Default)]
struct Bits {
    bytes: BytesMut,
    length: usize,
}

impl Bits {
    /// To be read from the first.
    fn of(bytes: &Bytes) -> Self {
        Bits { bytes: BytesMut::from(&bytes[..]), length: 0 }
    }

    fn put_bit(&mut self, bit: bool) {
        if self.length.is_multiple_of(8) {
            self.bytes.put_u8(0);
        }
        self.bytes[self.length / 8] |= u8::from(bit) << (self.length % 8);
        self.length += 1;
    }

    fn put_verdict(&mut self, verdict: Verdict) {
        self.put_bit(verdict as u8 & 1 != 0);
        self.put_bit(verdict as u8 & 2 != 0);
    }

    fn bit(&mut self) -> Result<bool, Mismatch> {
        let byte = self.bytes.get(self.length / 8).ok_or(Mismatch)?;
        let bit = byte >> (self.length % 8) & 1 != 0;
        self.length += 1;
        Ok(bit)
    }

    fn verdict(&mut self) -> Result<Verdict, Mismatch> {
        Ok(match (self.bit()?, self.bit()?) {
            (false, false) => Verdict::Equal,
            (true, false) => Verdict::Halve,
            (false, true) => Verdict::List,
            (true, true) => Verdict::Absent,
        })
    }

    fn end(&self) -> Result<(), Mismatch> {
        if self.bytes.len() == self.length.div_ceil(8) { Ok(()) } else { Err(Mismatch) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128_with_seed;

    use super::*;

    const ALL: HashRange = HashRange { from: 0, to: u64::MAX };

    fn listing(rows: &BTreeSet<(u64, u64)>, salt: u64) -> Listing {
        let entry = |&(hash, digest): &(u64, u64)| Entry {
            hash,
            // As a real one, it bears where the row is.
            digest: xxh3_128_with_seed(&digest.to_be_bytes(), hash),
            at: Bytes::copy_from_slice(&hash.to_be_bytes()),
        };
        Listing::new(rows.iter().map(entry).collect(), salt)
    }

    fn hashes(listing: &Listing) -> BTreeSet<u64> {
        listing.differing().map(|at| u64::from_be_bytes(at[..].try_into().unwrap())).collect()
    }

    /// Runs both sides to the end: what each found to differ, and how many bytes were exchanged.
    fn run(
        mine: &BTreeSet<(u64, u64)>,
        theirs: &BTreeSet<(u64, u64)>,
    ) -> (BTreeSet<u64>, BTreeSet<u64>, usize) {
        let mut asking = Asking::new(listing(mine, 7), [ALL]);
        let totals = asking.totals();
        let (mut answering, verdicts) =
            Answering::open(listing(theirs, 7), &[ALL], &totals).unwrap();
        asking.opened(&verdicts).unwrap();
        let mut bytes = totals.len() + verdicts.len();
        while !asking.is_done() {
            let question = asking.question();
            let answer = answering.answer(&question).unwrap();
            bytes += question.len() + answer.len();
            asking.answered(&answer).unwrap();
        }
        assert_eq!(asking.listing.equal(), answering.listing.equal());
        (hashes(&asking.listing), hashes(&answering.listing), bytes)
    }

    fn rows() -> impl Strategy<Value = BTreeSet<(u64, u64)>> {
        // Few hashes, some of them next to each other, so that both sides often share them.
        let hash = prop_oneof![0u64..40, Just(u64::MAX), (0u64..40).prop_map(|n| n << 58)];
        prop::collection::btree_map(hash, 1u64..4, 0..60)
            .prop_map(|rows| rows.into_iter().collect())
    }

    proptest! {
        #[test]
        fn both_sides_find_just_what_differs(mine in rows(), theirs in rows()) {
            let (of_mine, of_theirs, _) = run(&mine, &theirs);
            let only = |a: &BTreeSet<(u64, u64)>, b: &BTreeSet<(u64, u64)>| -> BTreeSet<u64> {
                a.difference(b).map(|row| row.0).collect()
            };
            prop_assert_eq!(of_mine, only(&mine, &theirs));
            prop_assert_eq!(of_theirs, only(&theirs, &mine));
        }

        #[test]
        fn any_bytes_are_an_answer_or_refused(
            mine in rows(),
            theirs in rows(),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let bytes = Bytes::from(bytes);
            let mut asking = Asking::new(listing(&mine, 1), [ALL]);
            let (mut answering, verdicts) =
                Answering::open(listing(&theirs, 1), &[ALL], &asking.totals()).unwrap();
            asking.opened(&verdicts).unwrap();
            let open = asking.open.len();
            if let Ok(bits) = answering.answer(&bytes) {
                prop_assert!(bits.len() <= 64 * open.max(1));
            }
            if asking.answered(&bytes).is_ok() {
                prop_assert!(asking.open.len() <= 2 * open);
            }
        }
    }

    #[test]
    fn rows_that_share_one_hash_are_told_apart_by_their_digests() {
        let many = |digests: std::ops::Range<u64>| -> BTreeSet<(u64, u64)> {
            digests.map(|digest| (9, digest)).collect()
        };
        let (mine, theirs, _) = run(&many(1..20), &many(2..20));
        assert_eq!((mine.len(), theirs.len()), (1, 0));
        let (mine, theirs, _) = run(&many(1..600), &many(2..600));
        assert_eq!((mine.len(), theirs.len()), (1, 1));
    }

    #[test]
    fn one_row_among_four_thousand_costs_a_hundred_bytes() {
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mine: BTreeSet<(u64, u64)> = (0..4_096).map(|n| (hash(n), n + 1)).collect();
        let mut theirs = mine.clone();
        theirs.remove(&(hash(77), 78));
        let (_, _, bytes) = run(&mine, &theirs);
        assert!(bytes <= 100, "{bytes} bytes");
    }
}
