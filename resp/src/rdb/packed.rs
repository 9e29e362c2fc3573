//! The blobs in which Redis keeps small lists, sets, hashes and sorted sets: listpacks, ziplists and intsets.

use bytes::Bytes;

use super::reader::Reader;
use super::restore::Malformed;

/// The byte after the last entry.
const END: u8 = 0xff;

/// The entries of a listpack (Redis 7 and later): each is what it is, then how long that was.
pub(super) fn listpack(blob: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let mut reader = Reader::new(blob);
    // Its bytes and the number of its entries, which the entries say, too.
    reader.take(6)?;
    let mut entries = Vec::new();
    loop {
        let first = reader.byte()?;
        let low = usize::from(first & 0x0f);
        let (entry, bytes) = match first {
            END if reader.is_at_end() => return Ok(entries),
            0x00..=0x7f => (number(i64::from(first)), 1),
            0x80..=0xbf => {
                let length = usize::from(first & 0x3f);
                (string(&mut reader, length)?, 1 + length)
            }
            0xc0..=0xdf => {
                let value = i64::from(first & 0x1f) << 8 | i64::from(reader.byte()?);
                // 13 bits with a sign.
                (number(value << 51 >> 51), 2)
            }
            0xe0..=0xef => {
                let length = low << 8 | usize::from(reader.byte()?);
                (string(&mut reader, length)?, 2 + length)
            }
            0xf0 => {
                let length = u32::from_le_bytes(reader.array()?);
                let length = usize::try_from(length).map_err(|_wide| Malformed::Contents)?;
                let entry = string(&mut reader, length)?;
                (entry, 5 + length)
            }
            0xf1 => (number(reader.signed(2)?), 3),
            0xf2 => (number(reader.signed(3)?), 4),
            0xf3 => (number(reader.signed(4)?), 5),
            0xf4 => (number(reader.signed(8)?), 9),
            _ => return Err(Malformed::Contents),
        };
        entries.push(entry);
        reader.take(match bytes {
            0..128 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        })?;
    }
}

/// The entries of a ziplist (before Redis 7): each is how long the one before was, then what it is.
pub(super) fn ziplist(blob: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let mut reader = Reader::new(blob);
    // Its bytes, where its last entry is, and the number of its entries.
    reader.take(10)?;
    let mut entries = Vec::new();
    loop {
        match reader.byte()? {
            END if reader.is_at_end() => return Ok(entries),
            END => return Err(Malformed::Contents),
            0xfe => drop(reader.take(4)?),
            _ => {}
        }
        let first = reader.byte()?;
        entries.push(match first {
            0x00..=0x3f => string(&mut reader, usize::from(first))?,
            0x40..=0x7f => {
                let length = usize::from(first & 0x3f) << 8 | usize::from(reader.byte()?);
                string(&mut reader, length)?
            }
            0x80 => {
                let length = u32::from_be_bytes(reader.array()?);
                string(&mut reader, usize::try_from(length).map_err(|_wide| Malformed::Contents)?)?
            }
            0xc0 => number(reader.signed(2)?),
            0xd0 => number(reader.signed(4)?),
            0xe0 => number(reader.signed(8)?),
            0xf0 => number(reader.signed(3)?),
            0xfe => number(reader.signed(1)?),
            0xf1..=0xfd => number(i64::from(first & 0x0f) - 1),
            _ => return Err(Malformed::Contents),
        });
    }
}

/// The members of an intset: integers of one width.
pub(super) fn intset(blob: &[u8]) -> Result<Vec<Bytes>, Malformed> {
    let mut reader = Reader::new(blob);
    let width = match u32::from_le_bytes(reader.array()?) {
        2 => 2,
        4 => 4,
        8 => 8,
        _ => return Err(Malformed::Contents),
    };
    // How many there are, which the length says, too.
    reader.take(4)?;
    let mut members = Vec::new();
    while !reader.is_at_end() {
        members.push(number(reader.signed(width)?));
    }
    Ok(members)
}

fn string(reader: &mut Reader<'_>, length: usize) -> Result<Bytes, Malformed> {
    Ok(Bytes::copy_from_slice(reader.take(length)?))
}

fn number(value: i64) -> Bytes {
    value.to_string().into()
}
