//! Whether a run says anything: a generator that lags measures itself.

use std::time::Duration;

use crate::load::Pace;
use crate::schedule::Nanos;
use crate::tally::Times;

/// A thread that waits for less of its time than the rest of this was at its limit.
const BUSY_MAX: f64 = 0.98;

/// Why an open loop says nothing about its target, if so: one in a thousand operations was begun late by more than
/// `lag_max` although its connection had room, or a thread never rested.
///
/// What waits because the server is slow is no reason: that is what is measured.
#[must_use]
pub fn void(pace: Pace, lag: &Times, lag_max: Duration, busy: f64) -> Option<String> {
    let Pace::Open { rate, .. } = pace else { return None };
    let late = lag.percentile(99.9);
    let bound = Nanos::try_from(lag_max.as_nanos()).unwrap_or(Nanos::MAX);
    if late > bound {
        let (late, bound) = (late as f64 / 1e6, bound as f64 / 1e6);
        return Some(format!(
            "the generator lagged: one in a thousand operations was begun {late:.1} ms or more after it was to be, although \
             its connection had room (at most {bound:.1} ms are allowed). Give it more threads, a machine of its own, or a \
             lower rate than {rate}/s"
        ));
    }
    if busy > BUSY_MAX {
        return Some(format!(
            "a thread of the generator was busy {:.1} % of the time, so its own speed is part of what was measured. Give it \
             more threads, a machine of its own, or a lower rate than {rate}/s",
            busy * 100.0
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Arrivals;

    #[test]
    fn one_in_a_thousand_decides() {
        let open = Pace::Open { rate: 1_000, arrivals: Arrivals::Even };
        let limit = Duration::from_millis(10);
        let lag = |late: u64| {
            let mut times = Times::default();
            times.record_many(1_000, 100_000 - late);
            times.record_many(50_000_000, late);
            times
        };
        assert_eq!(void(open, &lag(99), limit, 0.5), None);
        assert!(void(open, &lag(101), limit, 0.5).unwrap().contains("50.0 ms"));
        assert_eq!(void(Pace::Closed, &lag(101), limit, 1.0), None, "it keeps no times");
        assert!(void(open, &lag(0), limit, 0.99).unwrap().contains("99.0 %"));
    }
}
