//! Sketches: about how many distinct elements a HyperLogLog has seen.

use xxhash_rust::xxh3::xxh3_64;

/// p: how many bits of an element's hash choose its register.
const INDEX_BITS: u32 = 14;
/// m: how many registers a sketch has.
const REGISTERS: usize = 1 << INDEX_BITS;
/// q: how many bits of the hash are left for the rank.
const RANK_BITS: u32 = u64::BITS - INDEX_BITS;
/// The rank of a hash whose last 50 bits are 0.
const RANK_MAX: u8 = 51;

/// The ranks of a HyperLogLog's registers, all 0 at first. Standard error of the
/// [estimate](Sketch::estimate): 1.04 / √16384 = 0.81 %.
///
/// Source: Flajolet et al. 2007, "HyperLogLog: the analysis of a near-optimal cardinality estimation
/// algorithm", with 64-bit hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    ranks: Vec<u8>,
}

impl Sketch {
    /// A sketch that has seen nothing.
    pub fn new() -> Self {
        Sketch { ranks: vec![0; REGISTERS] }
    }

    /// Raises a register to at least `rank`. An index or rank that no sketch has is passed over.
    pub fn raise(&mut self, index: u16, rank: u8) {
        if let Some(held) = self.ranks.get_mut(usize::from(index)).filter(|_| rank <= RANK_MAX) {
            *held = rank.max(*held);
        }
    }

    /// The registers that are not 0: (index, rank), by index.
    pub fn registers(&self) -> impl Iterator<Item = (u16, u8)> {
        (0..).zip(&self.ranks).filter(|(_, rank)| **rank > 0).map(|(index, rank)| (index, *rank))
    }

    /// About how many distinct elements were seen.
    ///
    /// Source: Ertl 2017, "New cardinality estimation algorithms for HyperLogLog sketches", §4
    /// (algorithm 6, the improved raw estimator), which needs no table of corrections and no switch
    /// between estimators. IEEE arithmetic and square roots only, so all replicas answer alike.
    pub fn estimate(&self) -> u64 {
        let mut count_of_rank = [0u32; RANK_MAX as usize + 1];
        for rank in &self.ranks {
            count_of_rank[usize::from(*rank)] += 1;
        }
        let registers = REGISTERS as f64;
        let share = |rank: usize| f64::from(count_of_rank[rank]) / registers;
        let mut sum = registers * tau(1.0 - share(usize::from(RANK_MAX)));
        for count in count_of_rank[1..=RANK_BITS as usize].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(share(0));
        let estimate = 0.5 / std::f64::consts::LN_2 * registers * registers / sum;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates where every register is at its greatest rank"
        )]
        let rounded = estimate.round() as u64;
        rounded
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch::new()
    }
}

impl FromIterator<(u16, u8)> for Sketch {
    /// The union of all that the registers are from.
    fn from_iter<I: IntoIterator<Item = (u16, u8)>>(registers: I) -> Self {
        let mut sketch = Sketch::new();
        registers.into_iter().for_each(|(index, rank)| sketch.raise(index, rank));
        sketch
    }
}

/// Which register an element belongs to, and the rank that it raises it to, 1 to 51.
///
/// Of xxh3-64 of the element, the low 14 bits are the index; the rank is the number of zeros that the
/// other 50 end with, plus one (docs/formats.md).
pub fn register_of(element: &[u8]) -> (u16, u8) {
    let hash = xxh3_64(element);
    let [low, high, ..] = (hash & (REGISTERS as u64 - 1)).to_le_bytes();
    // A bit above the 50 stands for the end of them.
    let rest = hash >> INDEX_BITS | 1 << RANK_BITS;
    let [zeros, ..] = rest.trailing_zeros().to_le_bytes();
    (u16::from_le_bytes([low, high]), zeros + 1)
}

/// x + Σ x^(2^k) 2^(k−1) for k from 1; infinite for x = 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut weight) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// (1 − x − Σ (1 − x^(2^−k))² 2^−k for k from 1) / 3.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand::SeedableRng as _;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn registers_are_those_of_the_format() {
        // xxh3-64 of no bytes is 0x2d06800538d394c2, of "a" 0xe6c632b61e964e1f.
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(register_of(b""), (0x14c2, 2));
        assert_eq!(xxh3_64(b"a"), 0xe6c6_32b6_1e96_4e1f);
        assert_eq!(register_of(b"a"), (0x0e1f, 1));
    }

    #[test]
    fn nothing_is_estimated_of_an_empty_sketch_and_much_of_a_full_one() {
        assert_eq!(Sketch::new().estimate(), 0);
        let full: Sketch = (0..1 << INDEX_BITS).map(|index| (index, RANK_MAX)).collect();
        assert_eq!(full.registers().count(), REGISTERS);
        assert_eq!(full.estimate(), u64::MAX);
    }

    #[test]
    fn what_no_sketch_has_is_passed_over() {
        let foreign = [(1 << INDEX_BITS, 1), (u16::MAX, 1), (0, RANK_MAX + 1), (0, u8::MAX)];
        assert_eq!(foreign.into_iter().collect::<Sketch>(), Sketch::new());
    }

    #[test]
    fn estimates_are_within_three_standard_errors() {
        let bound = 3.0 * 1.04 / (REGISTERS as f64).sqrt();
        for seed in 1..=5 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let (mut sketch, mut seen) = (Sketch::new(), 0u32);
            for distinct in [100, 1_000, 10_000, 30_000, 50_000, 100_000, 300_000, 1_000_000] {
                while seen < distinct {
                    let (index, rank) = register_of(&random.random::<[u8; 16]>());
                    sketch.raise(index, rank);
                    seen += 1;
                }
                let error = sketch.estimate() as f64 / f64::from(distinct) - 1.0;
                eprintln!(
                    "seed {seed}, {distinct} distinct elements: off by {:+.2} %",
                    error * 100.0
                );
                assert!(error.abs() <= bound, "{error}");
            }
        }
    }

    #[test]
    fn estimates_are_unbiased() {
        const SKETCHES: u32 = 100;
        let mut sum = 0.0;
        for seed in 0..SKETCHES {
            let elements =
                (0..50_000u32).map(|n| (u64::from(seed) << 32 | u64::from(n)).to_le_bytes());
            let sketch: Sketch = elements.map(|element| register_of(&element)).collect();
            sum += sketch.estimate() as f64 / 50_000.0 - 1.0;
        }
        let mean = sum / f64::from(SKETCHES);
        eprintln!("{SKETCHES} sketches of 50000: off by {:+.3} % on average", mean * 100.0);
        assert!(mean.abs() <= 3.0 * 1.04 / (REGISTERS as f64 * f64::from(SKETCHES)).sqrt());
    }

    #[test]
    fn small_counts_are_nearly_exact() {
        let mut sketch = Sketch::new();
        for distinct in 1..=100u32 {
            let (index, rank) = register_of(&distinct.to_be_bytes());
            sketch.raise(index, rank);
            assert!(sketch.estimate().abs_diff(distinct.into()) <= 2, "{distinct}");
        }
    }
}
