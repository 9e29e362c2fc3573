//! Replies, read from bytes.

use bytes::Bytes;

/// A reply. What it is made of keeps its kind, so that equal ones are equal in bytes but for what was made equal.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(crate) enum Reply {
    /// A line: its kind and what it says. Nothing (`$-1`, `*-1`, `_`) too.
    Line(u8, Bytes),
    /// A string of any bytes.
    Bulk(Bytes),
    /// Several: the kind, and what they are. Of a map, keys and values alternate.
    Several(u8, Vec<Reply>),
}

impl Reply {
    /// How many bytes the first reply takes; none where it is not all there.
    pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        take(bytes, &mut at).map(|_| at)
    }

    /// The one reply that `bytes` are.
    pub(crate) fn parse(bytes: &[u8]) -> Reply {
        let mut at = 0;
        let reply = take(bytes, &mut at).expect("a whole reply");
        assert_eq!(at, bytes.len(), "more than one reply: {}", bytes.escape_ascii());
        reply
    }

    /// All strings in it, in order.
    pub(crate) fn strings(&self) -> Vec<Bytes> {
        match self {
            Reply::Line(..) => Vec::new(),
            Reply::Bulk(bytes) => vec![bytes.clone()],
            Reply::Several(_, replies) => replies.iter().flat_map(Reply::strings).collect(),
        }
    }

    /// The number that it is.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Reply::Line(b':', text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Reply::Line(..) | Reply::Bulk(_) | Reply::Several(..) => None,
        }
    }

    /// The number that its bytes are.
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Reply::Bulk(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Reply::Line(..) | Reply::Several(..) => None,
        }
    }

    /// Whether it is an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Reply::Line(b'-', _))
    }
}

fn take(bytes: &[u8], at: &mut usize) -> Option<Reply> {
    let rest = bytes.get(*at..)?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let (kind, text) = (rest[0], &rest[1..end]);
    *at += end + 2;
    let line = Reply::Line(kind, Bytes::copy_from_slice(text));
    let count = || std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    match kind {
        b'$' | b'=' => {
            let Some(count) = count() else { return Some(line) };
            let bulk = bytes.get(*at..*at + count)?;
            bytes.get(*at + count..*at + count + 2)?;
            *at += count + 2;
            Some(Reply::Bulk(Bytes::copy_from_slice(bulk)))
        }
        b'*' | b'~' | b'%' | b'>' => {
            let Some(count) = count() else { return Some(line) };
            let count = if kind == b'%' { 2 * count } else { count };
            let replies = (0..count).map(|_| take(bytes, at)).collect::<Option<_>>()?;
            Some(Reply::Several(kind, replies))
        }
        _ => Some(line),
    }
}
