//! Bytes of packets, stream messages and snapshots: docs/formats.md in code.

mod packet;
mod reader;
mod record;
mod stream;

use thiserror::Error;

pub use packet::{Header, Item, Message, Packet, decode_packet, encode_packet};
pub(crate) use packet::{PACKET_BYTES_MIN, PacketWriter, Part};
pub(crate) use reader::Reader;
pub(crate) use record::{RecordHead, encode_record, encode_varint};
pub use stream::{Buckets, StreamMessage, decode_stream, encode_stream};

use crate::record::Accusers;

/// The version every format of this crate begins with.
pub const VERSION: u8 = 1;

/// The largest packet that is looked at.
pub const PACKET_BYTES_MAX: usize = 9_000;

/// The most items of a packet that are looked at.
pub const ITEMS_MAX: usize = 256;

/// The largest stream message; more records go into several messages.
pub const STREAM_BYTES_MAX: usize = 1 << 20;

/// Why bytes are no message. Nothing of them was applied.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end within a field.
    #[error("the bytes end within a field")]
    Truncated,
    /// A varint is longer than its type or not minimal.
    #[error("a varint is too long or not minimal")]
    Varint,
    /// More bytes than a message of this kind may have.
    #[error("the message is too large")]
    TooLarge,
    /// A version this code does not speak.
    #[error("version {0} is not spoken here")]
    Version(u8),
    /// A stream message of an unknown kind. (Unknown items of packets are skipped.)
    #[error("stream message kind {0} is unknown")]
    Kind(u8),
    /// A generation above [`crate::Generation::MAX`].
    #[error("a generation is out of range")]
    Generation,
    /// A record's flags name no rank or set unknown bits.
    #[error("a record has unknown flags")]
    Flags,
    /// More than [`Accusers::MAX`] accusers, or not in ascending order.
    #[error("a record has more than {} accusers, or disorderly ones", Accusers::MAX)]
    Accusers,
    /// An address is neither IPv4 nor IPv6, or an IPv4 address in IPv6 form.
    #[error("an address has an unknown form")]
    Address,
    /// A label is too long or not UTF-8.
    #[error("a label is too long or no text")]
    Label,
    /// More than [`ITEMS_MAX`] items.
    #[error("the packet has too many items")]
    Items,
    /// Bytes follow the end of a message.
    #[error("bytes follow the end of the message")]
    Trailing,
}
