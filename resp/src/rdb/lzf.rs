//! LZF, by which Redis compresses strings: runs of bytes as they are, and references to what was unpacked before.

/// What `packed` unpacks to, if that is exactly `length` bytes.
pub(super) fn unpacked(mut packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    while let Some((&control, rest)) = packed.split_first() {
        let control = usize::from(control);
        if control < 32 {
            let (run, rest) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(run);
            packed = rest;
        } else {
            let (more, rest) = match control >> 5 {
                7 => rest.split_first().map(|(&more, rest)| (7 + usize::from(more), rest))?,
                count => (count, rest),
            };
            let (&low, rest) = rest.split_first()?;
            let from = out.len().checked_sub(((control & 0x1f) << 8 | usize::from(low)) + 1)?;
            // It may reach into what it makes itself.
            for at in from..from + more + 2 {
                out.push(out[at]);
            }
            packed = rest;
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_references_that_overlap_are_unpacked() {
        assert_eq!(unpacked(&[2, b'a', b'b', b'c'], 3).unwrap(), b"abc");
        // Two bytes, then six from two back.
        assert_eq!(unpacked(&[1, b'a', b'b', 4 << 5, 1], 8).unwrap(), b"abababab");
        // One byte, then 7 + 10 + 2 from one back.
        assert_eq!(unpacked(&[0, b'x', 7 << 5, 10, 0], 20).unwrap(), [b'x'; 20]);
        assert_eq!(unpacked(&[], 0).unwrap(), b"");
    }

    #[test]
    fn what_reaches_too_far_or_makes_another_length_is_refused() {
        for (packed, length) in [
            (&[2, b'a'][..], 3),
            (&[0, b'a', 1 << 5, 1], 4),
            (&[0, b'a', 7 << 5], 4),
            (&[0, b'a', 1 << 5], 4),
            (&[0, b'a'], 2),
            (&[1, b'a', b'b'], 1),
        ] {
            assert_eq!(unpacked(packed, length), None, "{packed:?}");
        }
    }
}
