//! Randomness: one stream per concern, so that a draw more in one does not change the others.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stream of random choices.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream of the concern `name` in the run of `seed`.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        Random(Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(name.as_bytes(), seed)))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.random()
    }

    /// A number from `least` up to, and not with, `end`.
    ///
    /// # Panics
    /// If there is none.
    pub fn below(&mut self, least: u64, end: u64) -> u64 {
        self.0.random_range(least..end)
    }

    /// An index of something with `count` places.
    ///
    /// # Panics
    /// If there is none.
    pub fn index(&mut self, count: usize) -> usize {
        self.0.random_range(0..count)
    }

    /// True as often as `permille` in 1,000.
    pub fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.0.random_range(0..1_000) < permille
    }

    /// One of several.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// A time between two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        if most <= least {
            return least;
        }
        least + (most - least).mul_f64(self.0.random_range(0.0..1.0))
    }

    /// A time of the exponential distribution with this mean, at most ten times it.
    pub fn around(&mut self, mean: Duration) -> Duration {
        let uniform: f64 = self.0.random_range(0.0..1.0);
        mean.mul_f64((-(1.0 - uniform).ln()).min(10.0))
    }
}
