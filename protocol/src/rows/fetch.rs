//! The rows of a key, fetched and decoded.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::digest::key_digest;
use coterie_crdt::encoding::{DecodeError, decode_cell, decode_root};
use coterie_crdt::{Address, Cell, Footprint, Root, State};
use thiserror::Error;

use super::address::KeyPrefix;
use super::{NotResident, Rows, Space};
use crate::strong;

/// Why rows cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// They have to be fetched first: the driver does, and reads the event again.
    #[error(transparent)]
    NotResident(#[from] NotResident),
    /// What is stored does not decode. It is never taken for absence, and never replicated (invariant 16).
    #[error("a stored row is damaged")]
    Damaged(#[from] DecodeError),
    /// A row lies where no version writes one.
    #[error("a stored row has an address that no version wrote")]
    DamagedAddress,
    /// The row of a strong key does not decode.
    #[error(transparent)]
    DamagedRegister(#[from] strong::DamagedRow),
    /// More rows than one event may touch: the event goes on as a job of chunks.
    #[error("more rows than one event may touch")]
    TooMany,
}

/// What was read, `None` where rows are damaged or too many: that is a finding, what is not in memory has to be fetched first.
///
/// # Errors
/// [`NotResident`]
pub fn readable<T>(read: Result<T, ReadError>) -> Result<Option<T>, NotResident> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ReadError::NotResident(missing)) => Err(missing),
        Err(
            ReadError::Damaged(_)
            | ReadError::DamagedRegister(_)
            | ReadError::DamagedAddress
            | ReadError::TooMany,
        ) => Ok(None),
    }
}

/// The root of a key; an empty one where the key has no rows.
///
/// # Errors
/// [`ReadError`]
pub fn root(rows: &impl Rows, prefix: &KeyPrefix) -> Result<Root, ReadError> {
    match rows.get(Space::Rows, &prefix.root())? {
        Some(bytes) => Ok(decode_root(&bytes)?),
        None => Ok(Root::default()),
    }
}

/// The digest of a key from the row in the place of its root, be it a root or the register of a strong key.
///
/// # Errors
/// [`ReadError::Damaged`] or [`ReadError::DamagedRegister`]
pub fn digest_of(row: &Bytes) -> Result<u128, ReadError> {
    if strong::is_register(row) {
        Ok(strong::digest(&strong::decode(Some(row))?))
    } else {
        Ok(key_digest(&decode_root(row)?))
    }
}

/// One cell outside the root.
///
/// # Errors
/// [`ReadError`]
pub fn cell(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    address: &Address,
) -> Result<Option<Cell>, ReadError> {
    let bytes = rows.get(Space::Rows, &prefix.cell(address))?;
    bytes.map(|bytes: Bytes| Ok(decode_cell(address.kind, &bytes)?)).transpose()
}

/// The root and single cells of a key. Ranges, orders and tallies are not fetched.
///
/// # Errors
/// [`ReadError`]
pub fn cells<'a>(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    addresses: impl IntoIterator<Item = &'a Address>,
) -> Result<State, ReadError> {
    let root = root(rows, prefix)?;
    let mut cells = BTreeMap::new();
    for address in addresses {
        if !address.kind.lives_in_root()
            && let Some(cell) = cell(rows, prefix, address)?
        {
            cells.insert(address.clone(), cell);
        }
    }
    Ok(State::from_rows(root, cells))
}

/// Whether a footprint is of single cells only.
#[must_use]
pub fn is_cells(footprint: &Footprint) -> bool {
    footprint.ranges.is_empty() && footprint.derived.is_empty() && !footprint.tallied
}
