//! A probe under way, at the prober and at its helpers, and how long answers take.

use std::time::Duration;

use smallvec::SmallVec;

use crate::attributes::Address;
use crate::identity::NodeId;

/// Set in the numbers of pings that are no probes: helpers' pings and attempts to reach the dead.
pub(crate) const ERRAND: u32 = 1 << 31;

/// Smoothed round-trip time and its variation, after RFC 6298.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed_micros: u32,
    variation_micros: u32,
}

impl RoundTrip {
    pub(crate) fn sample(&mut self, elapsed: Duration) {
        let micros = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX).min(10_000_000);
        if self.smoothed_micros == 0 {
            self.smoothed_micros = micros.max(1);
            self.variation_micros = micros / 2;
        } else {
            let deviation = self.smoothed_micros.abs_diff(micros);
            self.variation_micros = (3 * self.variation_micros + deviation) / 4;
            self.smoothed_micros = ((7 * self.smoothed_micros + micros) / 8).max(1);
        }
    }

    /// How long to wait for an answer: 3·srtt + 4·rttvar within bounds, the upper one before any sample.
    pub(crate) fn timeout(&self, (min, max): (Duration, Duration)) -> Duration {
        if self.smoothed_micros == 0 {
            return max;
        }
        let micros = 3 * u64::from(self.smoothed_micros) + 4 * u64::from(self.variation_micros);
        Duration::from_micros(micros).clamp(min, max)
    }
}

/// How far a probe has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The target was pinged.
    Direct,
    /// It did not answer in time: it was pinged again, and helpers were asked.
    Indirect,
}

/// This node's probe of one member. There is at most one.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) target: NodeId,
    pub(crate) sequence: u32,
    pub(crate) sent: Duration,
    pub(crate) direct_until: Duration,
    pub(crate) window_until: Duration,
    pub(crate) phase: Phase,
    pub(crate) helpers: SmallVec<[NodeId; 4]>,
    /// Helpers that failed too, and so are well themselves.
    pub(crate) nackers: SmallVec<[NodeId; 4]>,
}

impl Probe {
    pub(crate) fn next_deadline(&self) -> Duration {
        match self.phase {
            Phase::Direct => self.direct_until.min(self.window_until),
            Phase::Indirect => self.window_until,
        }
    }

    /// Counts a helper's failure. True once every helper has failed.
    pub(crate) fn nack(&mut self, helper: NodeId) -> bool {
        if self.helpers.contains(&helper) && !self.nackers.contains(&helper) {
            self.nackers.push(helper);
        }
        !self.helpers.is_empty() && self.nackers.len() == self.helpers.len()
    }

    /// Helpers that did not say anything, if they are most of those asked: then it is likelier that this
    /// node does not hear than that they all died.
    pub(crate) fn silence_charge(&self) -> u8 {
        let missing = self.helpers.len() - self.nackers.len();
        if self.helpers.is_empty() {
            1
        } else if 2 * missing > self.helpers.len() {
            u8::try_from(missing).unwrap_or(u8::MAX)
        } else {
            0
        }
    }
}

/// A ping on behalf of another node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) requester: NodeId,
    pub(crate) reply_to: Address,
    /// The requester's number.
    pub(crate) requested: u32,
    /// The number of the ping sent for it.
    pub(crate) sequence: u32,
    pub(crate) target: NodeId,
    pub(crate) until: Duration,
}

/// Pings under way on behalf of others.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    open: Vec<Errand>,
    next_sequence: u32,
}

impl Errands {
    /// Enough for a helper asked by every node of a large cluster at once; further requests are ignored.
    pub(crate) const MAX: usize = 256;

    /// A fresh number, with its highest bit set.
    pub(crate) fn number(&mut self) -> u32 {
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.next_sequence | ERRAND
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn push(&mut self, errand: Errand) {
        self.open.push(errand);
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.open.iter().map(|errand| errand.until).min()
    }

    /// Takes out the errand that this answer settles.
    pub(crate) fn answered(&mut self, target: NodeId, sequence: u32) -> Option<Errand> {
        let matches = |errand: &Errand| errand.target == target && errand.sequence == sequence;
        self.open.iter().position(matches).map(|index| self.open.swap_remove(index))
    }

    /// Takes out an errand whose time is up.
    pub(crate) fn expired(&mut self, now: Duration) -> Option<Errand> {
        let index = self.open.iter().position(|errand| errand.until <= now)?;
        Some(self.open.swap_remove(index))
    }
}
