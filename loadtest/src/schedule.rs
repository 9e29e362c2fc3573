//! When operations are meant to begin, whatever becomes of the ones before them.

use rand::SeedableRng;
use rand_distr::{Distribution as _, Exp};

use crate::Random;

/// Nanoseconds since a run began.
pub type Nanos = u64;

/// A second.
pub const SECOND: Nanos = 1_000_000_000;

/// How starts lie in time.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly: the start number i of all connections is i / rate seconds after the beginning.
    Even,
    /// As of many clients who know nothing of each other: gaps are exponential.
    Poisson,
}

/// The starts of one connection, without end; they never go back.
#[derive(Clone, Debug)]
pub enum Starts {
    /// See [`Arrivals::Even`].
    Even {
        /// Of all connections, a second.
        rate: u64,
        /// The number of the next start, among those of all connections.
        next: u128,
        /// How many connections there are.
        connections: u64,
    },
    /// See [`Arrivals::Poisson`].
    Poisson {
        /// The lengths of gaps, in seconds.
        gaps: Exp<f64>,
        /// The next start.
        next: Nanos,
        /// What gaps are drawn from.
        random: Box<Random>,
    },
}

impl Starts {
    /// Those of a connection, where all `connections` together start `rate` operations a second.
    ///
    /// # Panics
    /// If the rate is 0 or there are no connections.
    #[must_use]
    pub fn new(
        arrivals: Arrivals,
        rate: u64,
        connection: u64,
        connections: u64,
        seed: u64,
    ) -> Starts {
        assert!(rate > 0 && connections > 0, "something starts, somewhere");
        match arrivals {
            Arrivals::Even => Starts::Even { rate, next: u128::from(connection), connections },
            Arrivals::Poisson => {
                let gaps = Exp::new(rate as f64 / connections as f64)
                    .expect("a positive rate has a distribution");
                let mut random = Box::new(Random::seed_from_u64(seed ^ connection.rotate_left(32)));
                let next = nanos(gaps.sample(&mut *random));
                Starts::Poisson { gaps, next, random }
            }
        }
    }

    /// The next start.
    #[must_use]
    pub fn peek(&self) -> Nanos {
        match self {
            Starts::Even { rate, next, .. } => {
                let at = next * u128::from(SECOND) / u128::from(*rate);
                Nanos::try_from(at).unwrap_or(Nanos::MAX)
            }
            Starts::Poisson { next, .. } => *next,
        }
    }
}

impl Iterator for Starts {
    type Item = Nanos;

    fn next(&mut self) -> Option<Nanos> {
        let at = self.peek();
        match self {
            Starts::Even { next, connections, .. } => *next += u128::from(*connections),
            Starts::Poisson { gaps, next, random } => {
                *next = next.saturating_add(nanos(gaps.sample(&mut **random)));
            }
        }
        Some(at)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "gaps are positive, and casts saturate"
)]
fn nanos(seconds: f64) -> Nanos {
    (seconds * SECOND as f64) as Nanos
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn even_starts_of_all_connections_are_exact(
            rate in 1u64..5_000_000, connections in 1u64..70,
        ) {
            let each = 50;
            let mut all = Vec::new();
            for connection in 0..connections {
                let starts = Starts::new(Arrivals::Even, rate, connection, connections, 1);
                all.extend(starts.take(each));
            }
            all.sort_unstable();
            for (index, at) in (0u128..).zip(all) {
                prop_assert_eq!(u128::from(at), index * 1_000_000_000 / u128::from(rate));
            }
        }

        #[test]
        fn poisson_starts_come_at_the_rate_and_are_the_same_again(
            rate in 100u64..100_000, connections in 1u64..20, seed: u64,
        ) {
            let of = |connection| {
                Starts::new(Arrivals::Poisson, rate, connection, connections, seed)
            };
            let mut count = 0u64;
            let until = 20_000 * SECOND / rate;
            for connection in 0..connections {
                let starts: Vec<Nanos> = of(connection).take_while(|at| *at < until).collect();
                prop_assert!(starts.is_sorted());
                let again: Vec<Nanos> = of(connection).take_while(|at| *at < until).collect();
                prop_assert_eq!(&starts, &again);
                count += starts.len() as u64;
            }
            // 20,000 are expected, with a deviation of 141.
            prop_assert!((19_000..21_000).contains(&count), "{}", count);
        }
    }

    #[test]
    fn starts_do_not_drift() {
        let mut starts = Starts::new(Arrivals::Even, 3, 0, 1, 0);
        assert_eq!(starts.nth(3_000_000), Some(1_000_000 * SECOND));
    }
}
