//! Payloads: what a dot wrote.

use bytes::Bytes;

use crate::stamp::HybridTime;

/// What the write named by a dot put into its cell. Immutable: equal dots hold equal payloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// The cell is there: a set's member, an enabled flag, a sum that was added to.
    Present,
    /// The opposite, kept alive where removal wins: remove-wins sets, disable-wins flags.
    Removed,
    /// An assigned value; concurrent ones are ordered by stamp.
    Value(HybridTime, Bytes),
    /// An assigned score; concurrent ones are ordered by stamp.
    Score(HybridTime, Score),
    /// A HyperLogLog register's rank, 1 to 51; read as the maximum.
    Rank(u8),
    /// When the key or the field expires, in milliseconds since 1970, or `None` for never; the latest stamp
    /// counts.
    Deadline(HybridTime, Option<u64>),
}

impl Payload {
    /// The time of assignment, where concurrent payloads are ordered by one.
    pub fn time(&self) -> Option<HybridTime> {
        match self {
            Payload::Value(time, _) | Payload::Score(time, _) | Payload::Deadline(time, _) => {
                Some(*time)
            }
            Payload::Present | Payload::Removed | Payload::Rank(_) => None,
        }
    }

    /// Whether it says when something expires, and not what it is.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Payload::Deadline(..))
    }
}

/// A sorted set's score: any `f64` but NaN; −0 is 0. Ordered as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score(f64);

impl Score {
    /// A score, unless `value` is NaN.
    pub fn new(value: f64) -> Option<Score> {
        // Adding 0 turns −0 into 0, so that equal scores have equal bits.
        (!value.is_nan()).then_some(Score(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Bits whose unsigned order is the order of scores: the key of a derived score row.
    pub fn order_bits(self) -> u64 {
        let bits = self.0.to_bits();
        if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
    }
}

impl Eq for Score {}

impl std::hash::Hash for Score {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order_bits().cmp(&other.order_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_ordered_as_numbers() {
        let numbers = [f64::NEG_INFINITY, -1e300, -1.5, -1e-300, 0.0, 1e-300, 2.0, f64::INFINITY];
        let scores = numbers.map(|n| Score::new(n).unwrap());
        assert!(scores.is_sorted_by(|a, b| a < b));
        assert_eq!(Score::new(-0.0).unwrap().order_bits(), Score::new(0.0).unwrap().order_bits());
        assert_eq!(Score::new(f64::NAN), None);
    }
}
