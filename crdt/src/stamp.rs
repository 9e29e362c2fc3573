//! Stamps: hybrid logical time, which orders concurrent assignments and nothing else.

use crate::dot::Dot;

/// How far a merge may push a node's clock past its wall time, in milliseconds (invariant 10).
pub const DRIFT_MILLIS_MAX: u64 = 500;

/// Hybrid logical time: 48 bits of wall-clock milliseconds, then a 16-bit counter.
///
/// Source: Kulkarni et al. 2014, "Logical physical clocks".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HybridTime(pub u64);

impl HybridTime {
    /// The first time within a wall-clock millisecond. Times past the year 10,889 saturate.
    pub fn from_millis(millis: u64) -> Self {
        HybridTime(millis.min((1 << 48) - 1) << 16)
    }

    /// The wall-clock part, in milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The next greater time; the greatest one stays as it is.
    #[must_use]
    pub fn next(self) -> Self {
        HybridTime(self.0.saturating_add(1))
    }
}

/// What orders concurrent assignments: time, then the dot of the write.
///
/// The dot breaks ties, so the order is total (invariant 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// When, by the clock of the node that minted the dot.
    pub time: HybridTime,
    /// The write itself.
    pub dot: Dot,
}

/// A node's hybrid logical clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    last: HybridTime,
}

impl Clock {
    /// A clock that has not ticked.
    pub fn new() -> Self {
        Clock::default()
    }

    /// A time greater than any that this clock gave before, and at least the wall time.
    pub fn tick(&mut self, wall_millis: u64) -> HybridTime {
        self.last = self.last.next().max(HybridTime::from_millis(wall_millis));
        self.last
    }

    /// Follows a time seen in a message, but never past the wall time + [`DRIFT_MILLIS_MAX`]: a peer's
    /// wrong clock must not become ours (invariant 10).
    pub fn observe(&mut self, seen: HybridTime, wall_millis: u64) {
        let bound = HybridTime::from_millis(wall_millis.saturating_add(DRIFT_MILLIS_MAX));
        self.last = self.last.max(seen.min(bound));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_gives_rising_times_though_the_wall_clock_goes_back() {
        let mut clock = Clock::new();
        let first = clock.tick(1_000);
        assert_eq!(first.millis(), 1_000);
        assert!(clock.tick(10) > first);
    }

    #[test]
    fn a_time_from_far_ahead_moves_the_clock_by_the_bound_only() {
        let mut clock = Clock::new();
        clock.observe(HybridTime::from_millis(9_000_000), 1_000);
        assert_eq!(clock.tick(1_000).millis(), 1_000 + DRIFT_MILLIS_MAX);
        clock.observe(HybridTime(u64::MAX), u64::MAX);
        assert_eq!(clock.tick(0), HybridTime(u64::MAX << 16 | 1));
    }
}
