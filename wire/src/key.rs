//! Keys and the slices of a cluster they fall into.

use bytes::Bytes;
use coterie_ring::{KeyHash, Partition, Partitioner};

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
