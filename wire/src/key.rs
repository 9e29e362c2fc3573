//! Keys and the slices of a cluster they fall into.

use bytes::Bytes;
use coterie_ring::{KeyHash, Partition, Partitioner};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::grows::grows;

/// The longest name of a bucket that a row's address has room for.
pub const BUCKET_BYTES_MAX: usize = u8::MAX as usize;

/// The longest key that a row's address has room for. Clients are held to less.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// A byte string in a bucket: what is placed, replicated and merged as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    bucket: Bytes,
    key: Bytes,
    hash: KeyHash,
}

impl Key {
    /// The key `key` of the bucket of that name.
    #[must_use]
    pub fn new(bucket: impl Into<Bytes>, key: impl Into<Bytes>) -> Self {
        let (bucket, key) = (bucket.into(), key.into());
        let hash = KeyHash::of(&bucket, &key);
        Key { bucket, key, hash }
    }

    /// The name of its bucket.
    #[must_use]
    pub fn bucket(&self) -> &Bytes {
        &self.bucket
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> &Bytes {
        &self.key
    }

    /// Where it lies in the hash space.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        self.hash
    }

    /// Which partition it belongs to.
    #[must_use]
    pub fn partition(&self, partitioner: Partitioner) -> Partition {
        partitioner.partition(self.hash)
    }
}

/// The keys of a partition in buckets of one replica count. They have the same owners at all times, so
/// digests, moves and purges are kept for each slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    /// The partition.
    pub partition: Partition,
    /// How many owners the buckets ask for.
    pub replicas: u8,
}

grows! {
    Slice { partition, replicas }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.bucket, &self.key).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bucket, key) = <(Bytes, Bytes)>::deserialize(deserializer)?;
        if bucket.len() > BUCKET_BYTES_MAX || key.len() > KEY_BYTES_MAX {
            return Err(serde::de::Error::custom("a name too long for a row's address"));
        }
        Ok(Key::new(bucket, key))
    }
}
