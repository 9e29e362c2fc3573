//! The network's faults: latency, loss, splits, one-way cuts, packet sizes.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

/// What the network does to packets between nodes, by their index.
#[derive(Clone, Debug)]
pub struct Network {
    /// Shortest and longest one-way latency.
    pub latency: (Duration, Duration),
    /// Share of datagrams lost.
    pub loss: f64,
    /// The side of a split each node is on; a missing entry is side 0. Sides do not hear each other.
    pub sides: Vec<u8>,
    /// Pairs (from, to) that are cut in this direction only.
    pub cuts: BTreeSet<(usize, usize)>,
    /// Largest datagram payload; larger ones vanish, as they do on a path whose limit shrank.
    pub bytes_max: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: (Duration::from_micros(300), Duration::from_millis(1)),
            loss: 0.0,
            sides: Vec::new(),
            cuts: BTreeSet::new(),
            bytes_max: 1_150,
        }
    }
}

impl Network {
    /// Splits the nodes by a function of their index.
    pub fn split(&mut self, nodes: usize, side: impl Fn(usize) -> u8) {
        self.sides = (0..nodes).map(side).collect();
    }

    /// Ends every split and cut.
    pub fn heal(&mut self) {
        self.sides.clear();
        self.cuts.clear();
    }

    pub(super) fn connects(&self, from: usize, to: usize) -> bool {
        let side = |index: usize| self.sides.get(index).copied().unwrap_or(0);
        side(from) == side(to) && (self.cuts.is_empty() || !self.cuts.contains(&(from, to)))
    }

    pub(super) fn loses(&self, bytes: usize, rng: &mut Xoshiro256PlusPlus) -> bool {
        bytes > self.bytes_max || (self.loss > 0.0 && rng.random_bool(self.loss))
    }

    pub(super) fn delay(&self, rng: &mut Xoshiro256PlusPlus) -> Duration {
        rng.random_range(self.latency.0..=self.latency.1)
    }
}
