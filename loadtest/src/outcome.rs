//! What became of an operation, as far as its client knows.

use serde::{Deserialize, Serialize};

use crate::reply::Reply;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, at the level asked for.
    Done,
    /// Nothing was done, because the server does not serve now or not this client.
    Refused,
    /// Nothing was done, because too few owners could be reached.
    Unavailable,
    /// It may have been done, or may yet be: the server said so, or gave no answer.
    Unknown,
    /// An answer that says that what was asked is wrong.
    Error,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 5] =
        [Outcome::Done, Outcome::Refused, Outcome::Unavailable, Outcome::Unknown, Outcome::Error];

    /// As it is called in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Unavailable => "unavailable",
            Outcome::Unknown => "unknown",
            Outcome::Error => "error",
        }
    }

    /// What a reply says. The codes are those of Coterie, and those of Redis that mean the same.
    #[must_use]
    pub fn of(reply: &Reply<'_>) -> Outcome {
        let Reply::Error(text) = reply else {
            // MGET and the like: the worst of the parts is that of the whole.
            return match reply {
                Reply::Array(parts) => parts.iter().map(Outcome::of).max().unwrap_or(Outcome::Done),
                _ => Outcome::Done,
            };
        };
        match text.split(|byte| *byte == b' ').next().unwrap_or_default() {
            b"UNKNOWN" => Outcome::Unknown,
            b"UNAVAILABLE" | b"CLUSTERDOWN" | b"MASTERDOWN" | b"NOREPLICAS" | b"TRYAGAIN" => {
                Outcome::Unavailable
            }
            b"FULL" | b"BUSY" | b"LOADING" | b"OOM" | b"MISCONF" | b"READONLY" | b"NOPERM"
            | b"NOAUTH" => Outcome::Refused,
            _ => Outcome::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_codes() {
        let of = |text: &'static [u8]| Outcome::of(&Reply::Error(text));
        assert_eq!(of(b"UNKNOWN 1/2 owners are known to hold it"), Outcome::Unknown);
        assert_eq!(of(b"UNAVAILABLE too few owners"), Outcome::Unavailable);
        assert_eq!(of(b"LOADING"), Outcome::Refused);
        assert_eq!(of(b"WRONGTYPE Operation against a key"), Outcome::Error);
        assert_eq!(Outcome::of(&Reply::Null), Outcome::Done);
        let mixed = Reply::Array(vec![Reply::Null, Reply::Error(b"BUSY")]);
        assert_eq!(Outcome::of(&mixed), Outcome::Refused);
    }
}
