//! How values cross the wire within messages: what has a canonical encoding as its bytes, the rest checked
//! where a value may be invalid.
//!
//! Lists are read into `Vec`s, of which serde allocates no more ahead than 1 MiB, whatever length a
//! message declares; the impls of `smallvec` would allocate all of it.

use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::{Address, AddressRange};
use crate::context::Context;
use crate::delta::Delta;
use crate::dot::{Actor, Dot};
use crate::encoding::context::context_bytes;
use crate::encoding::{
    DecodeError, SEQUENCE_MAX, decode_contents, decode_context, decode_delta, decode_partial,
    encode_contents, encode_context, encode_delta, encode_partial,
};
use crate::footprint::{Footprint, Need};
use crate::kind::Kind;
use crate::operation::{Contents, MapPath};
use crate::partial::Partial;
use crate::payload::Score;

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut encoded = Vec::with_capacity(context_bytes(self));
        encode_context(&mut encoded, self);
        serializer.serialize_bytes(&encoded)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Bytes::deserialize(deserializer)?;
        decode_context(&encoded).map_err(D::Error::custom)
    }
}

impl Serialize for Contents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&encode_contents(self))
    }
}

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Bytes::deserialize(deserializer)?;
        decode_contents(&encoded).map_err(D::Error::custom)
    }
}

impl Serialize for Delta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&encode_delta(self))
    }
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Bytes::deserialize(deserializer)?;
        decode_delta(&encoded).map_err(D::Error::custom)
    }
}

impl Serialize for Partial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&encode_partial(self))
    }
}

impl<'de> Deserialize<'de> for Partial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Bytes::deserialize(deserializer)?;
        decode_partial(&encoded).map_err(D::Error::custom)
    }
}

impl Serialize for Dot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.actor, self.sequence).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Dot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <(Actor, u64)>::deserialize(deserializer)? {
            (actor, sequence @ 1..=SEQUENCE_MAX) => Ok(Dot { actor, sequence }),
            _ => Err(D::Error::custom(DecodeError::NotCanonical("sequence"))),
        }
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let score = Score::new(f64::deserialize(deserializer)?);
        score.ok_or(D::Error::custom(DecodeError::NotCanonical("score")))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (*self as u8).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = u8::deserialize(deserializer)?;
        let unknown = DecodeError::UnknownTag { what: "kind of cell", value };
        Kind::from_byte(value).ok_or(D::Error::custom(unknown))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.kind, &self.path).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, path) = <(Kind, Bytes)>::deserialize(deserializer)?;
        let address = Address { kind, path };
        let sound = address.is_sound().then_some(address);
        sound.ok_or(D::Error::custom(DecodeError::NotCanonical("path of the only cell of a kind")))
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.kind, &self.from, &self.to).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, from, to) = <(Kind, Bytes, Option<Bytes>)>::deserialize(deserializer)?;
        let range = AddressRange { kind, from, to };
        let sound = range.is_sound().then_some(range);
        sound.ok_or(D::Error::custom(DecodeError::NotCanonical("range of addresses")))
    }
}

impl Serialize for Footprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Footprint { cells, ranges, derived, tallied } = self;
        (cells.as_slice(), ranges.as_slice(), derived.as_slice(), tallied).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Footprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Parts = (Vec<Address>, Vec<AddressRange>, Vec<Need>, bool);
        let (cells, ranges, derived, tallied) = Parts::deserialize(deserializer)?;
        let (cells, ranges, derived) = (cells.into(), ranges.into(), derived.into());
        Ok(Footprint { cells, ranges, derived, tallied })
    }
}

impl Serialize for MapPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.segments().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MapPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = MapPath::new(Vec::deserialize(deserializer)?);
        path.ok_or(D::Error::custom(DecodeError::NotCanonical("empty path")))
    }
}
