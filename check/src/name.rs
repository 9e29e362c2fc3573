//! Names: the opaque bytes of keys, elements and values, readable wherever they are printed.

use std::fmt::{Debug, Display, Formatter, Result as FmtResult, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Bytes that name a key, an element or a value.
///
/// As text, printable ASCII stands for itself and every other byte, the backslash too, is `\xNN`; so
/// a name has one text and a text one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is not that of a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a name: bytes that do not print are \\xNN, in lower case")]
pub struct NameError(String);

impl Name {
    /// The bytes named.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Name(bytes.into())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name(text.as_bytes().into())
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        self.0.iter().try_for_each(|&byte| {
            if stands_for_itself(byte) {
                f.write_char(char::from(byte))
            } else {
                write!(f, "\\x{byte:02x}")
            }
        })
    }
}

impl Debug for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            if stands_for_itself(byte) {
                bytes.push(byte);
                rest = after;
            } else if let [b'\\', b'x', high, low, after @ ..] = rest {
                let decoded = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
                let decoded = decoded.filter(|&byte| !stands_for_itself(byte));
                bytes.push(decoded.ok_or_else(|| NameError(text.to_owned()))?);
                rest = after;
            } else {
                return Err(NameError(text.to_owned()));
            }
        }
        Ok(Name(bytes.into()))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_have_one_text() {
        let every: Vec<u8> = (0..=255).collect();
        let name = Name::from(every.as_slice());
        assert_eq!(name.to_string().parse::<Name>(), Ok(name));
        assert_eq!(Name::from("a b\\\n").to_string(), "a b\\x5c\\x0a");
        for text in ["\\", "\\x", "\\x4", "\\x41", "\\xFF", "ä", "\n"] {
            assert!(text.parse::<Name>().is_err(), "{text:?} is some other name's text");
        }
    }
}
