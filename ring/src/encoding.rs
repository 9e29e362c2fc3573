//! Reading and writing bytes that came from, or go to, elsewhere.

use unsigned_varint::{decode, encode};

/// Why bytes from elsewhere are no encoding of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a field.
    #[error("the bytes end too early")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{bytes} bytes are left over")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// An integer is longer than needed or does not fit its type.
    #[error("an integer is not minimal or too large")]
    Integer,
    /// The format version is unknown.
    #[error("format version {0} is unknown")]
    Version(u8),
    /// A count or value is outside of its bounds.
    #[error("{what} is out of bounds")]
    OutOfBounds {
        /// The field.
        what: &'static str,
    },
    /// Entries are repeated or not in ascending order.
    #[error("{what} are not in ascending order")]
    Unordered {
        /// The list.
        what: &'static str,
    },
    /// A text is not UTF-8 or not allowed as a name.
    #[error("{what} is not a name")]
    Name {
        /// The field.
        what: &'static str,
    },
    /// Unused bits are set.
    #[error("unused bits are set")]
    Padding,
}

/// A cursor over bytes from elsewhere; never reads past them.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(u128::from_le_bytes(*bytes))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match decode::u64(self.rest) {
            Ok((value, rest)) => {
                // The decoder drops what a tenth byte holds past 64 bits.
                let overflows = self.rest.len() - rest.len() == 10 && self.rest[9] > 1;
                self.rest = rest;
                if overflows { Err(Malformed::Integer) } else { Ok(value) }
            }
            Err(decode::Error::Insufficient) => Err(Malformed::Truncated),
            Err(_) => Err(Malformed::Integer),
        }
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_too_large| Malformed::Integer)
    }

    /// A number of entries: at most `max`, and no more than the bytes left can hold at
    /// `entry_bytes_min` each, so that it is safe to allocate for.
    pub(crate) fn count(
        &mut self,
        what: &'static str,
        max: usize,
        entry_bytes_min: usize,
    ) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?)
            .map_err(|_too_large| Malformed::OutOfBounds { what })?;
        if count > max {
            return Err(Malformed::OutOfBounds { what });
        }
        if count.saturating_mul(entry_bytes_min) > self.rest.len() {
            return Err(Malformed::Truncated);
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn text(
        &mut self,
        what: &'static str,
        bytes_max: usize,
    ) -> Result<&'a str, Malformed> {
        let count = self.count(what, bytes_max, 1)?;
        let bytes = self.bytes(count)?;
        std::str::from_utf8(bytes).map_err(|_not_text| Malformed::Name { what })
    }

    pub(crate) fn finish(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(Malformed::LeftOver { bytes }),
        }
    }
}

pub(crate) fn write_varint(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(encode::u64(value, &mut encode::u64_buffer()));
}

pub(crate) fn write_count(out: &mut Vec<u8>, count: usize) {
    write_varint(out, u64::try_from(count).expect("counts fit 64 bits"));
}

pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_counts_are_refused_before_allocation() {
        let mut bytes = Vec::new();
        write_varint(&mut bytes, u64::MAX);
        assert_eq!(
            Reader::new(&bytes).count("entries", 10, 1),
            Err(Malformed::OutOfBounds { what: "entries" })
        );
        let bytes = [9, 0, 0];
        assert_eq!(Reader::new(&bytes).count("entries", 10, 1), Err(Malformed::Truncated));
    }

    #[test]
    fn integers_have_one_form() {
        assert_eq!(Reader::new(&[0x80, 0x00]).varint(), Err(Malformed::Integer));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(Malformed::Truncated));
        assert_eq!(Reader::new(&[0xff; 11]).varint(), Err(Malformed::Integer));
        let mut largest = [0xff; 10];
        largest[9] = 1;
        assert_eq!(Reader::new(&largest).varint(), Ok(u64::MAX));
        largest[9] = 3;
        assert_eq!(Reader::new(&largest).varint(), Err(Malformed::Integer));
    }
}
