//! Commands as lines of words: what somebody types into a terminal.

use bytes::{Bytes, BytesMut};

use super::{LINE_BYTES_MAX, ProtocolError};

/// Takes a line from the front of `buffer` and puts its words into `words`; how long it was, or `None` where it has not
/// ended. `looked` bytes are known to have no end of a line in them.
pub(super) fn take(
    buffer: &mut BytesMut,
    looked: &mut usize,
    words: &mut Vec<Bytes>,
) -> Result<Option<usize>, ProtocolError> {
    let Some(end) = buffer[*looked..].iter().position(|byte| *byte == b'\n') else {
        *looked = buffer.len();
        return if buffer.len() > LINE_BYTES_MAX {
            Err(ProtocolError::LineTooLong)
        } else {
            Ok(None)
        };
    };
    let end = *looked + end + 1;
    if end > LINE_BYTES_MAX + 1 {
        return Err(ProtocolError::LineTooLong);
    }
    *looked = 0;
    let line = buffer.split_to(end).freeze();
    split(&line.slice(..end - 1), words)?;
    Ok(Some(end))
}

/// The words of a line. Quotes and escapes are those of Redis; a NUL ends the line.
fn split(line: &Bytes, words: &mut Vec<Bytes>) -> Result<(), ProtocolError> {
    let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    let line = line.slice(..end);
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|byte| is_space(**byte)).count();
        if at == line.len() {
            return Ok(());
        }
        let plain = line[at..].iter().take_while(|byte| is_plain(**byte)).count();
        if at + plain == line.len() || ends_word(line[at + plain]) {
            words.push(line.slice(at..at + plain));
            at += plain;
        } else {
            let mut word = Vec::with_capacity(64.min(line.len() - at));
            at = quoted(&line, at, &mut word)?;
            words.push(word.into());
        }
    }
}

/// Reads a word with quotes in it, from `at` on: where it ends.
fn quoted(line: &[u8], mut at: usize, word: &mut Vec<u8>) -> Result<usize, ProtocolError> {
    while at < line.len() && !ends_word(line[at]) {
        let quote = line[at];
        at += 1;
        if !matches!(quote, b'"' | b'\'') {
            word.push(quote);
            continue;
        }
        loop {
            match line.get(at..).unwrap_or_default() {
                [] => return Err(ProtocolError::UnbalancedQuotes),
                [end, rest @ ..] if *end == quote => {
                    if rest.first().is_some_and(|next| !is_space(*next)) {
                        return Err(ProtocolError::UnbalancedQuotes);
                    }
                    // A closing quote ends the word.
                    return Ok(at + 1);
                }
                [b'\\', b'x', high, low, ..]
                    if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    word.push(hex(*high) << 4 | hex(*low));
                    at += 4;
                }
                [b'\\', escaped, ..] if quote == b'"' => {
                    word.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'a' => 7,
                        other => *other,
                    });
                    at += 2;
                }
                [b'\\', b'\'', ..] if quote == b'\'' => {
                    word.push(b'\'');
                    at += 2;
                }
                [other, ..] => {
                    word.push(*other);
                    at += 1;
                }
            }
        }
    }
    Ok(at)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 11 | 12)
}

fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_plain(byte: u8) -> bool {
    !ends_word(byte) && !matches!(byte, b'"' | b'\'')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut words = Vec::new();
        split(&Bytes::copy_from_slice(line.as_bytes()), &mut words)?;
        Ok(words.iter().map(|word| word.to_vec()).collect())
    }

    #[test]
    fn words_are_split_as_redis_splits_them() {
        let cases: [(&str, &[&[u8]]); 9] = [
            ("PING", &[b"PING"]),
            ("  set\ta  b \r", &[b"set", b"a", b"b"]),
            (r#"set "a b" 'c d'"#, &[b"set", b"a b", b"c d"]),
            (r#""\x41\n\"\\" '\'\n'"#, &[b"A\n\"\\", b"'\\n"]),
            (r#"a"b c""#, &[b"ab c"]),
            (r#""""#, &[b""]),
            ("", &[]),
            ("a\0b c", &[b"a"]),
            (r#""\xzz""#, &[b"xzz"]),
        ];
        for (line, expected) in cases {
            let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.to_vec()).collect();
            assert_eq!(words(line), Ok(expected), "{line:?}");
        }
        for line in [r#""a"#, "'a", r#""a"b"#, r#"'a'b"#, r#""a\"#] {
            assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{line:?}");
        }
    }
}
