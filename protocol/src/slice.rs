//! What a lane keeps of each slice that it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_crdt::Actors;
use coterie_ring::NodeId;
use coterie_ring::moves::Replica;
use coterie_wire::Slice;

use crate::digests::Tree;

/// How much of a slice this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// As much as its moves say.
    Whole,
    /// It may have lost some that it acknowledged (invariant 2): it coordinates nothing and counts nowhere until
    /// synchronised with every other owner that is not removed.
    Amnesiac {
        /// Owners with which it has been synchronised since.
        synchronised: Vec<NodeId>,
    },
    /// Its copy is of an older purge epoch: it is dropped and received afresh (invariant 19).
    Afresh,
}

/// A slice of which this node is an owner in a live set.
#[derive(Clone, Debug)]
pub struct SliceState {
    /// Which.
    pub slice: Slice,
    /// The actors to mint under. Durable.
    pub actors: Actors,
    /// The purge epoch. Durable.
    pub epoch: u64,
    /// How far the slice is moved. Durable.
    pub replica: Replica,
    /// How much of it is here. Durable.
    pub reception: Reception,
    /// Sums of the digests of its keys.
    pub tree: Tree,
    /// When it was last found equal with each co-owner, in time since the node's start.
    pub verified: BTreeMap<NodeId, Duration>,
    /// Owners that lack something that was given up, and have to be synchronised. Durable.
    pub dirty: BTreeSet<NodeId>,
}

impl SliceState {
    /// Whether this node may coordinate for the slice and be counted, moves aside.
    #[must_use]
    pub fn is_received(&self) -> bool {
        self.reception == Reception::Whole
    }
}
