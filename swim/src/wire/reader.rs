//! Takes fields off the front of bytes that nobody vouches for.

use super::DecodeError;

/// The bytes not read yet. Never allocates, never panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn varint_u64(&mut self) -> Result<u64, DecodeError> {
        self.varint(unsigned_varint::decode::u64)
    }

    #[inline]
    pub(crate) fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        self.varint(unsigned_varint::decode::u32)
    }

    #[inline]
    pub(crate) fn varint_u16(&mut self) -> Result<u16, DecodeError> {
        self.varint(unsigned_varint::decode::u16)
    }

    /// A length that the bytes at hand bear out.
    #[inline]
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.varint_u32()?;
        self.bytes(usize::try_from(count).map_err(|_narrow| DecodeError::TooLarge)?)
    }

    #[inline]
    fn varint<T>(
        &mut self,
        decode: impl Fn(&'a [u8]) -> Result<(T, &'a [u8]), unsigned_varint::decode::Error>,
    ) -> Result<T, DecodeError> {
        let (value, tail) = decode(self.0).map_err(|error| {
            if matches!(error, unsigned_varint::decode::Error::Insufficient) {
                DecodeError::Truncated
            } else {
                DecodeError::Varint
            }
        })?;
        self.0 = tail;
        Ok(value)
    }
}
