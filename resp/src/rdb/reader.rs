//! Reading numbers, lengths and strings of a payload.

use bytes::Bytes;

use super::lzf;
use super::restore::Malformed;

/// How many bytes strings may have unpacked, all together: some more than a command may bring as they are.
const UNPACKED_BYTES_MAX: usize = 8 << 20;

/// What is left of a payload.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// How many bytes may still be unpacked.
    room: usize,
}

/// What a length can be instead of one.
enum Length {
    Plain(usize),
    /// A string that is written as an integer of so many bytes.
    Integer(usize),
    /// A string that is compressed.
    Compressed,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, room: UNPACKED_BYTES_MAX }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Contents)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    /// The next bytes of a fixed number.
    pub(super) fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Malformed> {
        Ok(self.take(COUNT)?.try_into().expect("so many were taken"))
    }

    /// A little-endian integer of `bytes` bytes, at most eight, with its sign.
    pub(super) fn signed(&mut self, bytes: usize) -> Result<i64, Malformed> {
        let mut wide = [0; 8];
        wide[8 - bytes..].copy_from_slice(self.take(bytes)?);
        // The sign is that of the uppermost byte.
        Ok(i64::from_le_bytes(wide) >> (64 - 8 * bytes))
    }

    fn length_or_encoding(&mut self) -> Result<Length, Malformed> {
        let first = self.byte()?;
        let low = usize::from(first & 0x3f);
        Ok(match (first >> 6, first) {
            (0, _) => Length::Plain(low),
            (1, _) => Length::Plain(low << 8 | usize::from(self.byte()?)),
            (2, 0x80) => {
                let length = u32::from_be_bytes(self.array()?);
                Length::Plain(usize::try_from(length).map_err(|_wide| Malformed::Contents)?)
            }
            (2, 0x81) => {
                let length = u64::from_be_bytes(self.array()?);
                Length::Plain(usize::try_from(length).map_err(|_wide| Malformed::Contents)?)
            }
            (3, 0xc0) => Length::Integer(1),
            (3, 0xc1) => Length::Integer(2),
            (3, 0xc2) => Length::Integer(4),
            (3, 0xc3) => Length::Compressed,
            _ => return Err(Malformed::Contents),
        })
    }

    /// A length, or a count.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Integer(_) | Length::Compressed => Err(Malformed::Contents),
        }
    }

    pub(super) fn string(&mut self) -> Result<Bytes, Malformed> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(Bytes::copy_from_slice(self.take(length)?)),
            Length::Integer(bytes) => Ok(self.signed(bytes)?.to_string().into()),
            Length::Compressed => {
                let (packed, unpacked) = (self.length()?, self.length()?);
                self.room = self.room.checked_sub(unpacked).ok_or(Malformed::TooLarge)?;
                let packed = self.take(packed)?;
                lzf::unpacked(packed, unpacked).map(Bytes::from).ok_or(Malformed::Contents)
            }
        }
    }

    /// A score as early versions write it: a byte of length, then digits.
    pub(super) fn score_in_digits(&mut self) -> Result<f64, Malformed> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            length => score(self.take(usize::from(length))?),
        }
    }
}

/// A score in digits.
pub(super) fn score(digits: &[u8]) -> Result<f64, Malformed> {
    let text = std::str::from_utf8(digits).ok();
    text.and_then(|text| text.parse().ok()).ok_or(Malformed::Contents)
}
