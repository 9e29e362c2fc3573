//! How values cross the wire within messages of others: as the bytes of their own encoding.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decision;
use crate::intent::{BucketKind, Intent, Level};
use crate::moves::{Quorum, SetVersion, Status};
use crate::node::NodeId;
use crate::partition::Partition;
use crate::register::{Accepted, Reply, Request, Wire};

/// Bytes of an encoding, borrowed from a message where it allows that.
struct Encoded;

impl<'de> Visitor<'de> for Encoded {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

macro_rules! as_bytes {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.encode())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = deserializer.deserialize_bytes(Encoded)?;
                <$type>::decode(&bytes).map_err(D::Error::custom)
            }
        }
    )+};
}

as_bytes!(
    SetVersion,
    Quorum,
    Status,
    Intent,
    decision::Message,
    decision::Tip,
    Accepted<NodeId, Vec<u8>>,
    Request<NodeId, Vec<u8>>,
    Reply<NodeId, Vec<u8>>
);

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u128::deserialize(deserializer).map(NodeId)
    }
}

impl Serialize for Partition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer).map(Partition)
    }
}

/// Levels and kinds are numbers: the place in the list of all, which only grows at the end.
macro_rules! as_place {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let place = <$type>::ALL.iter().position(|other| other == self);
                let place = u8::try_from(place.expect("all are listed")).expect("a short list");
                place.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let place = usize::from(u8::deserialize(deserializer)?);
                <$type>::ALL.get(place).copied().ok_or_else(|| D::Error::custom("unknown number"))
            }
        }
    };
}

as_place!(Level);
as_place!(BucketKind);
