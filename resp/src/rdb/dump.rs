//! Writing a key's contents.

use bytes::Bytes;
use coterie_crdt::operation::{Contents, Item};
use coterie_crdt::{Address, Kind};
use thiserror::Error;

use super::{CRC, VERSION_WRITTEN, kind};

/// Redis has no form for what a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoForm {
    /// A HyperLogLog of this store, a flag, a nested map.
    #[error("what the key holds has no form in Redis's format")]
    Type,
    /// The version that is written is older than the expiry of fields.
    #[error(
        "the key has fields that expire, which have no form in the format of Redis 7.0: HPERSIST them first"
    )]
    FieldExpiry,
}

/// The payload of `DUMP`. The deadline is not part of it, as in Redis.
///
/// # Errors
/// [`NoForm`]
pub fn dump(contents: &Contents) -> Result<Vec<u8>, NoForm> {
    let cells = &contents.cells;
    let (Address { kind: of, .. }, _) = cells.first().ok_or(NoForm::Type)?;
    let mut out = vec![match of {
        Kind::Register => kind::STRING,
        Kind::Element => kind::LIST,
        Kind::Member | Kind::GuardedMember | Kind::GrowOnlyMember => kind::SET,
        Kind::Field => kind::HASH,
        Kind::Scored => kind::SORTED_SET_BINARY,
        Kind::Nested | Kind::Sketch | Kind::EnableFlag | Kind::DisableFlag | Kind::Expiry => {
            return Err(NoForm::Type);
        }
    }];
    if *of != Kind::Register {
        put_length(&mut out, cells.len());
    }
    for (address, item) in cells {
        match (address.kind, item) {
            (Kind::Register | Kind::Element, Item::Value(value)) => put_string(&mut out, value),
            (Kind::Member | Kind::GuardedMember | Kind::GrowOnlyMember, Item::Present) => {
                put_string(&mut out, &address.path);
            }
            (Kind::Field, Item::Value(value)) => {
                put_string(&mut out, &address.path);
                put_string(&mut out, value);
            }
            (Kind::Scored, Item::Score(score)) => {
                put_string(&mut out, &address.path);
                out.extend_from_slice(&score.get().to_le_bytes());
            }
            (_, Item::ValueUntil(..)) => return Err(NoForm::FieldExpiry),
            _ => return Err(NoForm::Type),
        }
    }
    seal(&mut out);
    Ok(out)
}

/// Adds version and checksum.
pub(super) fn seal(out: &mut Vec<u8>) {
    out.extend_from_slice(&VERSION_WRITTEN.to_le_bytes());
    let sum = CRC.checksum(out);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// A length in one byte, two, five or nine.
fn put_length(out: &mut Vec<u8>, length: usize) {
    match (u16::try_from(length), u32::try_from(length)) {
        (Ok(length @ 0..64), _) => out.push(length.to_be_bytes()[1]),
        (Ok(length @ 64..16_384), _) => out.extend_from_slice(&(0x4000 | length).to_be_bytes()),
        (_, Ok(length)) => {
            out.push(0x80);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_longer)) => {
            out.push(0x81);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

fn put_string(out: &mut Vec<u8>, bytes: &Bytes) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}
