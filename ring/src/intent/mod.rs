//! What operators and nodes ask for: a map that both sides of a split may edit and merge.

mod bucket;
mod encoding;
mod revised;

use std::collections::BTreeMap;

pub use bucket::{BucketKind, BucketName, BucketPolicy, Level, NameError};
pub use encoding::IntentError;
use revised::Revised;

use crate::node::{NodeId, Place};

/// Most nodes an intent may name, removed ones included.
pub const NODES_MAX: usize = 16_384;
/// Most buckets an intent may name.
pub const BUCKETS_MAX: usize = 4_096;
/// Most owners of a partition.
pub const REPLICAS_MAX: u8 = 8;

/// What a node is meant to do.
///
/// Later variants win over earlier ones when two edits of one revision meet: data is moved away
/// rather than kept on a node that somebody wanted gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeState {
    /// Asks to be taken in; owns nothing yet.
    Joining,
    /// Owns its share.
    Active,
    /// Is to own nothing, but still hands over what it has.
    Draining,
    /// Is no part of the cluster any more.
    Removed,
}

/// What is asked of one node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIntent {
    /// Whether it takes part.
    pub state: NodeState,
    /// Its share relative to the other nodes'; 0 owns nothing.
    pub weight: u32,
    /// Where it stands.
    pub place: Place,
}

/// What the owners of a partition must differ in, as far as there are enough of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Spread {
    /// Only the nodes differ; weights are then honoured best.
    Nodes,
    /// As many zones as possible.
    Zones,
    /// As many regions as possible, and within that as many zones as possible.
    Regions,
}

/// What is asked of placement as a whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlacementPolicy {
    /// Owners of a partition, unless a bucket asks for more; from 1 to [`REPLICAS_MAX`].
    pub replicas: u8,
    /// What owners must differ in.
    pub spread: Spread,
}

impl Default for PlacementPolicy {
    fn default() -> Self {
        Self { replicas: 3, spread: Spread::Regions }
    }
}

/// What operators and nodes ask for.
///
/// Every entry is a last-writer-wins register, so merging is idempotent, commutative and
/// associative. The last writer is the one whose edit knew of the others'; of edits that did not
/// know of each other the more often edited entry stays, or the greater value. Entries are never
/// dropped: a removed node stays as such.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Intent {
    placement: Revised<PlacementPolicy>,
    nodes: BTreeMap<NodeId, Revised<NodeIntent>>,
    buckets: BTreeMap<BucketName, Revised<BucketPolicy>>,
}

/// Why an edit or a merge was refused; nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    /// There is no room for another node.
    #[error("an intent names at most {NODES_MAX} nodes, removed ones included")]
    TooManyNodes,
    /// There is no room for another bucket.
    #[error("an intent names at most {BUCKETS_MAX} buckets")]
    TooManyBuckets,
    /// No partition can have so many owners.
    #[error("{replicas} replicas: not from 1 to {REPLICAS_MAX}")]
    Replicas {
        /// The refused number.
        replicas: u8,
    },
    /// A bucket's replica count and kind are fixed when it is made.
    #[error("bucket {name} exists with other replicas or another kind, which never change")]
    BucketFixed {
        /// The bucket.
        name: BucketName,
    },
    /// The entry was edited 2^32 − 1 times, or somebody claims so.
    #[error("the entry has no revision left")]
    RevisionsExhausted,
}

impl Intent {
    /// Nothing asked for yet: no nodes, no buckets, default placement.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is asked of placement as a whole.
    #[must_use]
    pub fn placement(&self) -> PlacementPolicy {
        self.placement.value
    }

    /// Owners a partition should have: the placement's replicas, or more if a bucket asks for more.
    #[must_use]
    pub fn replicas(&self) -> u8 {
        let buckets = self.buckets.values().map(|bucket| bucket.value.replicas);
        buckets.fold(self.placement.value.replicas, u8::max)
    }

