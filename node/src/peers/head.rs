//! What a stream begins with: its class, and on the first of a connection the sender's hello (docs/formats.md, "node").

use bytes::{Buf, BufMut, BytesMut};
use coterie_protocol::Class;
use coterie_wire::peer::control::Hello;
use thiserror::Error;

/// The version of streams.
const VERSION: u8 = 1;
/// Version, class, process, lane, length of the hello.
const FIXED_BYTES: usize = 14;
/// More than a hello has, also in versions to come.
const HELLO_BYTES_MAX: usize = 4_096;

/// The head of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) class: Class,
    /// Which process of the sender has it.
    pub(super) process: u64,
    /// Which lane of it.
    pub(super) lane: u16,
    /// On the stream of requests.
    pub(super) hello: Option<Hello>,
}

/// Why a stream is not read. The connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum HeadError {
    #[error("streams of version {0} are not known here")]
    Version(u8),
    #[error("streams of class {0} are not known here")]
    Class(u8),
    #[error("a hello of {0} bytes")]
    TooLarge(usize),
    #[error("a hello that does not decode")]
    Malformed,
    #[error("a stream of requests without a hello")]
    Silent,
}

impl Head {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u8(VERSION);
        out.put_u8(match self.class {
            Class::Requests => 0,
            Class::Bulk => 1,
        });
        out.put_u64_le(self.process);
        out.put_u16_le(self.lane);
        out.put_u16_le(0);
        if let Some(hello) = &self.hello {
            rmp_serde::encode::write(out, hello).expect("memory takes what is written");
            let bytes = out.len() - start - FIXED_BYTES;
            let bytes = u16::try_from(bytes).expect("a hello is short");
            out[start + FIXED_BYTES - 2..start + FIXED_BYTES].copy_from_slice(&bytes.to_le_bytes());
        }
    }

    /// Takes it from what was received; `None` until all of it is there.
    pub(super) fn take(received: &mut BytesMut) -> Result<Option<Head>, HeadError> {
        let Some(mut fixed) = received.get(..FIXED_BYTES) else { return Ok(None) };
        let version = fixed.get_u8();
        if version != VERSION {
            return Err(HeadError::Version(version));
        }
        let class = match fixed.get_u8() {
            0 => Class::Requests,
            1 => Class::Bulk,
            other => return Err(HeadError::Class(other)),
        };
        let (process, lane) = (fixed.get_u64_le(), fixed.get_u16_le());
        let length = usize::from(fixed.get_u16_le());
        if length > HELLO_BYTES_MAX {
            return Err(HeadError::TooLarge(length));
        }
        if received.len() < FIXED_BYTES + length {
            return Ok(None);
        }
        received.advance(FIXED_BYTES);
        let bytes = received.split_to(length);
        let hello = match (class, length) {
            (Class::Requests, 0) => return Err(HeadError::Silent),
            (_, 0) => None,
            _ => Some(rmp_serde::from_slice(&bytes).map_err(|_reason| HeadError::Malformed)?),
        };
        Ok(Some(Head { class, process, lane, hello }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        let hello = Some(Hello { wall_millis: 1_700_000_000_000, protocols: (1, 2) });
        Head { class: Class::Requests, process: 0x0102, lane: 3, hello }
    }

    #[test]
    fn bytes_are_those_of_the_formats() {
        let mut bytes = Vec::new();
        head().write(&mut bytes);
        let expected = [
            &[1, 0, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 13, 0][..],
            // [1700000000000, [1, 2]]
            &[0x92, 0xcf, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0, 0x92, 1, 2][..],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_no_more() {
        let mut bytes = Vec::new();
        head().write(&mut bytes);
        let mut received = BytesMut::new();
        for byte in &bytes[..bytes.len() - 1] {
            received.put_u8(*byte);
            assert_eq!(Head::take(&mut received), Ok(None));
        }
        received.extend_from_slice(&[bytes[bytes.len() - 1], 77]);
        assert_eq!(Head::take(&mut received), Ok(Some(head())));
        assert_eq!(received[..], [77]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut received = BytesMut::from(&bytes[..]);
            if let Ok(Some(head)) = Head::take(&mut received) {
                let mut again = Vec::new();
                head.write(&mut again);
                prop_assert_eq!(again[..2].to_vec(), bytes[..2].to_vec());
            }
        }
    }
}
