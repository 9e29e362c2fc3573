//! Bytes in JSON: text where they are UTF-8, else `{"base64": "…"}`, said explicitly both ways.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A key, member, field or value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value(pub(super) Bytes);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary<T> {
    base64: T,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or {\"base64\": \"…\"} where it is not UTF-8")]
enum Either {
    Text(String),
    Binary(Binary<String>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Ok(Value(text.into_bytes().into())),
            Either::Binary(Binary { base64 }) => {
                let bytes = STANDARD.decode(base64.as_bytes());
                bytes.map(|bytes| Value(bytes.into())).map_err(de::Error::custom)
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_binary) => Binary { base64: STANDARD.encode(&self.0) }.serialize(serializer),
        }
    }
}

/// A token as a header carries it.
pub(super) fn to_header(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

/// The token that a header carries, if it is one.
pub(super) fn from_header(text: &str) -> Option<Bytes> {
    URL_SAFE_NO_PAD.decode(text.as_bytes()).ok().map(Bytes::from)
}

/// A segment of a path with its `%` escapes taken back; it need not be UTF-8. Nothing where an escape is malformed.
pub(super) fn unescape(segment: &str) -> Option<Bytes> {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let (high, low) = (digit(tail.first()?)?, digit(tail.get(1)?)?);
        out.push(high << 4 | low);
        rest = &tail[2..];
    }
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_all_else_says_that_it_is_base64() {
        for bytes in [&b""[..], b"apples", "Äpfel".as_bytes(), b"\xff\x00", b"{\"base64\": 1}"] {
            let value = Value(Bytes::copy_from_slice(bytes));
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(json.contains("base64\":\""), std::str::from_utf8(bytes).is_err(), "{json}");
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }
        for json in ["1", "null", "{\"base64\": \"%\"}", "{\"base64\": \"\", \"x\": 1}", "[]"] {
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn escapes_in_paths_are_taken_back() {
        assert_eq!(unescape("a%2Fb%20c%ff").unwrap(), &b"a/b c\xff"[..]);
        assert_eq!(unescape("a+b").unwrap(), &b"a+b"[..]);
        for malformed in ["%", "%1", "%zz", "a%f"] {
            assert_eq!(unescape(malformed), None);
        }
    }
}
