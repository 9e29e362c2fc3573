//! The receiver's credit: rows of repair come in no faster than a node has set aside for them.

use std::time::Duration;

/// What may come in at once.
const BURST: Duration = Duration::from_millis(50);

/// The credit for rows that repair brings.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When what has come in would have at the set rate.
    paid: Duration,
}

impl Pace {
    /// So many bytes have come in: how long their sender is to wait before it sends more.
    pub(super) fn take(&mut self, bytes: usize, bytes_per_second: u64, now: Duration) -> Duration {
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / bytes_per_second.max(1);
        self.paid = self.paid.max(now) + Duration::from_nanos(nanos);
        self.paid.saturating_sub(now + BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_waits_as_told_keeps_to_the_rate() {
        let (mut pace, mut now) = (Pace::default(), Duration::ZERO);
        for _ in 0..1_000 {
            now += pace.take(64 << 10, 16 << 20, now);
        }
        let wanted = Duration::from_millis(1_000 * 64 * 1_000 / (16 << 10));
        assert!(now + BURST >= wanted && now <= wanted, "{now:?} for {wanted:?}");
    }
}
