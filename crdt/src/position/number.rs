//! Integers whose encodings sort as they do.

use smallvec::SmallVec;

use super::Buffer;

/// A byte with the number of bytes that follow, then those, big-endian, the first not 0. Order of
/// bytes is order of numbers.
pub(super) fn write_unsigned(number: u64, to: &mut Buffer) {
    let skipped = number.leading_zeros() / 8;
    to.push(8 - skipped.to_le_bytes()[0]);
    to.extend(number.to_be_bytes().into_iter().skip(skipped as usize));
}

pub(super) fn read_unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(length))?;
    let mut number = [0; 8];
    number[8usize.checked_sub(digits.len())?..].copy_from_slice(digits);
    (digits.first() != Some(&0)).then_some((u64::from_be_bytes(number), rest))
}

/// The sign in the first byte: 0x80 + length for numbers from 0 on, 0x80 − length for those below, whose
/// magnitude is then written with all bits inverted. Order of bytes is order of numbers.
pub(super) fn write_signed(number: i64, to: &mut Buffer) {
    let at = to.len();
    write_unsigned(number.unsigned_abs(), to);
    if number < 0 {
        to[at] = 0x80 - to[at];
        to[at + 1..].iter_mut().for_each(|byte| *byte = !*byte);
    } else {
        to[at] += 0x80;
    }
}

pub(super) fn read_signed(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.first()?.abs_diff(0x80);
    let negative = bytes[0] < 0x80;
    if length > 8 {
        return None;
    }
    let mut magnitude: SmallVec<[u8; 9]> = SmallVec::from_slice(&[length]);
    let digits = bytes.get(1..=usize::from(length))?;
    magnitude.extend(digits.iter().map(|&byte| if negative { !byte } else { byte }));
    let (magnitude, _) = read_unsigned(&magnitude)?;
    let number = if negative {
        0i64.checked_sub_unsigned(magnitude)?
    } else {
        i64::try_from(magnitude).ok()?
    };
    Some((number, &bytes[1 + usize::from(length)..]))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::tests::config;
    use super::*;

    const EDGES: [i64; 9] = [i64::MIN, i64::MIN + 1, -256, -1, 0, 1, 255, 256, i64::MAX];

    pub(in super::super) fn signed() -> impl Strategy<Value = i64> {
        prop_oneof![prop::sample::select(EDGES.to_vec()), any::<i64>(), -300..300i64]
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn order_of_bytes_is_order_of_numbers(a in signed(), b in signed()) {
            let encode = |number| {
                let mut signed = Buffer::new();
                write_signed(number, &mut signed);
                let mut magnitude = Buffer::new();
                write_unsigned(number.unsigned_abs(), &mut magnitude);
                (signed, magnitude)
            };
            let ((signed_a, magnitude_a), (signed_b, magnitude_b)) = (encode(a), encode(b));
            prop_assert_eq!(signed_a.cmp(&signed_b), a.cmp(&b));
            prop_assert_eq!(read_signed(&signed_a), Some((a, &[][..])));
            prop_assert_eq!(magnitude_a.cmp(&magnitude_b), a.unsigned_abs().cmp(&b.unsigned_abs()));
            prop_assert_eq!(read_unsigned(&magnitude_a), Some((a.unsigned_abs(), &[][..])));
        }

        #[test]
        fn numbers_have_one_encoding(bytes in prop::collection::vec(0x78..=0x88u8, 1..10)) {
            if let Some((number, rest)) = read_signed(&bytes) {
                let mut again = Buffer::new();
                write_signed(number, &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
