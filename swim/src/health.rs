//! Whether this node is fit to judge others: its local health, whom it hears, how many it convicts.

use std::time::Duration;

use crate::identity::NodeId;

/// Lifeguard's local health score: 0 is well, every point slows this node's probes.
///
/// Source: Dadgar, Phillips and Currey 2018 (Lifeguard), §IV-A.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    score: u8,
    max: u8,
}

impl Health {
    pub(crate) fn new(max: u8) -> Self {
        Self { score: 0, max }
    }

    pub(crate) fn score(&self) -> u8 {
        self.score
    }

    /// What a healthy node's intervals and timeouts are multiplied by.
    pub(crate) fn factor(&self) -> u32 {
        u32::from(self.score) + 1
    }

    pub(crate) fn worse(&mut self, by: u8) {
        self.score = self.score.saturating_add(by).min(self.max);
    }

    pub(crate) fn better(&mut self) {
        self.score = self.score.saturating_sub(1);
    }
}

/// The last few distinct peers heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearing {
    latest: [Option<(NodeId, Duration)>; Self::PEERS],
    last: Option<Duration>,
}

impl Hearing {
    /// More than any guard asks for.
    pub(crate) const PEERS: usize = 4;

    pub(crate) fn note(&mut self, peer: NodeId, now: Duration) {
        self.last = Some(now);
        let same = |slot: &Option<(NodeId, Duration)>| slot.is_some_and(|(id, _)| id == peer);
        let index = self.latest.iter().position(same).unwrap_or_else(|| {
            let oldest = (0..Self::PEERS).min_by_key(|index| self.latest[*index].map(|at| at.1));
            oldest.expect("there are slots")
        });
        self.latest[index] = Some((peer, now));
    }

    /// Distinct peers heard at or after a time, counted up to four.
    pub(crate) fn count_since(&self, since: Duration) -> usize {
        self.latest.iter().flatten().filter(|(_, at)| *at >= since).count()
    }

    /// When the last of this many distinct peers was heard; the start if there were fewer.
    pub(crate) fn nth_last(&self, peers: usize) -> Duration {
        let mut times = self.latest.map(|slot| slot.map_or(Duration::ZERO, |(_, at)| at));
        times.sort_unstable();
        let from_the_end = peers.checked_sub(1).and_then(|before| times.iter().rev().nth(before));
        from_the_end.copied().unwrap_or(Duration::MAX)
    }

    /// When anybody was heard last.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last
    }
}

/// Whether this node hears enough others to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Connected,
    /// A probe failed or a conviction is due, and too few were heard; others have been asked for a sign.
    Doubtful {
        since: Duration,
    },
    /// That did not change for a whole suspicion timeout: whoever was silent since a time, which moves on, is unreachable
    /// from here. The others are asked for a sign again and again.
    Isolated {
        since: Duration,
        asked: Duration,
    },
}

/// Convictions without confirmation, in a bucket that refills within 10 s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConvictionBudget {
    /// When the bucket is full again.
    full_at: Duration,
}

impl ConvictionBudget {
    const WINDOW: Duration = Duration::from_secs(10);

    /// Whether one more member may be convicted, of `limit` in 10 s.
    pub(crate) fn take(&mut self, now: Duration, limit: usize) -> bool {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let cost = Self::WINDOW / limit.max(1);
        let full_at = self.full_at.max(now) + cost;
        if full_at > now + Self::WINDOW + cost / 2 {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conviction_budget_allows_its_limit_at_once_and_again_after_ten_seconds() {
        let mut budget = ConvictionBudget::default();
        let mut taken = |now, tries: usize| {
            (0..tries).filter(|_| budget.take(Duration::from_secs(now), 5)).count()
        };
        assert_eq!(taken(100, 20), 5);
        assert_eq!(taken(102, 20), 1);
        assert_eq!(taken(120, 20), 5);
    }

    #[test]
    fn hearing_one_peer_often_counts_once() {
        let mut hearing = Hearing::default();
        for second in 0..10 {
            hearing.note(NodeId(1), Duration::from_secs(second));
        }
        hearing.note(NodeId(2), Duration::from_secs(3));
        assert_eq!(hearing.count_since(Duration::from_secs(3)), 2);
        assert_eq!(hearing.count_since(Duration::from_secs(4)), 1);
    }
}
