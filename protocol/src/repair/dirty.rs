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

    /// Takes back the marks of those that were found equal, or are owners no more.
    pub fn clear_dirty(&mut self, which: impl Fn(NodeId) -> bool, batch: &mut Batch) {
        let marks = self.dirty.len();
        self.dirty.retain(|owner| !which(*owner));
        if self.dirty.len() < marks {
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

#[cfg(test)]
mod tests {
    use coterie_crdt::Actor;
    use coterie_ring::moves::{LiveSets, OwnerSet, Quorum, Replica, SetVersion};

    use coterie_wire::Incarnation;

    use super::*;
    use crate::rows::Change;

    #[test]
    fn marks_are_stored_until_they_are_taken_back() {
        let slice = Slice { partition: Partition(300), replicas: 3 };
        let members = [NodeId(1), NodeId(2), NodeId(3)].into_iter().collect();
        let set = OwnerSet { version: SetVersion::default(), members };
        let sets = LiveSets::new([set], []).unwrap();
        let replica = Replica::new(NodeId(1), sets, Quorum::Majority);
        let mut state = SliceState::begin(slice, Actor(1), Incarnation(1), replica);
        let mut batch = Batch::new();
        state.mark_dirty(NodeId(2), &mut batch);
        state.mark_dirty(NodeId(2), &mut batch);
        state.mark_dirty(NodeId(9), &mut batch);
        assert_eq!(batch.changes().len(), 2, "a mark is written once");
        let Change::Put(_, _, row) = &batch.changes()[1] else { panic!("marks are put") };
        assert_eq!(decode(row), Some([NodeId(2), NodeId(9)].into()));
        assert_eq!(decode(&row[1..]), None);
        state.clear_dirty(|owner| owner == NodeId(3), &mut batch);
        assert_eq!(batch.changes().len(), 2, "nothing was marked");
        state.clear_dirty(|_| true, &mut batch);
        assert!(matches!(batch.changes()[2], Change::Delete(..)) && state.dirty.is_empty());
    }

    #[test]
    fn a_note_names_its_slice_and_owner() {
        let slice = Slice { partition: Partition(300), replicas: 3 };
        let note = untold(slice, NodeId(7));
        assert_eq!(parse_untold(&note), Some((slice, NodeId(7))));
        assert_eq!(parse_untold(&note[1..]), None);
    }
}
