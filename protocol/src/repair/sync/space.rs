//! What a session compares: the keys of a slice, or the cells of one key.

use bytes::Bytes;
use coterie_wire::{Key, Slice};

use super::halving::HashRange;
use crate::digests::{LEAVES, hashes_of};
use crate::lane::Shared;
use crate::rows::address::KeyPrefix;

/// What a session compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The keys of the slice.
    Keys,
    /// The cells of a key.
    Cells(Key),
}

/// Which leaves differ, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaves([u8; LEAVES / 8]);

impl Leaves {
    /// All of them.
    pub(super) fn all() -> Self {
        Leaves([0xff; LEAVES / 8])
    }

    /// Compares own sums with those of a peer, 16 bytes each; `None` where these are not so many.
    pub(super) fn compare(mine: &[u128; LEAVES], theirs: &Bytes) -> Option<Self> {
        if theirs.len() != 16 * LEAVES {
            return None;
        }
        let mut leaves = [0; LEAVES / 8];
        for (leaf, theirs) in theirs.chunks_exact(16).enumerate() {
            if theirs != mine[leaf].to_be_bytes() {
                leaves[leaf / 8] |= 1 << (leaf % 8);
            }
        }
        Some(Leaves(leaves))
    }

    /// As a peer said.
    pub(super) fn told(bytes: &Bytes) -> Option<Self> {
        bytes[..].try_into().ok().map(Leaves)
    }

    pub(super) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    /// The hashes of the leaves that differ, as far as they lie within `window`, in order.
    pub(super) fn ranges(
        &self,
        subject: &Subject,
        slice: Slice,
        shared: &Shared,
        window: HashRange,
    ) -> Vec<HashRange> {
        let differs = |leaf: &u8| self.0[usize::from(leaf / 8)] >> (leaf % 8) & 1 != 0;
        let leaves = (0..=u8::MAX).filter(differs);
        leaves.filter_map(|leaf| subject.leaf(leaf, slice, shared).within(window)).collect()
    }
}

/// The quarters of ranges: a leaf that differs has more rows than are worth one sum.
pub(super) fn quarters(ranges: Vec<HashRange>) -> Vec<HashRange> {
    let halves = |range: HashRange| match range {
        HashRange { from, to } if from < to => range.halves().to_vec(),
        one => vec![one],
    };
    ranges.into_iter().flat_map(halves).flat_map(halves).collect()
}

impl Subject {
    /// All hashes there are.
    pub(super) fn hashes(&self, slice: Slice, shared: &Shared) -> HashRange {
        let (first, last) = (self.leaf(0, slice, shared), self.leaf(u8::MAX, slice, shared));
        HashRange { from: first.from, to: last.to }
    }

    /// The hashes of one leaf.
    fn leaf(&self, leaf: u8, slice: Slice, shared: &Shared) -> HashRange {
        match self {
            Subject::Keys => {
                let partitioner = shared.view.decision.layout().partitioner();
                let (from, to) = hashes_of(partitioner, slice, leaf);
                HashRange { from, to }
            }
            Subject::Cells(_) => {
                let from = u64::from(leaf) << 56;
                HashRange { from, to: from | (u64::MAX >> 8) }
            }
        }
    }
}

/// The sums of leaves as they are sent.
pub(super) fn pack(leaves: &[u128; LEAVES]) -> Bytes {
    leaves.iter().flat_map(|sum| sum.to_be_bytes()).collect()
}

/// The buckets whose keys make up a slice.
pub(super) fn buckets(shared: &Shared, slice: Slice) -> Vec<Bytes> {
    let snapshot = shared.view.decision.layout().snapshot();
    let mine = snapshot.buckets().filter(|(_, policy)| policy.replicas == slice.replicas);
    mine.map(|(name, _)| Bytes::copy_from_slice(name.as_str().as_bytes())).collect()
}

/// Where the rows of a key of a slice begin.
pub(super) fn at(slice: Slice, key: &Key) -> Bytes {
    KeyPrefix::new(slice.partition, key).bytes().clone()
}
