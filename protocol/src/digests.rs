//! Digest trees: sums of the digests of a slice's keys, by range of hash.
//!
//! A leaf is the sum mod 2^128 of what the keys in one of 256 equal ranges of the partition's hashes add: a
//! key's digest, hashed together with the key, of which the digest itself knows nothing. The only writer of the slice keeps it, and puts it in the same batch as the rows it sums (invariant 15), so
//! it is always true and an equal pair of replicas costs one comparison. Sums, unlike XOR, do not cancel where two keys
//! have the same difference (invariant 20).

use bytes::Bytes;
use coterie_crdt::digest::{cell_digest, key_digest};
use coterie_crdt::{Address, COUNTED_KINDS, Cells, Partial};
use coterie_ring::{KeyHash, Partitioner};
use coterie_wire::{Key, Slice};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::mutants::{Mutant, mutant};
use crate::rows::address::{self, KeyPrefix};
use crate::rows::{Batch, Space};

/// Leaves of a tree.
pub const LEAVES: usize = 256;

/// The sums of one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: Box<[u128; LEAVES]>,
    root: u128,
    recount: Option<Recount>,
}

/// Leaves summed anew, key by key in the order of their rows, and kept in step with every change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Recount {
    /// The last key that was summed.
    passed: Option<KeyPrefix>,
    leaves: Box<[u128; LEAVES]>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { leaves: Box::new([0; LEAVES]), root: 0, recount: None }
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

    /// The digest of `key` goes from one value to another: puts the new sum of its leaf into `batch`.
    pub fn replace(
        &mut self,
        partitioner: Partitioner,
        slice: Slice,
        key: &Key,
        digest: (u128, u128),
        batch: &mut Batch,
    ) {
        if digest.0 == digest.1 {
            return;
        }
        let leaf = leaf_of(partitioner, key.hash());
        let (from, to) = (share_of(key, digest.0), share_of(key, digest.1));
        let prefix = || KeyPrefix::new(slice.partition, key);
        if let Some(recount) = &mut self.recount
            && recount.passed.as_ref().is_some_and(|passed| prefix() <= *passed)
        {
            let sum = &mut recount.leaves[usize::from(leaf)];
            *sum = changed(*sum, from, to);
        }
        let sum = changed(self.leaves[usize::from(leaf)], from, to);
        self.store(slice, leaf, sum, batch);
    }

    /// Begins to sum the leaves anew.
    pub fn begin_recount(&mut self) {
        self.recount = Some(Recount { passed: None, leaves: Box::new([0; LEAVES]) });
    }

    /// Sums the next key, in order of rows, as it is stored.
    pub fn recount(&mut self, partitioner: Partitioner, slice: Slice, key: &Key, digest: u128) {
        let Some(recount) = &mut self.recount else { return };
        let sum = &mut recount.leaves[usize::from(leaf_of(partitioner, key.hash()))];
        *sum = changed(*sum, 0, share_of(key, digest));
        recount.passed = Some(KeyPrefix::new(slice.partition, key));
    }

    /// After the last key: repairs leaves that are not what they should be, if `sound`. How many.
    pub fn end_recount(&mut self, slice: Slice, sound: bool, batch: &mut Batch) -> u64 {
        let Some(recount) = self.recount.take().filter(|_| sound) else { return 0 };
        let mut repaired = 0;
        for (leaf, sum) in (0..=u8::MAX).zip(recount.leaves.iter()) {
            if self.leaves[usize::from(leaf)] != *sum {
                self.store(slice, leaf, *sum, batch);
                repaired += 1;
            }
        }
        repaired
    }

    fn store(&mut self, slice: Slice, leaf: u8, sum: u128, batch: &mut Batch) {
        self.load(leaf, sum);
        let address = address::leaf(slice, leaf);
        if sum == 0 {
            batch.delete(Space::Leaves, address);
        } else {
            batch.put(Space::Leaves, address, Bytes::copy_from_slice(&sum.to_be_bytes()));
        }
    }
}

/// A leaf after what one of its keys adds has gone from one value to another.
fn changed(leaf: u128, from: u128, to: u128) -> u128 {
    if mutant(Mutant::XorLeaf) {
        return leaf ^ from ^ to;
    }
    leaf.wrapping_sub(from).wrapping_add(to)
}

/// What a key with that digest adds to its leaf; nothing where the digest is 0. Two keys may well have one
/// digest, and a leaf that lacks the one is not equal to a leaf that lacks the other.
#[must_use]
pub fn share_of(key: &Key, digest: u128) -> u128 {
    if digest == 0 || mutant(Mutant::XorLeaf) {
        return digest;
    }
    xxh3_128_with_seed(&digest.to_be_bytes(), key.hash().0)
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

/// The digest of what a replica shows under a footprint of single cells. Of replicas where it is equal,
/// each shows what all of them joined would.
///
/// Contexts are left out, since cells that are equal join to themselves, whatever else was seen. But
/// what is shown may rest on more than these cells: on cells of another type that may be live, on the rest of
/// the key where it expires, or where no cell is named. Then the digest is of the whole key.
#[must_use]
pub fn of_shown(shown: &Partial) -> u128 {
    let root = shown.root().cloned().unwrap_or_default();
    let resident = [(Address::REGISTER, &root.register), (Address::EXPIRY, &root.expiry)];
    let resident = resident.iter().map(|(address, cell)| cell_digest(address, cell));
    let cells = shown.cells().iter().map(|(address, cell)| cell_digest(address, cell));
    let digest = resident.chain(cells).fold(0, u128::wrapping_add);
    let kind = shown.cells().keys().next().map(|address| address.kind.shown_as());
    let alone = COUNTED_KINDS
        .into_iter()
        .all(|other| Some(other.shown_as()) == kind || root.counts.live_at_most(other) == 0);
    if alone && root.expiry.is_empty() { digest } else { digest.wrapping_add(key_digest(&root)) }
}
