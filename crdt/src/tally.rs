//! Tallies: sums to which every actor adds its own share.

use crate::decimal::Decimal;
use crate::dot::Actor;
use crate::payload::Score;

/// Which part of a cell's sum a [`Tally`] is: its actor's `ordinal`-th.
///
/// An actor goes on with its last share while that can still be added to exactly, and opens the next
/// one otherwise ([`Tally::is_open`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// The only one who ever increments it.
    pub actor: Actor,
    /// 0 for the actor's first share of this cell.
    pub ordinal: u32,
}

/// How the four amounts of a cell's tallies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Steps of 10⁻¹⁷ ([`Decimal`]): registers, hash fields.
    Decimal,
    /// Bits of a non-negative `f64`, whose order is that of the numbers: scores.
    Float,
}

/// What one share adds: Σ increments − Σ decrements, each above its baseline.
///
/// All four only grow, so tallies join by component-wise maximum without a context. A reset raises the
/// baselines to the amounts it observed and carries those amounts along; increments it did not observe
/// survive it (invariant 8). Value: (p − p0) − (n − n0), with p ≥ p0 and n ≥ n0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tally {
    /// Increments so far.
    pub p: u128,
    /// Decrements so far.
    pub n: u128,
    /// Increments that resets have taken back.
    pub p0: u128,
    /// Decrements that resets have taken back.
    pub n0: u128,
}

impl Tally {
    /// Takes the greater of each amount.
    pub fn join(&mut self, other: &Tally) {
        self.p = self.p.max(other.p);
        self.n = self.n.max(other.n);
        self.p0 = self.p0.max(other.p0);
        self.n0 = self.n0.max(other.n0);
    }

    /// Whether the baselines are within the amounts, as those of every tally of ours are.
    pub fn is_sound(&self, unit: Unit) -> bool {
        let bits_max = match unit {
            Unit::Decimal => i128::MAX.unsigned_abs(),
            Unit::Float => u128::from(f64::INFINITY.to_bits()),
        };
        self.p0 <= self.p && self.n0 <= self.n && self.p <= bits_max && self.n <= bits_max
    }

    /// Whether nothing was ever added.
    pub fn is_zero(&self) -> bool {
        self.p == 0 && self.n == 0
    }

    /// Whether something in it was not taken back.
    pub fn is_standing(&self) -> bool {
        self.p != self.p0 || self.n != self.n0
    }

    /// Whether the next increment may go here: a float share with a baseline is closed, because
    /// p − p0 of floats would lose small increments.
    pub fn is_open(&self, unit: Unit) -> bool {
        unit == Unit::Decimal || (self.p0 == 0 && self.n0 == 0)
    }

    /// This tally with everything in it taken back.
    #[must_use]
    pub fn reset(&self) -> Tally {
        Tally { p: self.p, n: self.n, p0: self.p, n0: self.n }
    }

    /// What the share adds, in decimals. Saturates at the ends of [`Decimal`].
    pub fn decimal(&self) -> Decimal {
        let amount = |raised: u128, base: u128| {
            i128::try_from(raised.saturating_sub(base)).unwrap_or(i128::MAX)
        };
        Decimal::from_steps(amount(self.p, self.p0).saturating_sub(amount(self.n, self.n0)))
    }

    /// What the share adds, as a float.
    pub fn float(&self) -> f64 {
        let amount = |bits: u128| f64::from_bits(u64::try_from(bits).unwrap_or(u64::MAX >> 12));
        (amount(self.p) - amount(self.p0)) - (amount(self.n) - amount(self.n0))
    }

    /// This tally with `by` added, or `None` where the amounts cannot hold it.
    #[must_use]
    pub fn add_decimal(mut self, by: Decimal) -> Option<Tally> {
        let side = if by < Decimal::ZERO { &mut self.n } else { &mut self.p };
        *side = side.checked_add(by.steps().unsigned_abs())?;
        self.is_sound(Unit::Decimal).then_some(self)
    }

    /// This tally with `by` added, or `None` where the sum is not finite.
    #[must_use]
    pub fn add_float(mut self, by: f64) -> Option<Tally> {
        let side = if by < 0.0 { &mut self.n } else { &mut self.p };
        let sum = f64::from_bits(u64::try_from(*side).ok()?) + by.abs();
        *side = u128::from(sum.to_bits());
        sum.is_finite().then_some(self)
    }
}

/// What all `tallies` add, in decimals. Saturates.
pub fn decimal_sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Decimal {
    let steps = tallies.into_iter().fold(0i128, |sum, t| sum.saturating_add(t.decimal().steps()));
    Decimal::from_steps(steps)
}

/// `base` plus what all `tallies` add. Opposite infinities make 0, as in Redis's unions.
pub fn float_sum<'a>(base: f64, tallies: impl IntoIterator<Item = &'a Tally>) -> Score {
    let sum = tallies.into_iter().fold(base, |sum, t| sum + t.float());
    Score::new(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn increments_that_a_reset_did_not_observe_survive_it() {
        let five = Tally::default().add_decimal(Decimal::from_integer(5)).unwrap();
        let seven = five.add_decimal(Decimal::from_integer(2)).unwrap();
        let mut joined = five.reset();
        joined.join(&seven);
        assert_eq!(joined.decimal().to_integer(), Some(2));
    }

    #[test]
    fn a_float_share_with_a_baseline_is_closed() {
        let tally = Tally::default().add_float(1e10).unwrap();
        assert!(tally.is_open(Unit::Float));
        assert!(!tally.reset().is_open(Unit::Float));
        assert!(tally.reset().is_open(Unit::Decimal));
        assert_eq!(tally.reset().float(), 0.0);
    }

    proptest! {
        #[test]
        fn decimal_tallies_add_up(steps in prop::collection::vec(any::<i64>(), 0..20)) {
            let mut tally = Tally::default();
            for &step in &steps {
                tally = tally.add_decimal(Decimal::from_steps(step.into())).unwrap();
                prop_assert!(tally.is_sound(Unit::Decimal));
            }
            let sum: i128 = steps.iter().map(|&s| i128::from(s)).sum();
            prop_assert_eq!(tally.decimal().steps(), sum);
        }

        #[test]
        fn the_order_of_float_bits_is_the_order_of_amounts(a in 0.0..1e300f64, b in 0.0..1e300f64) {
            prop_assert_eq!(a < b, a.to_bits() < b.to_bits());
        }
    }
}
