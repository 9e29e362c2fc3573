//! Numbers as Redis reads them: by C's `strtod`, in one of two ways.

/// A number as `ZADD` and its like read one: the whole word, no space before it, neither NaN nor too large or small
/// to be held.
pub(super) fn parse_strict(text: &[u8]) -> Option<f64> {
    let space = text.first()?.is_ascii_whitespace();
    if space { None } else { parse_lenient(text) }
}

/// A number as bounds of ranges and `SORT` read one: nothing is 0, and spaces may come first.
pub(super) fn parse_lenient(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii_start();
    if text.is_empty() {
        return Some(0.0);
    }
    let value: f64 = text.parse().ok()?;
    let held = match value {
        _ if value.is_nan() => false,
        _ if value.is_infinite() => text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'n')),
        _ if value == 0.0 => !text
            .bytes()
            .take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'))
            .any(|byte| (b'1'..=b'9').contains(&byte)),
        _ => true,
    };
    held.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_small_to_be_held_is_no_number() {
        for text in ["1e999", "-1e999", "1e-999", "nan", "-nan", "0x", "1 ", "1e", "--1", "."] {
            assert_eq!(parse_lenient(text.as_bytes()), None, "{text}");
        }
        for (text, value) in [("0e9", 0.0), (".5", 0.5), ("5.", 5.0), ("1E2", 100.0), ("+1", 1.0)] {
            assert_eq!(parse_strict(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_strict(b"-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!((parse_strict(b""), parse_strict(b" 1")), (None, None));
        assert_eq!((parse_lenient(b""), parse_lenient(b" 1")), (Some(0.0), Some(1.0)));
    }
}
