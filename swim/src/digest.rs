//! What a node believes, as sums that two nodes can compare and narrow down.

use xxhash_rust::xxh3::xxh3_64;

use crate::identity::NodeId;
use crate::record::{Evidence, Rank};

/// Buckets a digest is split into, by the id's hash.
pub(crate) const BUCKETS: usize = 256;

/// One sum per bucket.
pub type BucketSums = [u64; BUCKETS];

/// Sums over the members believed alive or suspect, kept as records change.
///
/// The dead are not summed: two nodes that disagree on whether a member is alive differ by its share, and one
/// that has forgotten a dead member need not learn of it again. Sums wrap, so that a share can be taken out.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    sums: Box<BucketSums>,
    total: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { sums: Box::new([0; BUCKETS]), total: 0 }
    }
}

impl Digest {
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn sums(&self) -> &BucketSums {
        &self.sums
    }

    /// Takes out one share and puts in another, of the same member.
    pub(crate) fn replace(&mut self, id: NodeId, old: u64, new: u64) {
        let change = new.wrapping_sub(old);
        let sum = &mut self.sums[bucket(id)];
        *sum = sum.wrapping_add(change);
        self.total = self.total.wrapping_add(change);
    }
}

/// The bucket of a member.
pub(crate) fn bucket(id: NodeId) -> usize {
    // Ids may be chosen by people, so that no part of them is evenly spread by itself.
    usize::from(xxh3_64(&id.0.to_be_bytes()).to_le_bytes()[0])
}

/// A member's share of the digest: 0 for the dead.
///
/// `announced` is the version of its attributes, by (generation, version, instance).
pub(crate) fn share(id: NodeId, evidence: &Evidence, announced: (u64, u32, u64)) -> u64 {
    if evidence.rank > Rank::Suspect {
        return 0;
    }
    let (generation, version, instance) = announced;
    let mut bytes = [0; 49];
    bytes[..16].copy_from_slice(&id.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&evidence.generation.0.to_le_bytes());
    bytes[24..28].copy_from_slice(&evidence.incarnation.0.to_le_bytes());
    bytes[28] = u8::from(evidence.rank == Rank::Suspect);
    bytes[29..37].copy_from_slice(&generation.to_le_bytes());
    bytes[37..41].copy_from_slice(&version.to_le_bytes());
    bytes[41..].copy_from_slice(&instance.to_le_bytes());
    xxh3_64(&bytes)
}
