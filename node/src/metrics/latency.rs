//! How long something took: a histogram of plain numbers, with bounds that are powers of two.

/// The upper bounds: 16 µs, 32 µs, … 8.4 s, and all above.
const BUCKETS: usize = 21;

/// The power of two of the first bound, in microseconds.
const FIRST: u32 = 4;

/// Durations, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    sum_micros: u64,
}

impl Latency {
    /// Something took so long.
    pub fn observe(&mut self, micros: u64) {
        // The least power of two that is not below it.
        let power = micros.saturating_sub(1).checked_ilog2().map_or(0, |power| power + 1);
        let bucket = power.saturating_sub(FIRST) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long they took together, in seconds.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_micros as f64 / 1e6
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Latency) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_micros = self.sum_micros.saturating_add(other.sum_micros);
    }

    /// Upper bounds in seconds, each with how many are within it and above the one before. The last is infinite.
    #[must_use]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bound = |index: usize| {
            if index == BUCKETS - 1 {
                f64::MAX
            } else {
                f64::from(1u32 << (index + FIRST as usize)) / 1e6
            }
        };
        self.buckets.iter().enumerate().map(|(index, count)| (bound(index), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_counted_under_the_least_bound_that_is_not_below_it() {
        for micros in [0, 1, 15, 16, 17, 32, 33, 1_000, 1 << 23, (1 << 23) + 1, u64::MAX] {
            let mut latency = Latency::default();
            latency.observe(micros);
            let buckets = latency.buckets();
            let at = buckets.iter().position(|(_, count)| *count == 1).unwrap();
            assert!(micros as f64 / 1e6 <= buckets[at].0, "{micros}");
            assert!(at == 0 || micros as f64 / 1e6 > buckets[at - 1].0, "{micros}");
            assert_eq!(latency.count(), 1);
        }
    }

    #[test]
    fn two_are_added_bucket_by_bucket() {
        let (mut one, mut two) = (Latency::default(), Latency::default());
        one.observe(10);
        two.observe(10);
        two.observe(5_000_000);
        one.add(&two);
        assert_eq!(one.count(), 3);
        assert!((one.sum_seconds() - 5.000_02).abs() < 1e-9);
        assert_eq!(one.buckets()[0].1, 2);
    }
}
