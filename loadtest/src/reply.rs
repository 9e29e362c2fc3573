//! Replies of servers, RESP2 and RESP3, as far as they have come.

use thiserror::Error;

/// Replies within replies.
const DEPTH_MAX: usize = 16;

/// The longest text or the most elements that are read: more is taken for nonsense.
const LENGTH_MAX: usize = 1 << 30;

/// A reply, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// A short text, as `OK`.
    Status(&'a [u8]),
    /// An error; its code is the first word.
    Error(&'a [u8]),
    /// A number.
    Integer(i64),
    /// A floating-point or a big number, as text.
    Number(&'a [u8]),
    /// Bytes.
    Bulk(&'a [u8]),
    /// Yes or no.
    Boolean(bool),
    /// Nothing.
    Null,
    /// Some of these; of a map, keys and values in turn.
    Array(Vec<Reply<'a>>),
    /// Told without having been asked for.
    Push(Vec<Reply<'a>>),
}

/// Why bytes are no reply. The connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the server's answer is not in the Redis protocol: {0}")]
pub struct Malformed(String);

/// The first reply of some bytes, and how many of these it takes; nothing if more must come.
///
/// # Errors
/// If no reply begins like this.
pub fn parse(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    let reply = reader.reply(0)?;
    Ok(reply.map(|reply| (reply, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Option<Reply<'a>>, Malformed> {
        let Some(line) = self.line() else { return Ok(None) };
        let [kind, rest @ ..] = line else { return Err(Malformed("an empty line".to_owned())) };
        Ok(Some(match kind {
            b'+' => Reply::Status(rest),
            b'-' => Reply::Error(rest),
            b':' => Reply::Integer(number(rest)?),
            b',' | b'(' => Reply::Number(rest),
            b'_' => Reply::Null,
            b'#' => Reply::Boolean(rest == b"t"),
            b'$' | b'!' | b'=' => {
                let Some(length) = length(rest)? else { return Ok(Some(Reply::Null)) };
                let Some(body) = self.body(length)? else { return Ok(None) };
                match kind {
                    b'!' => Reply::Error(body),
                    // Three letters and a colon say what it is.
                    b'=' => Reply::Bulk(body.get(4..).unwrap_or_default()),
                    _ => Reply::Bulk(body),
                }
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let Some(count) = length(rest)? else { return Ok(Some(Reply::Null)) };
                let count = if matches!(kind, b'%' | b'|') { count * 2 } else { count };
                let Some(elements) = self.elements(count, depth)? else { return Ok(None) };
                match kind {
                    b'>' => Reply::Push(elements),
                    // Attributes are beside the reply, which comes next.
                    b'|' => return self.reply(depth + 1),
                    _ => Reply::Array(elements),
                }
            }
            _ => return Err(malformed(line)),
        }))
    }

    fn elements(
        &mut self,
        count: usize,
        depth: usize,
    ) -> Result<Option<Vec<Reply<'a>>>, Malformed> {
        if depth >= DEPTH_MAX {
            return Err(Malformed(format!("more than {DEPTH_MAX} replies within replies")));
        }
        // The shortest element takes 3 bytes: no room is made for what has only been declared.
        let mut elements = Vec::with_capacity(count.min((self.bytes.len() - self.at) / 3));
        for _ in 0..count {
            let Some(element) = self.reply(depth + 1)? else { return Ok(None) };
            elements.push(element);
        }
        Ok(Some(elements))
    }

    /// Up to the end of a line, which is taken but not returned.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\r')?;
        if rest.len() < end + 2 {
            return None;
        }
        self.at += end + 2;
        Some(&rest[..end])
    }

    fn body(&mut self, length: usize) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.bytes[self.at..];
        let Some(body) = rest.get(..length + 2) else { return Ok(None) };
        if !body.ends_with(b"\r\n") {
            return Err(Malformed("bytes do not end where they should".to_owned()));
        }
        self.at += length + 2;
        Ok(Some(&body[..length]))
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| malformed(text))
}

/// Nothing for -1, as RESP2 says nothing.
fn length(text: &[u8]) -> Result<Option<usize>, Malformed> {
    match number(text)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).ok().filter(|length| *length <= LENGTH_MAX);
            length.map(Some).ok_or_else(|| malformed(text))
        }
    }
}

fn malformed(bytes: &[u8]) -> Malformed {
    let shown = &bytes[..bytes.len().min(60)];
    Malformed(format!("{:?}", String::from_utf8_lossy(shown)))
}

impl Reply<'_> {
    /// Whether it says that nothing is there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Reply::Null => true,
            Reply::Array(elements) => elements.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn replies_of_both_versions_are_read() {
        let read = |bytes: &'static [u8]| parse(bytes).unwrap().unwrap().0;
        assert_eq!(read(b"+OK\r\n"), Reply::Status(b"OK"));
        assert_eq!(read(b"-UNAVAILABLE no\r\n"), Reply::Error(b"UNAVAILABLE no"));
        assert_eq!(read(b":-7\r\n"), Reply::Integer(-7));
        assert_eq!(read(b"$-1\r\n"), Reply::Null);
        assert_eq!(read(b"*-1\r\n"), Reply::Null);
        assert_eq!(read(b"_\r\n"), Reply::Null);
        assert_eq!(read(b"$0\r\n\r\n"), Reply::Bulk(b""));
        assert_eq!(read(b"$2\r\n\r\n\r\n"), Reply::Bulk(b"\r\n"));
        assert_eq!(read(b"#t\r\n"), Reply::Boolean(true));
        assert_eq!(read(b",1.5\r\n"), Reply::Number(b"1.5"));
        assert_eq!(read(b"=6\r\ntxt:hi\r\n"), Reply::Bulk(b"hi"));
        assert_eq!(read(b"!3\r\nERR\r\n"), Reply::Error(b"ERR"));
        let map = vec![Reply::Bulk(b"a"), Reply::Integer(1)];
        assert_eq!(read(b"%1\r\n$1\r\na\r\n:1\r\n"), Reply::Array(map));
        assert_eq!(read(b"|1\r\n+a\r\n+b\r\n:2\r\n"), Reply::Integer(2));
        assert_eq!(read(b">1\r\n+a\r\n"), Reply::Push(vec![Reply::Status(b"a")]));
        for bytes in
            [&b"?\r\n"[..], b":x\r\n", b"$-2\r\n", b"$1\r\nabc", b"\r\n", b"$9999999999\r\n"]
        {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
        let deep = b"*1\r\n".repeat(DEPTH_MAX + 1);
        assert!(parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn what_has_come_in_part_is_waited_for(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5),
        ) {
            let mut bytes = format!("*{}\r\n", bodies.len()).into_bytes();
            for body in &bodies {
                bytes.extend(format!("${}\r\n", body.len()).into_bytes());
                bytes.extend(body);
                bytes.extend(b"\r\n");
            }
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            let whole = bytes.len();
            let elements = bodies.iter().map(|body| Reply::Bulk(body)).collect();
            let mut more = bytes.clone();
            more.extend(b"+OK");
            prop_assert_eq!(parse(&more), Ok(Some((Reply::Array(elements), whole))));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = parse(&bytes).map(|read| read.map(|(_, used)| used));
            if let Ok(Some(used)) = read {
                prop_assert!(used <= bytes.len());
            }
        }
    }
}
