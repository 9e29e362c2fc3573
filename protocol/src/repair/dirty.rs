//! Dirty marks: owners that lack something of a slice which nobody will send them again, so that they have to be
//! synchronised.

use std::collections::BTreeSet;

use coterie_ring::{NodeId, Partition};
use coterie_wire::Slice;

use crate::rows::address::{self, SliceRow};
use crate::rows::{Batch, Space};
use crate::slice::SliceState;

impl SliceState {
    /// Notes durably that `owner` lacks something that was given up: invariant 18, "or flag repair". Taken back by
    /// [`SliceState::clear_dirty`], once a synchronisation that began later has found both equal.
    pub fn mark_dirty(&mut self, owner: NodeId, batch: &mut Batch) {
        if self.dirty.insert(owner) {
            self.store_dirty(batch);
        }
    }

    /// `owner` was found equal, or is an owner no more.
    pub fn clear_dirty(&mut self, owner: NodeId, batch: &mut Batch) {
        if self.dirty.remove(&owner) {
            self.store_dirty(batch);
        }
    }

    fn store_dirty(&self, batch: &mut Batch) {
        let row = address::slice_row(self.slice, SliceRow::Dirty);
        if self.dirty.is_empty() {
            batch.delete(Space::Control, row);
        } else {
            batch.put(Space::Control, row, encode(&self.dirty));
        }
    }
}

fn encode(owners: &BTreeSet<NodeId>) -> Vec<u8> {
    owners.iter().flat_map(|owner| owner.0.to_be_bytes()).collect()
}

/// Reads a row of marks; `None` for bytes that no version wrote.
pub(crate) fn decode(row: &[u8]) -> Option<BTreeSet<NodeId>> {
    let (owners, rest) = row.as_chunks::<16>();
    rest.is_empty()
        .then(|| owners.iter().map(|owner| NodeId(u128::from_be_bytes(*owner))).collect())
}

/// The address of the note that an owner of a slice that this node does not own lacks something: an owner is still
/// to be told.
pub(crate) fn untold(slice: Slice, owner: NodeId) -> bytes::Bytes {
    let mut row = address::untold_row(slice).to_vec();
    row.extend_from_slice(&owner.0.to_be_bytes());
    row.into()
}

/// Takes such an address apart; `None` for bytes that no version wrote.
pub(crate) fn parse_untold(row: &[u8]) -> Option<(Slice, NodeId)> {
    let (slice, owner) = row.split_first_chunk::<4>()?;
    let [_, high, low, replicas] = *slice;
    let partition = Partition(u16::from_be_bytes([high, low]));
    let owner = NodeId(u128::from_be_bytes(owner.try_into().ok()?));
    Some((Slice { partition, replicas }, owner))
}
