//! What a run showed.

use std::fmt;
use std::time::Duration;

/// Median, 99th percentile and maximum of some times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// Half are at most this.
    pub median: u64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// All are at most this.
    pub max: u64,
}

impl Percentiles {
    /// Of these times; `None` of none.
    #[must_use]
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut millis: Vec<u64> =
            times.iter().map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).collect();
        millis.sort_unstable();
        let at = |percent: usize| millis.get((millis.len() * percent).div_ceil(100).max(1) - 1);
        Some(Self { median: *at(50)?, p99: *at(99)?, max: *millis.last()? })
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "median {} ms, p99 {} ms, max {} ms", self.median, self.p99, self.max)
    }
}

/// What a run showed. Which figures there are depends on the scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Per crash: time until the first node was told that it is down.
    pub first_down: Vec<Duration>,
    /// Per crash: time until the last living node was told.
    pub all_know: Vec<Duration>,
    /// Pairs of a living node and a crashed one that it was not told of.
    pub missed: usize,
    /// How often a node was told that another, healthy all the time, is down.
    pub false_down_healthy: usize,
    /// How often a node called another, healthy all the time, unreachable from where it is.
    pub unreachable_healthy: usize,
    /// Packets and stream messages sent, per living node and second.
    pub messages_per_node_per_second: f64,
    /// Time from the network's recovery until every node sees every other up.
    pub heal: Option<Duration>,
    /// Time from the first restart until every node sees every other up in its new life.
    pub full_view: Option<Duration>,
    /// Whether all living nodes ended with equal digests.
    pub digests_equal: bool,
    /// Most bytes of the member table per live member, over all nodes at the end.
    pub bytes_per_member: usize,
    /// Packets handled in the whole run.
    pub packets_handled: u64,
}
