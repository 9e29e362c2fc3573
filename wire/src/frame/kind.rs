//! Kinds of messages by number. A number is never used again for something else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Body;

/// Why a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    UnknownKind,
    Malformed,
}

macro_rules! kinds {
    ($($number:literal => $variant:ident),+ $(,)?) => {
        /// The number of a body's kind.
        pub(super) fn of(body: &Body) -> u16 {
            match body {
                $(Body::$variant(_) => $number,)+
            }
        }

        pub(super) fn write_body(body: &Body, out: &mut Vec<u8>) {
            match body {
                $(Body::$variant(content) => write(content, out),)+
            }
        }

        pub(super) fn read_body(kind: u16, bytes: &[u8]) -> Result<Body, BodyError> {
            match kind {
                $($number => read(bytes).map(Body::$variant),)+
                _ => Err(BodyError::UnknownKind),
            }
        }
    };
}

kinds! {
    1 => Forward,
    2 => Forwarded,
    3 => Write,
    4 => Wrote,
    5 => Read,
    6 => Shown,
    7 => Query,
    8 => Queried,
    9 => Register,
    10 => Registered,
    11 => Vote,
    12 => Control,
    13 => Refused,
    14 => Sync,
    15 => Hint,
    17 => Move,
    18 => Reception,
    19 => Purge,
    20 => Listing,
}

fn write(content: &impl Serialize, out: &mut Vec<u8>) {
    rmp_serde::encode::write(out, content).expect("memory takes what is written");
}

/// Bytes after the content are a newer sender's, and skipped.
fn read<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, BodyError> {
    rmp_serde::decode::from_read(&mut bytes).map_err(|_reason| BodyError::Malformed)
}
