//! From a key to its slice of the hash space.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// One of P equal slices of the hash space; the unit of placement, repair and moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partition(pub u16);

impl Partition {
    /// Its row in the layout.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a (bucket, key) pair lies in the hash space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(pub u64);

impl KeyHash {
    /// xxh3-64 of the key, seeded with the xxh3-64 of the bucket's name.
    ///
    /// Seeding keeps the pair unambiguous: ("a", "bc") and ("ab", "c") have unrelated hashes.
    #[must_use]
    pub fn of(bucket: &[u8], key: &[u8]) -> Self {
        Self(xxh3_64_with_seed(key, xxh3_64(bucket)))
    }
}

/// Cuts the hash space into P = 2^k partitions; fixed when the cluster is created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partitioner {
    bits: u8,
}

/// Why a cluster cannot have so many partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{count} partitions: not a power of two from {min} to {max}",
    min = Partitioner::COUNT_MIN,
    max = Partitioner::COUNT_MAX
)]
pub struct PartitionerError {
    /// The refused number of partitions.
    pub count: usize,
}

impl Partitioner {
    /// Fewest partitions.
    pub const COUNT_MIN: usize = 8;
    /// Most partitions: as many as a [`Partition`] can name.
    pub const COUNT_MAX: usize = 65_536;

    /// A partitioner into `count` partitions.
    ///
    /// # Errors
    ///
    /// [`PartitionerError`] unless `count` is a power of two from 8 to 65,536.
    pub fn new(count: usize) -> Result<Self, PartitionerError> {
        if !count.is_power_of_two() || !(Self::COUNT_MIN..=Self::COUNT_MAX).contains(&count) {
            return Err(PartitionerError { count });
        }
        Ok(Self { bits: u8::try_from(count.ilog2()).expect("at most 16") })
    }

    /// Number of partitions, P.
    #[must_use]
    pub fn count(self) -> usize {
        1 << self.bits
    }

    /// k, the binary logarithm of P.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// The partition a hash falls into: its top k bits.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits are left")]
    pub fn partition(self, hash: KeyHash) -> Partition {
        Partition((hash.0 >> (64 - u32::from(self.bits))) as u16)
    }

    /// The first hash that falls into a partition.
    #[must_use]
    pub fn first_hash(self, partition: Partition) -> KeyHash {
        KeyHash(u64::from(partition.0) << (64 - u32::from(self.bits)))
    }

    /// The last hash that falls into a partition.
    #[must_use]
    pub fn last_hash(self, partition: Partition) -> KeyHash {
        KeyHash(self.first_hash(partition).0 | u64::MAX >> self.bits)
    }

    /// Every partition, in order.
    pub fn partitions(self) -> impl ExactSizeIterator<Item = Partition> {
        (0..self.count()).map(|index| Partition(u16::try_from(index).expect("at most 65,536")))
    }
}

impl Default for Partitioner {
    /// 1,024 partitions; above 100 nodes 4,096 are better.
    fn default() -> Self {
        Self { bits: 10 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_in_bounds_are_partitioners() {
        for count in [0, 4, 7, 12, 100, 131_072] {
            assert_eq!(Partitioner::new(count), Err(PartitionerError { count }));
        }
        assert_eq!(Partitioner::new(8).unwrap().partition(KeyHash(u64::MAX)), Partition(7));
        assert_eq!(
            Partitioner::new(65_536).unwrap().partition(KeyHash(u64::MAX)),
            Partition(65_535)
        );
        assert_eq!(Partitioner::default().count(), 1_024);
    }

    #[test]
    fn bucket_and_key_do_not_run_together() {
        assert_ne!(KeyHash::of(b"a", b"bc"), KeyHash::of(b"ab", b"c"));
        assert_ne!(KeyHash::of(b"", b"abc"), KeyHash::of(b"abc", b""));
    }

    /// The hash places stored data, so it may never change.
    #[test]
    fn hash_is_the_one_of_the_format() {
        assert_eq!(KeyHash::of(b"db0", b"key"), KeyHash(12_516_482_338_795_944_681));
    }
}
