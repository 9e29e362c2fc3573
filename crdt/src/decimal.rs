//! Decimals with 17 places: what string and hash values are incremented in.

use std::fmt;

/// Places after the point: as many as Redis prints for INCRBYFLOAT.
const PLACES: u32 = 17;
const UNIT: i128 = 10i128.pow(PLACES);

/// A number in steps of 10⁻¹⁷, at most about ±1.7 × 10²¹.
///
/// Sums of these are exact, whatever their order, which sums of floats are not: replicas that add the
/// same increments in different order read the same value (docs/decisions/0101-decimals.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// Why bytes are not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDecimalError {
    /// Not a number at all.
    #[error("not a decimal number")]
    Malformed,
    /// An infinity.
    #[error("not a finite number")]
    Infinite,
    /// A number, but too large to add to exactly.
    #[error("number out of the range of decimals")]
    Range,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal(0);

    /// An integer.
    pub fn from_integer(value: i64) -> Self {
        Decimal(i128::from(value) * UNIT)
    }

    /// From steps of 10⁻¹⁷.
    pub const fn from_steps(steps: i128) -> Self {
        Decimal(steps)
    }

    /// In steps of 10⁻¹⁷.
    pub const fn steps(self) -> i128 {
        self.0
    }

    /// The value where it is an integer that fits, else `None`.
    pub fn to_integer(self) -> Option<i64> {
        (self.0 % UNIT == 0).then(|| i64::try_from(self.0 / UNIT).ok()).flatten()
    }

    /// The sum, or `None` where it does not fit.
    pub fn checked_add(self, other: Decimal) -> Option<Decimal> {
        self.0.checked_add(other.0).map(Decimal)
    }

    /// Parses what Redis takes as a float: sign, digits, point, exponent; no spaces. Places past the
    /// 17th are rounded half away from zero.
    ///
    /// # Errors
    /// [`ParseDecimalError`]
    pub fn parse(text: &[u8]) -> Result<Decimal, ParseDecimalError> {
        use ParseDecimalError::{Infinite, Malformed, Range};
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if [&b"inf"[..], b"infinity"].iter().any(|word| digits.eq_ignore_ascii_case(word)) {
            return Err(Infinite);
        }
        let (mantissa, exponent) = match digits.iter().position(|b| b.eq_ignore_ascii_case(&b'e')) {
            Some(at) => (&digits[..at], parse_exponent(&digits[at + 1..])?),
            None => (digits, 0),
        };
        let point = mantissa.iter().position(|&b| b == b'.').unwrap_or(mantissa.len());
        let fraction = mantissa.get(point + 1..).unwrap_or(&[]);
        let whole = &mantissa[..point];
        let mut digits = whole.iter().chain(fraction).peekable();
        // All of them first: what is no number is not a number that is too large.
        if digits.peek().is_none() || !digits.all(u8::is_ascii_digit) {
            return Err(Malformed);
        }
        let mut steps = 0i128;
        // The place of the digit at hand: 0 is the unit's, −1 the first after the point.
        let mut place = i64::try_from(whole.len()).map_err(|_too_long| Range)? - 1 + exponent;
        for &digit in whole.iter().chain(fraction) {
            let value = i128::from(digit - b'0');
            let scale = place + i64::from(PLACES);
            if scale >= 0 && value != 0 {
                let factor = u32::try_from(scale).ok().and_then(|s| 10i128.checked_pow(s));
                let term = factor.and_then(|factor| factor.checked_mul(value)).ok_or(Range)?;
                steps = steps.checked_add(term).ok_or(Range)?;
            } else if scale == -1 && value >= 5 {
                steps = steps.checked_add(1).ok_or(Range)?;
            }
            place -= 1;
        }
        Ok(Decimal(if negative { -steps } else { steps }))
    }
}

/// An exponent; beyond ±10,000 it stands for "out of all bounds", which is all that matters.
fn parse_exponent(text: &[u8]) -> Result<i64, ParseDecimalError> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseDecimalError::Malformed);
    }
    let value = digits.iter().fold(0i64, |sum, &b| (sum * 10 + i64::from(b - b'0')).min(10_000));
    Ok(sign * value)
}

impl fmt::Display for Decimal {
    /// As Redis prints INCRBYFLOAT results: no exponent, no trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0.unsigned_abs() / UNIT.unsigned_abs(), self.0 % UNIT);
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if fraction != 0 {
            let digits = format!("{:017}", fraction.unsigned_abs());
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let (a, b) = (Decimal::parse(a.as_bytes()).unwrap(), Decimal::parse(b.as_bytes()).unwrap());
        a.checked_add(b).unwrap().to_string()
    }

    #[test]
    fn sums_print_as_redis_prints_them() {
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("10.50", "0.1"), "10.6");
        assert_eq!(sum("5.0e3", "2.0e2"), "5200");
        assert_eq!(sum("3", "-5.5"), "-2.5");
        assert_eq!(sum("-0.25", ".25"), "0");
        assert_eq!(sum("1.", "1e-17"), "1.00000000000000001");
        assert_eq!(sum("0", "4e-18"), "0");
    }

    #[test]
    fn what_is_no_number_is_told_from_what_is_too_large() {
        use ParseDecimalError::{Infinite, Malformed, Range};
        for text in ["nan", "", "-", ".", "1 ", " 1", "1e", "1e+", "0x10", "1.2.3", "abc", "--1"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(Malformed), "{text}");
        }
        let long = "9".repeat(30) + "x";
        assert_eq!(Decimal::parse(long.as_bytes()), Err(Malformed));
        for text in ["inf", "-Infinity", "+INF"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(Infinite), "{text}");
        }
        for text in ["1e22", "2000000000000000000000", "1e99999999999"] {
            assert_eq!(Decimal::parse(text.as_bytes()), Err(Range), "{text}");
        }
        assert_eq!(Decimal::parse(b"1e-99999"), Ok(Decimal::ZERO));
        assert_eq!(Decimal::parse(b"0e99999"), Ok(Decimal::ZERO));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverse(steps in any::<i128>()) {
            let steps = steps >> 1;
            let text = Decimal::from_steps(steps).to_string();
            prop_assert_eq!(Decimal::parse(text.as_bytes()), Ok(Decimal::from_steps(steps)));
        }

        #[test]
        fn integers_are_exact(value in any::<i64>()) {
            prop_assert_eq!(Decimal::from_integer(value).to_integer(), Some(value));
            prop_assert_eq!(Decimal::parse(value.to_string().as_bytes()),
                Ok(Decimal::from_integer(value)));
        }

        #[test]
        fn any_bytes_parse_without_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let parsed = Decimal::parse(&text);
            prop_assert!(parsed.is_err() || !text.is_empty());
        }
    }
}
