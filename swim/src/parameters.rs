//! How often, how long and how many: every number of the protocol in one place.

use std::time::Duration;

use crate::health::Hearing;
use crate::record::Accusers;

/// How long a suspicion lasts at least, as a function of the cluster's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspicionScale {
    /// Twice the time gossip takes to reach everybody, plus 0.4 s, and at least 2.5 s.
    ///
    /// Gossip with fan-out f reaches n nodes in ⌈ln n / ln(1 + f)⌉ + 3 rounds with margin; once for the
    /// accusation, once for the refutation.
    Gossip,
    /// `multiplier · max(1, log10 n)` probe intervals (memberlist's rule, for comparison).
    Logarithm {
        /// memberlist's `SuspicionMult`.
        multiplier: u32,
    },
}

/// In which order members are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOrder {
    /// All nodes step through the members in id order, each from its own place, at a round number they
    /// learn from each other's pings: so every member is probed about once a period, by somebody else each
    /// time. Up to 16 members, the one silent for longest goes first.
    Rotation,
    /// Each node goes through the members in an order of its own, shuffled anew after every pass.
    Shuffled,
}

/// Every number of the protocol. The default is for one region or several; nothing needs tuning to size.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Time between two probes of a healthy node, ±10 %.
    pub probe_interval: Duration,
    /// Whom to probe next.
    pub probe_order: ProbeOrder,
    /// Bounds of the time a direct ping may take; within them, 3·srtt + 4·rttvar of that member.
    pub direct_timeout: (Duration, Duration),
    /// Helpers asked to ping a member that did not answer.
    pub helpers: usize,
    /// Time a helper has before it answers that it failed too, in percent of what is left of the window.
    /// Above 100 the answer comes too late to be heard.
    pub helper_budget_percent: u32,
    /// Whether a helper's failed ping counts as its accusation.
    pub helpers_accuse: bool,
    /// The shortest suspicion.
    pub suspicion: SuspicionScale,
    /// The longest suspicion, that of a single accuser, in shortest suspicions.
    pub suspicion_max_factor: u32,
    /// Confirmations that bring a suspicion to its shortest (at most `Accusers::MAX` − 1).
    pub confirmations: usize,
    /// How often at most the suspicion of a member that keeps refuting is prolonged by its own length.
    pub damping_max: u32,
    /// Highest local health score; every point slows a node's probes by one interval.
    pub health_max: u8,
    /// Time between two rounds of gossip, while there is something to tell.
    pub gossip_interval: Duration,
    /// Members told per round.
    pub gossip_fanout: usize,
    /// Transmissions of one record: this times ⌈log10(n + 1)⌉.
    pub retransmit_multiplier: u32,
    /// Distinct peers that must have been heard lately before anybody is convicted (fewer in clusters of less
    /// than five; at most 4). 0 convicts without asking.
    pub isolation_peers: usize,
    /// Members that may be convicted by timeout without confirmations: 3 + n / this, in 10 s. 0: any number.
    pub mass_failure_divisor: usize,
    /// Whether a death nobody here suspected is shown as a suspicion first, for one suspicion timeout.
    pub hold_hearsay: bool,
    /// Longest time between two attempts to reach a member that is down (less in clusters under ten).
    /// `None`: the dead are not contacted.
    pub dead_contact_interval: Option<Duration>,
    /// Time between two synchronisations while digests differ.
    pub sync_interval: Duration,
    /// How long digests must differ before a synchronisation.
    pub sync_settle: Duration,
    /// How long a member that is down or left is remembered: longer than three times the longest split
    /// that is to heal by itself.
    pub tombstone_life: Duration,
    /// Most members held, dead ones included. More are refused and counted.
    pub members_max: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_order: ProbeOrder::Rotation,
            direct_timeout: (Duration::from_millis(50), Duration::from_millis(300)),
            helpers: 3,
            helper_budget_percent: 60,
            helpers_accuse: true,
            suspicion: SuspicionScale::Gossip,
            suspicion_max_factor: 6,
            confirmations: 3,
            damping_max: 3,
            health_max: 7,
            gossip_interval: Duration::from_millis(200),
            gossip_fanout: 3,
            retransmit_multiplier: 4,
            isolation_peers: 3,
            mass_failure_divisor: 50,
            hold_hearsay: true,
            dead_contact_interval: Some(Duration::from_secs(10)),
            sync_interval: Duration::from_secs(1),
            sync_settle: Duration::from_secs(2),
            tombstone_life: Duration::from_secs(24 * 60 * 60),
            members_max: 65_536,
        }
    }
}

