//! The clocks of one node: a monotonic one of its process, and a wall clock that is off, drifts and jumps.

use std::time::Duration;

use coterie_swim::Now;

/// When every run begins, in milliseconds since 1970.
const EPOCH_MILLIS: i64 = 1_790_000_000_000;

/// A node's clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    /// How far the wall clock is off, in milliseconds.
    offset_millis: i64,
    /// How much too fast the wall clock goes, in millionths.
    drift_ppm: i64,
    /// When the process began, in the run's time.
    started: Duration,
}

impl Clock {
    /// Clocks of a node whose wall clock is off by so much and drifts.
    #[must_use]
    pub fn new(offset_millis: i64, drift_ppm: i64) -> Self {
        Clock { offset_millis, drift_ppm, started: Duration::ZERO }
    }

    /// The process begins anew.
    pub fn restart(&mut self, at: Duration) {
        self.started = at;
    }

    /// The wall clock is set.
    pub fn jump(&mut self, offset_millis: i64) {
        self.offset_millis = offset_millis;
    }

    /// What the node reads at a time of the run.
    ///
    /// # Panics
    /// If the run is longer than a wall clock can count.
    #[must_use]
    pub fn read(&self, at: Duration) -> Now {
        let elapsed = i64::try_from(at.as_millis()).expect("runs are short");
        let drift = elapsed * self.drift_ppm / 1_000_000;
        let wall = EPOCH_MILLIS + elapsed + drift + self.offset_millis;
        let wall_millis = u64::try_from(wall).expect("clocks are off by hours at most");
        Now { monotonic: at.saturating_sub(self.started), wall_millis }
    }

    /// When it is `monotonic` for the process, in the run's time.
    #[must_use]
    pub fn run_time(&self, monotonic: Duration) -> Duration {
        self.started.saturating_add(monotonic)
    }
}
