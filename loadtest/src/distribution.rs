//! Which record an operation is about.

use std::fmt::{Display, Formatter, Result as FmtResult};

use rand::RngExt;
use rand_distr::{Distribution as _, Zipf};

use crate::Random;

/// YCSB's constant: the record of rank `i` is drawn with a probability proportional to `1 / i^0.99`.
///
/// Source: Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010, and its
/// `ZipfianGenerator.ZIPFIAN_CONSTANT`.
pub const ZIPFIAN_CONSTANT: f64 = 0.99;

/// A prime above any number of records, so that multiplying by it permutes them: that of xxHash.
const SCRAMBLING_PRIME: u64 = 0x9E37_79B1_85EB_CA87;

/// How records are chosen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// A few records are asked for most of the time, and lie anywhere.
    Zipfian,
    /// Every record as often as any other.
    Uniform,
    /// As zipfian, the most popular being what was inserted last.
    Latest,
}

impl Display for Distribution {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        f.write_str(match self {
            Distribution::Zipfian => "zipfian",
            Distribution::Uniform => "uniform",
            Distribution::Latest => "latest",
        })
    }
}

/// Chooses records.
///
/// Deviations from YCSB: ranks are drawn exactly, by rejection (Hörmann and Derflinger 1996), where YCSB
/// approximates (Gray et al. 1994); they are scrambled by a permutation, where YCSB hashes ranks among
/// 10^10 and so adds the popularity of those that collide. Each record's probability is then that of the
/// formula.
#[derive(Clone, Debug)]
pub struct Choice {
    distribution: Distribution,
    records: u64,
    zipf: Zipf<f64>,
}

impl Choice {
    /// Among so many records at the beginning.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(distribution: Distribution, records: u64) -> Choice {
        assert!(records > 0, "there is something to choose from");
        let zipf = Zipf::new(records as f64, ZIPFIAN_CONSTANT)
            .expect("a positive number and exponent have a distribution");
        Choice { distribution, records, zipf }
    }

    /// A record below `present`, which is how many there are now: at least those at the beginning.
    ///
    /// Zipfian choices stay among the records of the beginning. Latest ones are among as many records as
    /// there were then, counted from the newest.
    pub fn draw(&self, random: &mut Random, present: u64) -> u64 {
        match self.distribution {
            Distribution::Uniform => random.random_range(0..present.max(1)),
            Distribution::Zipfian => scrambled(self.rank(random), self.records),
            Distribution::Latest => present.saturating_sub(1).saturating_sub(self.rank(random)),
        }
    }

    /// From 0, the most popular, to the last.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a whole number of at least 1"
    )]
    fn rank(&self, random: &mut Random) -> u64 {
        ((self.zipf.sample(random) as u64).max(1) - 1).min(self.records - 1)
    }
}

/// Where the record of a rank lies: a permutation of `0..records`.
#[must_use]
pub fn scrambled(rank: u64, records: u64) -> u64 {
    let product = u128::from(rank) * u128::from(SCRAMBLING_PRIME);
    u64::try_from(product % u128::from(records)).expect("it is below a number of 64 bits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn counts(distribution: Distribution, records: u64, draws: u64) -> Vec<u64> {
        let choice = Choice::new(distribution, records);
        let mut random = Random::seed_from_u64(7);
        let mut counts = vec![0; usize::try_from(records).unwrap()];
        for _ in 0..draws {
            counts[usize::try_from(choice.draw(&mut random, records)).unwrap()] += 1;
        }
        counts
    }

    /// Pearson's statistic of `counts` against probabilities, those expected below 5 times taken together.
    fn chi_square(counts: &[u64], probabilities: &[f64], draws: u64) -> (f64, f64) {
        let (mut sum, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
        for (&count, probability) in counts.iter().zip(probabilities) {
            let expected = probability * draws as f64;
            if expected < 5.0 {
                rest = (rest.0 + count as f64, rest.1 + expected);
            } else {
                sum += (count as f64 - expected).powi(2) / expected;
                cells += 1.0;
            }
        }
        if rest.1 > 5.0 {
            sum += (rest.0 - rest.1).powi(2) / rest.1;
            cells += 1.0;
        }
        (sum, cells - 1.0)
    }

    fn fits(counts: &[u64], probabilities: &[f64], draws: u64) {
        let (statistic, freedom) = chi_square(counts, probabilities, draws);
        // Mean and deviation of the statistic; the seed is fixed, so this passes or does not.
        let bound = freedom + 5.0 * (2.0 * freedom).sqrt();
        assert!(statistic < bound, "{statistic} at {freedom} degrees of freedom");
    }

    fn zipfian_probabilities(records: u64) -> Vec<f64> {
        let weights: Vec<f64> =
            (1..=records).map(|rank| (rank as f64).powf(-ZIPFIAN_CONSTANT)).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    #[test]
    fn zipfian_frequencies_are_those_of_the_formula() {
        for records in [2, 10, 1_000] {
            let draws = 200_000;
            let counts = counts(Distribution::Zipfian, records, draws);
            let by_rank: Vec<u64> = (0..records)
                .map(|rank| counts[usize::try_from(scrambled(rank, records)).unwrap()])
                .collect();
            fits(&by_rank, &zipfian_probabilities(records), draws);
        }
    }

    #[test]
    fn another_exponent_would_not_fit() {
        let draws = 200_000;
        let counts = counts(Distribution::Zipfian, 1_000, draws);
        let by_rank: Vec<u64> = (0..1_000)
            .map(|rank| counts[usize::try_from(scrambled(rank, 1_000)).unwrap()])
            .collect();
        let weights: Vec<f64> = (1..=1_000).map(|rank| f64::from(rank).powf(-0.95)).collect();
        let sum: f64 = weights.iter().sum();
        let probabilities: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
        let (statistic, freedom) = chi_square(&by_rank, &probabilities, draws);
        assert!(statistic > 2.0 * freedom, "{statistic} at {freedom} degrees of freedom");
    }

    #[test]
    fn latest_is_zipfian_from_the_newest_on() {
        let draws = 200_000;
        let mut counts = counts(Distribution::Latest, 500, draws);
        counts.reverse();
        fits(&counts, &zipfian_probabilities(500), draws);
    }

    #[test]
    fn uniform_is_even() {
        let counts = counts(Distribution::Uniform, 100, 200_000);
        fits(&counts, &[0.01; 100], 200_000);
    }

    proptest! {
        #[test]
        fn scrambling_permutes(records in 1u64..3_000) {
            let all: BTreeSet<u64> = (0..records).map(|rank| scrambled(rank, records)).collect();
            prop_assert_eq!(all.len() as u64, records);
            prop_assert!(all.iter().all(|record| *record < records));
        }

        #[test]
        fn what_is_drawn_is_present(
            records in 1u64..1_000, more in 0u64..1_000, seed: u64,
            distribution in prop_oneof![
                Just(Distribution::Zipfian), Just(Distribution::Uniform), Just(Distribution::Latest)
            ],
        ) {
            let choice = Choice::new(distribution, records);
            let mut random = Random::seed_from_u64(seed);
            for _ in 0..50 {
                prop_assert!(choice.draw(&mut random, records + more) < records + more);
            }
        }
    }
}
