//! Reading a key's contents.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::operation::{Contents, Item};
use coterie_crdt::{Address, Kind, Score};
use thiserror::Error;

use super::packed::{intset, listpack, ziplist};
use super::reader::{Reader, score};
use super::{CRC, FOOTER_BYTES, VERSION_READ_MAX, kind};

/// Why a payload cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Its checksum is wrong, or its version is later than what is known.
    #[error("the version of the payload is not known, or its checksum is wrong")]
    Sealed,
    /// What is in it is of a type that there is not here, or not well-formed.
    #[error("the payload is not well-formed, or of a type that there is not here")]
    Contents,
    /// It unpacks to more than may be stored at once.
    #[error("the payload unpacks to more than may be stored at once")]
    TooLarge,
}

/// What a payload of `DUMP`, of this store or of Redis, holds.
///
/// # Errors
/// [`Malformed`]
pub fn restore(payload: &[u8]) -> Result<Contents, Malformed> {
    let length = payload.len().checked_sub(FOOTER_BYTES).ok_or(Malformed::Sealed)?;
    let (body, footer) = payload.split_at(length);
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    let sum = CRC.checksum(&payload[..length + 2]);
    if version > VERSION_READ_MAX || footer[2..] != sum.to_le_bytes() {
        return Err(Malformed::Sealed);
    }
    let mut reader = Reader::new(body);
    let cells = cells(&mut reader)?;
    if cells.is_empty() || !reader.is_at_end() {
        return Err(Malformed::Contents);
    }
    Ok(Contents { cells, deadline: None })
}

type Cells = Vec<(Address, Item)>;

fn cells(reader: &mut Reader<'_>) -> Result<Cells, Malformed> {
    match reader.byte()? {
        kind::STRING => Ok(vec![(Address::REGISTER, Item::Value(reader.string()?))]),
        kind::LIST => Ok(list(strings(reader)?)),
        kind::SET => set(strings(reader)?),
        kind::HASH => {
            let count = reader.length()?.checked_mul(2).ok_or(Malformed::Contents)?;
            hash(several(reader, count, Reader::string)?)
        }
        kind::SORTED_SET => {
            let count = reader.length()?;
            sorted(several(reader, count, |it| Ok((it.string()?, it.score_in_digits()?)))?)
        }
        kind::SORTED_SET_BINARY => {
            let count = reader.length()?;
            let member = |it: &mut Reader<'_>| Ok((it.string()?, f64::from_le_bytes(it.array()?)));
            sorted(several(reader, count, member)?)
        }
        kind::LIST_ZIPLIST => Ok(list(ziplist(&reader.string()?)?)),
        kind::SET_INTSET => set(intset(&reader.string()?)?),
        kind::SORTED_SET_ZIPLIST => sorted_pairs(&ziplist(&reader.string()?)?),
        kind::HASH_ZIPLIST => hash(ziplist(&reader.string()?)?),
        kind::LIST_QUICKLIST => {
            let count = reader.length()?;
            let parts = several(reader, count, |it| ziplist(&it.string()?))?;
            Ok(list(parts.concat()))
        }
        kind::HASH_LISTPACK => hash(listpack(&reader.string()?)?),
        kind::SORTED_SET_LISTPACK => sorted_pairs(&listpack(&reader.string()?)?),
        kind::LIST_QUICKLIST_2 => {
            let count = reader.length()?;
            let parts = several(reader, count, |it| match it.length()? {
                // An element that is too long for a listpack.
                1 => Ok(vec![it.string()?]),
                2 => listpack(&it.string()?),
                _ => Err(Malformed::Contents),
            })?;
            Ok(list(parts.concat()))
        }
        kind::SET_LISTPACK => set(listpack(&reader.string()?)?),
        _ => Err(Malformed::Contents),
    }
}

/// So many of something. What a payload says of their number is believed only as far as there are bytes.
fn several<'a, T>(
    reader: &mut Reader<'a>,
    count: usize,
    one: impl Fn(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(reader)?);
    }
    Ok(all)
}

fn strings(reader: &mut Reader<'_>) -> Result<Vec<Bytes>, Malformed> {
    let count = reader.length()?;
    several(reader, count, Reader::string)
}

/// Elements in their order. They are given positions where they are stored.
fn list(elements: Vec<Bytes>) -> Cells {
    let place = |at: u64| Address::new(Kind::Element, at.to_be_bytes().to_vec());
    (0..).zip(elements).map(|(at, value)| (place(at), Item::Value(value))).collect()
}

fn set(members: Vec<Bytes>) -> Result<Cells, Malformed> {
    distinct(Kind::Member, members.into_iter().map(|member| (member, Item::Present)))
}

fn hash(pairs: Vec<Bytes>) -> Result<Cells, Malformed> {
    let (pairs, []) = pairs.as_chunks::<2>() else { return Err(Malformed::Contents) };
    let item = |[field, value]: &[Bytes; 2]| (field.clone(), Item::Value(value.clone()));
    distinct(Kind::Field, pairs.iter().map(item))
}

fn sorted_pairs(pairs: &[Bytes]) -> Result<Cells, Malformed> {
    let (pairs, []) = pairs.as_chunks::<2>() else { return Err(Malformed::Contents) };
    let read = |[member, digits]: &[Bytes; 2]| Ok((member.clone(), score(digits)?));
    sorted(pairs.iter().map(read).collect::<Result<_, Malformed>>()?)
}

fn sorted(members: Vec<(Bytes, f64)>) -> Result<Cells, Malformed> {
    let mut items = Vec::new();
    for (member, score) in members {
        let score = Score::new(score).ok_or(Malformed::Contents)?;
        items.push((member, Item::Score(score)));
    }
    distinct(Kind::Scored, items.into_iter())
}

/// Cells in the order of their addresses, as contents have them. None is there twice.
fn distinct(
    kind: Kind,
    items: impl ExactSizeIterator<Item = (Bytes, Item)>,
) -> Result<Cells, Malformed> {
    let count = items.len();
    let ordered: BTreeMap<Bytes, Item> = items.collect();
    if ordered.len() < count {
        return Err(Malformed::Contents);
    }
    Ok(ordered.into_iter().map(|(path, item)| (Address::new(kind, path), item)).collect())
}