    /// What is asked of `node`, removed ones included.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeIntent> {
        self.nodes.get(&node).map(|entry| &entry.value)
    }

    /// Every node ever named, by ascending id.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &NodeIntent)> {
        self.nodes.iter().map(|(&id, entry)| (id, &entry.value))
    }

    /// The policy asked for `bucket`.
    #[must_use]
    pub fn bucket(&self, bucket: &str) -> Option<&BucketPolicy> {
        self.buckets.get(bucket).map(|entry| &entry.value)
    }

    /// Every bucket, by ascending name.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (&BucketName, &BucketPolicy)> {
        self.buckets.iter().map(|(name, entry)| (name, &entry.value))
    }

    /// Asks for another placement.
    ///
    /// # Errors
    ///
    /// [`EditError::Replicas`] if out of bounds, [`EditError::RevisionsExhausted`].
    pub fn set_placement(&mut self, placement: PlacementPolicy) -> Result<(), EditError> {
        check_replicas(placement.replicas)?;
        self.placement.set(placement)
    }

    /// Asks for `node` to be as `wanted`.
    ///
    /// # Errors
    ///
    /// [`EditError::TooManyNodes`], [`EditError::RevisionsExhausted`].
    pub fn set_node(&mut self, node: NodeId, wanted: NodeIntent) -> Result<(), EditError> {
        if let Some(entry) = self.nodes.get_mut(&node) {
            return entry.set(wanted);
        }
        if self.nodes.len() == NODES_MAX {
            return Err(EditError::TooManyNodes);
        }
        self.nodes.insert(node, Revised::first(wanted));
        Ok(())
    }

    /// Asks for the bucket `name` to exist with `policy`.
    ///
    /// # Errors
    ///
    /// [`EditError::BucketFixed`] if it exists with another replica count or kind,
    /// [`EditError::Replicas`], [`EditError::TooManyBuckets`], [`EditError::RevisionsExhausted`].
    pub fn set_bucket(&mut self, name: BucketName, policy: BucketPolicy) -> Result<(), EditError> {
        check_replicas(policy.replicas)?;
        if let Some(entry) = self.buckets.get_mut(&name) {
            if (entry.value.replicas, entry.value.kind) != (policy.replicas, policy.kind) {
                return Err(EditError::BucketFixed { name });
            }
            return entry.set(policy);
        }
        if self.buckets.len() == BUCKETS_MAX {
            return Err(EditError::TooManyBuckets);
        }
        self.buckets.insert(name, Revised::first(policy));
        Ok(())
    }

    /// Takes in what `other` asks for; true if that changed anything.
    ///
    /// # Errors
    ///
    /// [`EditError::TooManyNodes`] or [`EditError::TooManyBuckets`] if the union has too many;
    /// nothing is merged then.
    pub fn merge(&mut self, other: &Self) -> Result<bool, EditError> {
        let more = other.nodes.keys().filter(|id| !self.nodes.contains_key(id)).count();
        if self.nodes.len() + more > NODES_MAX {
            return Err(EditError::TooManyNodes);
        }
        let more = other.buckets.keys().filter(|name| !self.buckets.contains_key(*name)).count();
        if self.buckets.len() + more > BUCKETS_MAX {
            return Err(EditError::TooManyBuckets);
        }
        let mut changed = self.placement.merge(&other.placement);
        changed |= merge_entries(&mut self.nodes, &other.nodes);
        changed |= merge_entries(&mut self.buckets, &other.buckets);
        Ok(changed)
    }

    /// Gives buckets that are `decided` their replica count and kind back, where somebody who did not
    /// know of them made one of the same name otherwise.
    ///
    /// With a revision above, so that everybody ends up with the same.
    pub(crate) fn keep_fixed(&mut self, decided: &Self) {
        for (name, known) in &decided.buckets {
            let fixed = |policy: &BucketPolicy| (policy.replicas, policy.kind);
            let Some(entry) = self.buckets.get_mut(name) else { continue };
            if fixed(&entry.value) != fixed(&known.value) {
                let BucketPolicy { replicas, kind, .. } = known.value;
                entry.revision = entry.revision.saturating_add(1);
                entry.value = BucketPolicy { replicas, kind, ..entry.value.clone() };
            }
        }
    }

    /// Whether merging `other` would change nothing: everything it knows is known here.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.placement >= other.placement
            && includes_entries(&self.nodes, &other.nodes)
            && includes_entries(&self.buckets, &other.buckets)
    }
}

fn check_replicas(replicas: u8) -> Result<(), EditError> {
    if (1..=REPLICAS_MAX).contains(&replicas) {
        Ok(())
    } else {
        Err(EditError::Replicas { replicas })
    }
}

fn merge_entries<K: Ord + Clone, V: Ord + Clone>(
    mine: &mut BTreeMap<K, Revised<V>>,
    its: &BTreeMap<K, Revised<V>>,
) -> bool {
    let mut changed = false;
    for (key, entry) in its {
        match mine.get_mut(key) {
            Some(known) => changed |= known.merge(entry),
            None => {
                mine.insert(key.clone(), entry.clone());
                changed = true;
            }
        }
    }
    changed
}

fn includes_entries<K: Ord, V: Ord>(
    mine: &BTreeMap<K, Revised<V>>,
    its: &BTreeMap<K, Revised<V>>,
) -> bool {
    its.iter().all(|(key, entry)| mine.get(key).is_some_and(|known| known >= entry))
}
