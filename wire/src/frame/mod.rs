//! Frames: messages between nodes as bytes (docs/formats.md, "wire").
//!
//! A frame is its length, a fixed header, and a body of MessagePack arrays. The header is read whatever
//! the body is, so that what cannot be read is answered.

mod header;
mod kind;
mod reader;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::peer::PeerRefusal;
use crate::{Body, Message};

pub use header::HEADER_BYTES;
use header::Header;
pub use reader::{FrameCounters, Reader};

/// The longest frame, without its length: what is carried in one message is kept well below.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// Names a cluster in frames: the low half of its id. Certificates are what keeps clusters apart; this
/// tells a mistake from an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterTag(pub u64);

/// What a frame was found to hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A message.
    Message(Box<Message>),
    /// Nothing that is understood here. The sender is to be answered with this; nothing was changed.
    Refused(Box<Message>),
}

/// Why a stream cannot be read on: where the next frame begins is not known. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The frame is longer than frames may be.
    #[error("a frame of {bytes} bytes, where {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its declared length.
        bytes: u32,
    },
    /// The frame is too short for a header.
    #[error("a frame of {bytes} bytes has no header")]
    TooShort {
        /// Its declared length.
        bytes: u32,
    },
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// It is larger than frames may be.
    #[error("a message of {bytes} bytes, where {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

/// Appends a message as a frame.
///
/// # Errors
/// [`EncodeError`]; nothing was appended.
pub fn encode(
    cluster: ClusterTag,
    message: &Message,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    Header::of(cluster, message).write(out);
    kind::write_body(&message.body, out);
    let bytes = out.len() - start - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= FRAME_BYTES_MAX);
    let Some(length) = length else {
        out.truncate(start);
        return Err(EncodeError::TooLarge { bytes });
    };
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Takes the first whole frame from what was received; `None` until there is one.
///
/// # Errors
/// [`FrameError`]. Nothing is ever allocated from a declared length.
pub fn take(received: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = received.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let bytes = u32::from_le_bytes(*length);
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    if length < HEADER_BYTES {
        return Err(FrameError::TooShort { bytes });
    }
    if received.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    received.advance(LENGTH_BYTES);
    Ok(Some(received.split_to(length).freeze()))
}

/// Reads a whole frame, as [`take`] gives it.
///
/// # Panics
/// If it is shorter than a header.
#[must_use]
pub fn decode(cluster: ClusterTag, frame: &Bytes) -> Frame {
    let (header, body) = Header::read(frame);
    let refused = |refusal| Frame::Refused(Box::new(header.message(Body::Refused(refusal))));
    if header.cluster != cluster {
        return refused(PeerRefusal::OtherCluster);
    }
    match kind::read_body(header.kind, body) {
        Ok(body) => Frame::Message(Box::new(header.message(body))),
        Err(kind::BodyError::UnknownKind) => {
            refused(PeerRefusal::Unsupported { kind: header.kind })
        }
        Err(kind::BodyError::Malformed) => refused(PeerRefusal::Malformed),
    }
}
