//! The row of a strong key: one acceptor of its register.
//!
//! It stands where other keys have their root, and begins with another version byte. Its digest covers the
//! vote, not the promise: promises are never copied.

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_ring::register::{self, Wire};
use coterie_wire::peer::strong::RegisterValue;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128;

use super::value::StrongValue;

/// The acceptor of one key at one owner.
pub type Acceptor = register::Acceptor<NodeId, RegisterValue>;

/// Begins a strong key's row; roots begin with a version that is less.
const VERSION: u8 = b'S';

/// Begins what is hashed for a digest, so that no digest of another kind of row equals it by design.
const DIGEST_DOMAIN: [u8; 2] = [1, b'v'];

/// Why a strong key's row cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a strong key's row is damaged")]
pub struct DamagedRow;

/// Whether a row in the place of a root is a strong key's.
#[must_use]
pub fn is_register(row: &[u8]) -> bool {
    row.first() == Some(&VERSION)
}

/// The acceptor in a row; a new one where there is no row.
///
/// # Errors
/// [`DamagedRow`]: the owner may have voted and must not contradict itself, so it does not vote.
pub fn decode(row: Option<&Bytes>) -> Result<Acceptor, DamagedRow> {
    let Some(row) = row else { return Ok(Acceptor::default()) };
    let body = row.strip_prefix(&[VERSION]).ok_or(DamagedRow)?;
    let acceptor = Acceptor::decode(body).map_err(|_malformed| DamagedRow)?;
    let readable = acceptor.accepted().is_none_or(|vote| StrongValue::decode(&vote.value).is_ok());
    readable.then_some(acceptor).ok_or(DamagedRow)
}

/// The row of an acceptor.
#[must_use]
pub fn encode(acceptor: &Acceptor) -> Bytes {
    let mut row = vec![VERSION];
    row.extend_from_slice(&acceptor.encode());
    row.into()
}

/// The digest of a strong key: of its vote, 0 where it has none.
#[must_use]
pub fn digest(acceptor: &Acceptor) -> u128 {
    let Some(vote) = acceptor.accepted() else { return 0 };
    let mut hashed = DIGEST_DOMAIN.to_vec();
    vote.write(&mut hashed);
    xxh3_128(&hashed)
}
