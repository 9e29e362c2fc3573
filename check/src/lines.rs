//! Histories as JSON lines, so that a run can be stored and judged again.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Record;

/// The version of the lines that this crate writes and reads.
pub const VERSION: u32 = 1;

/// The longest line that is decoded, in bytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// The first line of a stored history.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    coterie_history: u32,
}

/// Why a line is not one of a history. Nothing was taken from it.
#[derive(Debug, Error)]
pub enum LineError {
    /// The first line does not say that this is a history.
    #[error("the first line does not say which version of a history follows")]
    NoHeader,
    /// Of another version.
    #[error("version {0} of histories is not read here, only {VERSION}")]
    Version(u32),
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("a line of {0} bytes; at most {LINE_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not JSON, or not a record.
    #[error("not a record")]
    NotARecord(#[source] serde_json::Error),
}

/// The first line, without its line break.
#[must_use]
pub fn header_line() -> String {
    format!("{{\"coterie_history\":{VERSION}}}")
}

/// Checks the first line.
///
/// # Errors
/// If it is not the first line of a history of this version.
pub fn check_header(line: &str) -> Result<(), LineError> {
    let header: Header = serde_json::from_str(line).map_err(|_ignored| LineError::NoHeader)?;
    if header.coterie_history == VERSION {
        Ok(())
    } else {
        Err(LineError::Version(header.coterie_history))
    }
}

/// The line of a record, without its line break.
///
/// # Panics
/// Never: every record has a line.
#[must_use]
pub fn encode_line(record: &Record) -> String {
    serde_json::to_string(record).expect("records have no maps and no failing parts")
}

/// The record of a line.
///
/// # Errors
/// If it is none.
pub fn decode_line(line: &str) -> Result<Record, LineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong(line.len()));
    }
    serde_json::from_str(line).map_err(LineError::NotARecord)
}
