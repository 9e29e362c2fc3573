//! Digest trees: sums of the digests of a slice's keys, by range of hash.
//!
//! A leaf is the sum mod 2^128 of the digests of the keys in one of 256 equal ranges of the partition's
//! hashes. The only writer of the slice keeps it, and puts it in the same batch as the rows it sums (invariant 15), so
//! it is always true and an equal pair of replicas costs one comparison. Sums, unlike XOR, do not cancel where two keys
//! have the same difference (invariant 20).

use bytes::Bytes;
use coterie_ring::{KeyHash, Partitioner};
use coterie_wire::Slice;

use crate::rows::{Batch, Space, address};

/// Leaves of a tree.
pub const LEAVES: usize = 256;

/// The sums of one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: Box<[u128; LEAVES]>,
    root: u128,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { leaves: Box::new([0; LEAVES]), root: 0 }
    }
}

impl Tree {
    /// The sum of all keys.
    #[must_use]
    pub fn root(&self) -> u128 {
        self.root
    }

    /// The sums, in order of hash.
    #[must_use]
    pub fn leaves(&self) -> &[u128; LEAVES] {
        &self.leaves
    }

    /// Takes in a leaf as it was stored.
    pub fn load(&mut self, leaf: u8, sum: u128) {
        let slot = &mut self.leaves[usize::from(leaf)];
        self.root = self.root.wrapping_sub(*slot).wrapping_add(sum);
        *slot = sum;
    }

    /// A key's digest goes from one value to another: puts the new sum of its leaf into `batch`.
    pub fn replace(&mut self, slice: Slice, leaf: u8, digest: (u128, u128), batch: &mut Batch) {
        let (from, to) = digest;
        if from == to {
            return;
        }
        let sum = self.leaves[usize::from(leaf)].wrapping_sub(from).wrapping_add(to);
        self.load(leaf, sum);
        let address = address::leaf(slice, leaf);
        if sum == 0 {
            batch.delete(Space::Derived, address);
        } else {
            batch.put(Space::Derived, address, Bytes::copy_from_slice(&sum.to_be_bytes()));
        }
    }
}

/// The leaf that a key's hash falls into: the 8 bits after those of the partition.
#[must_use]
pub fn leaf_of(partitioner: Partitioner, hash: KeyHash) -> u8 {
    let below = hash.0 << partitioner.bits();
    below.to_be_bytes()[0]
}

/// The hashes of a leaf of a partition: the first and the last.
#[must_use]
pub fn hashes_of(partitioner: Partitioner, slice: Slice, leaf: u8) -> (u64, u64) {
    let bits = u32::from(partitioner.bits());
    let partition = u64::from(slice.partition.0).checked_shl(64 - bits).unwrap_or(0);
    let first = partition | u64::from(leaf) << (56 - bits);
    (first, first | (u64::MAX >> (bits + 8)))
}
