//! Time as state machines take it: since the node's start, and of day for stamps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coterie_swim::Now;

/// The clocks of a node: the same for all its threads.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Time begins.
    #[must_use]
    pub fn start() -> Self {
        Clock { started: Instant::now() }
    }

    /// The time. Read once for each turn, not for each event.
    #[must_use]
    pub fn now(&self) -> Now {
        Now { monotonic: self.started.elapsed(), wall_millis: wall_millis() }
    }

    /// When it is `monotonic` since the node's start.
    #[must_use]
    pub fn at(&self, monotonic: Duration) -> Instant {
        self.started + monotonic
    }
}

/// Milliseconds since 1970; 0 before that.
#[must_use]
pub fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
