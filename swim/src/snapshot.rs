//! What a node writes down of the others, so that a later life knows whom to ask.

use thiserror::Error;

use crate::record::Record;
use crate::wire::{DecodeError, Reader, VERSION, encode_record};

/// Why bytes are no snapshot.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// They do not decode.
    #[error("the snapshot does not decode")]
    Decode(#[from] DecodeError),
    /// The checksum differs: torn or damaged.
    #[error("the snapshot's checksum differs")]
    Checksum,
}

/// Bytes of a snapshot of these records (see [`crate::Swim::memory`]).
#[must_use]
pub fn encode(records: impl IntoIterator<Item = Record>) -> Vec<u8> {
    let mut out = vec![VERSION];
    for record in records {
        encode_record(&record, &mut out);
    }
    let checksum = xxhash_rust::xxh3::xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The records of a snapshot.
///
/// # Errors
/// [`SnapshotError`]; the node then starts from its seeds.
pub fn decode(bytes: &[u8]) -> Result<Vec<Record>, SnapshotError> {
    let (body, checksum) = bytes.split_last_chunk().ok_or(DecodeError::Truncated)?;
    let mut reader = Reader::new(body);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version).into());
    }
    if xxhash_rust::xxh3::xxh3_64(body) != u64::from_le_bytes(*checksum) {
        return Err(SnapshotError::Checksum);
    }
    let mut records = Vec::new();
    while !reader.is_empty() {
        records.push(reader.record()?);
    }
    Ok(records)
}