impl Parameters {
    /// # Panics
    /// If a number is out of its range.
    pub(crate) fn check(&self) {
        assert!(!self.probe_interval.is_zero(), "time passes between probes");
        assert!(
            !self.gossip_interval.is_zero() && self.gossip_fanout > 0,
            "gossip reaches somebody"
        );
        assert!(self.confirmations < Accusers::MAX, "a suspicion names all its confirmations");
        assert!(self.isolation_peers <= Hearing::PEERS, "the last few peers heard are remembered");
    }

    /// Rounds after which gossip has reached all of `nodes`, with margin.
    #[must_use]
    pub fn gossip_rounds(&self, nodes: usize) -> u32 {
        let mut reached = 1_usize;
        let mut rounds = 0;
        while reached < nodes {
            reached = reached.saturating_mul(1 + self.gossip_fanout);
            rounds += 1;
        }
        rounds + 3
    }

    /// The shortest suspicion in a cluster of `nodes`.
    #[must_use]
    pub fn suspicion_min(&self, nodes: usize) -> Duration {
        match self.suspicion {
            SuspicionScale::Gossip => {
                let there_and_back = self.gossip_interval * self.gossip_rounds(nodes) * 2;
                (there_and_back + Duration::from_millis(400)).max(Duration::from_millis(2_500))
            }
            SuspicionScale::Logarithm { multiplier } => {
                #[expect(clippy::cast_precision_loss, reason = "cluster sizes are far below 2^52")]
                let scale = (nodes.max(1) as f64).log10().max(1.0);
                self.probe_interval.mul_f64(f64::from(multiplier) * scale)
            }
        }
    }

    /// How long a suspicion lasts that `confirmed` members besides the first accuser have confirmed, where
    /// `needed` could: from six times the shortest down to the shortest, by the logarithm.
    ///
    /// Source: Dadgar, Phillips and Currey 2018 (Lifeguard), §IV-B.
    #[must_use]
    pub fn suspicion_timeout(&self, min: Duration, confirmed: usize, needed: usize) -> Duration {
        if confirmed >= needed {
            return min;
        }
        let max = min * self.suspicion_max_factor;
        #[expect(clippy::cast_precision_loss, reason = "both are at most four")]
        let share = (confirmed as f64 + 1.0).ln() / (needed as f64 + 1.0).ln();
        max - (max - min).mul_f64(share)
    }

    /// Transmissions of one record in a cluster of `nodes`: the multiplier times ⌈log10(nodes + 1)⌉.
    #[must_use]
    pub fn transmissions(&self, nodes: usize) -> u32 {
        self.retransmit_multiplier * (nodes.max(1).ilog10() + 1)
    }

    /// Members that may be convicted by timeout alone within 10 s.
    #[must_use]
    pub fn convictions(&self, nodes: usize) -> usize {
        nodes.checked_div(self.mass_failure_divisor).map_or(usize::MAX, |share| 3 + share)
    }

    /// Peers that must have been heard lately before anybody is convicted.
    #[must_use]
    pub fn peers_needed(&self, nodes: usize) -> usize {
        self.isolation_peers.min(nodes.saturating_sub(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_suspicion_is_the_published_table() {
        let parameters = Parameters::default();
        let millis = |nodes| parameters.suspicion_min(nodes).as_millis();
        assert_eq!(
            [millis(10), millis(128), millis(1_000), millis(10_000)],
            [2_500, 3_200, 3_600, 4_400]
        );
    }

    #[test]
    fn confirmations_shorten_a_suspicion_to_its_minimum() {
        let parameters = Parameters::default();
        let min = Duration::from_secs(3);
        let seconds: Vec<u64> =
            (0..=3).map(|c| parameters.suspicion_timeout(min, c, 3).as_secs()).collect();
        assert_eq!(seconds, [18, 10, 6, 3]);
        assert_eq!(parameters.suspicion_timeout(min, 0, 0), min);
    }

    #[test]
    fn transmissions_grow_with_the_number_of_digits() {
        let parameters = Parameters::default();
        assert_eq!([9, 10, 99, 1_000].map(|n| parameters.transmissions(n)), [4, 8, 8, 16]);
    }
}
