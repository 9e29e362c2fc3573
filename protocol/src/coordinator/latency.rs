//! How long each peer takes to show what it has, so that one that is slow is passed over for another.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;

/// What an unknown peer is given.
const UNKNOWN: Duration = Duration::from_millis(100);

/// Nobody is passed over sooner: such waits are cheaper than asking another.
const LEAST: Duration = Duration::from_millis(5);

/// Nobody is waited for longer before another is asked.
const MOST: Duration = Duration::from_millis(500);

/// Estimates by peer. There are no more of them than owners that this lane shares slices with.
#[derive(Debug, Default)]
pub(super) struct Latencies(BTreeMap<NodeId, Estimate>);

/// A running mean and mean deviation, as of round trips in TCP (RFC 6298).
#[derive(Clone, Copy, Debug)]
struct Estimate {
    mean: Duration,
    deviation: Duration,
}

impl Latencies {
    /// A peer took so long.
    pub(super) fn took(&mut self, peer: NodeId, time: Duration) {
        let fresh = Estimate { mean: time, deviation: time / 2 };
        self.0
            .entry(peer)
            .and_modify(|known| {
                known.deviation = (known.deviation * 3 + known.mean.abs_diff(time)) / 4;
                known.mean = (known.mean * 7 + time) / 8;
            })
            .or_insert(fresh);
    }

    /// The time within which a peer answers but for one time in a hundred, about: the mean and four deviations.
    pub(super) fn p99(&self, peer: NodeId) -> Duration {
        let estimate = self.0.get(&peer);
        let p99 = estimate.map_or(UNKNOWN, |known| known.mean + known.deviation * 4);
        p99.clamp(LEAST, MOST)
    }

    /// The mean, to prefer the quick.
    pub(super) fn mean(&self, peer: NodeId) -> Duration {
        self.0.get(&peer).map_or(UNKNOWN, |known| known.mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_waited_for_as_long_as_it_usually_takes() {
        let mut latencies = Latencies::default();
        let peer = NodeId(1);
        assert_eq!(latencies.p99(peer), UNKNOWN);
        for _ in 0..100 {
            latencies.took(peer, Duration::from_millis(40));
        }
        let p99 = latencies.p99(peer);
        assert!((40..50).contains(&p99.as_millis()), "{p99:?}");
        latencies.took(peer, Duration::from_secs(10));
        assert_eq!(latencies.p99(peer), MOST);
    }
}
