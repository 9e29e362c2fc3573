//! The encoding of contexts.

use bytes::Bytes;

use crate::context::Context;
use crate::dot::Dot;
use crate::encoding::{DecodeError, Reader, put_dot, put_varint};

/// As many bytes as a context takes whose sequences are below 2^28, and few more.
pub(super) fn context_bytes(context: &Context) -> usize {
    4 + (context.vector().len() + context.cloud().len()) * (8 + 4)
}

/// Appends a context.
pub fn encode_context(out: &mut Vec<u8>, context: &Context) {
    put_varint(out, context.vector().len() as u64);
    for &(actor, upto) in context.vector() {
        put_dot(out, Dot::new(actor, upto));
    }
    put_varint(out, context.cloud().len() as u64);
    for &dot in context.cloud() {
        put_dot(out, dot);
    }
}

/// Reads a context, and nothing else.
///
/// # Errors
/// [`DecodeError`]
pub fn decode_context(bytes: &Bytes) -> Result<Context, DecodeError> {
    let mut reader = Reader::new(bytes);
    let context = reader.context()?;
    reader.finish()?;
    Ok(context)
}

impl Reader<'_> {
    pub(crate) fn context(&mut self) -> Result<Context, DecodeError> {
        let mut vector = smallvec::SmallVec::<[_; 4]>::new();
        for _ in 0..self.varint()? {
            let dot = self.dot()?;
            vector.push((dot.actor, dot.sequence));
        }
        let mut cloud = smallvec::SmallVec::<[_; 2]>::new();
        for _ in 0..self.varint()? {
            cloud.push(self.dot()?);
        }
        Context::from_parts(vector, cloud).ok_or(DecodeError::NotCanonical("context"))
    }
}
