//! The control rows of slices (docs/formats.md, "Rows of a slice").

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes};
use coterie_crdt::{Actor, Actors};
use coterie_ring::moves::Replica;
use coterie_ring::register::Wire;
use coterie_ring::{NodeId, Partition};
use coterie_wire::{Incarnation, Slice};

use super::{OpenError, Shared};
use crate::mutants::{Mutant, mutant};
use crate::repair::dirty;
use crate::rows::address::{self, SliceRow};
use crate::rows::{Batch, Direction, KeyRange, Rows, Space};
use crate::slice::{KnownEpoch, Reception, SliceState, Votes};

/// Begins every row but that of the replica, which has a version of its own.
const VERSION: u8 = 1;

impl SliceState {
    /// Writes all its control rows.
    pub fn store(&self, batch: &mut Batch) {
        self.store_actors(batch);
        self.store_epoch(batch);
        self.store_replica(batch);
        self.store_reception(batch);
    }

    /// Writes the actors it mints under.
    pub fn store_actors(&self, batch: &mut Batch) {
        let mut row = vec![VERSION];
        row.put_u64(self.actors_of.0);
        self.actors.unspent().iter().for_each(|actor| row.put_u64(actor.0));
        self.put(SliceRow::Actors, row, batch);
    }

    /// Writes its purge epoch.
    pub fn store_epoch(&self, batch: &mut Batch) {
        store_epoch(self.slice, (self.epoch, self.epoch_min), batch);
    }

    /// Writes how far it is moved.
    pub fn store_replica(&self, batch: &mut Batch) {
        self.put(SliceRow::Replica, self.replica.encode(), batch);
    }

    /// Writes how much of it is here.
    pub fn store_reception(&self, batch: &mut Batch) {
        let mut row = vec![VERSION];
        row.put_u64(self.reception_of.0);
        let (tag, nodes): (u8, &[NodeId]) = match &self.reception {
            Reception::Whole => match self.votes {
                Votes::Count => (0, &[]),
                Votes::Lost { .. } => (4, &[]),
            },
            Reception::Amnesiac { synchronised } => (1, synchronised),
            Reception::Dropping => (2, &[]),
            Reception::Afresh { synchronised } => (3, synchronised),
        };
        row.put_u8(tag);
        nodes.iter().for_each(|node| row.put_u128(node.0));
        if let (Reception::Whole, Votes::Lost { from, .. }) = (&self.reception, &self.votes) {
            row.put_u64(*from);
        }
        self.put(SliceRow::Reception, row, batch);
    }

    fn put(&self, what: SliceRow, row: Vec<u8>, batch: &mut Batch) {
        batch.put(Space::Control, address::slice_row(self.slice, what), row);
    }

    /// Deletes the control rows of a slice that is forgotten, but for its purge epoch.
    pub(crate) fn forget(slice: Slice, batch: &mut Batch) {
        use SliceRow::{Actors, Dirty, Reception, Replica};
        for what in [Actors, Replica, Reception, Dirty] {
            batch.delete(Space::Control, address::slice_row(slice, what));
        }
    }
}

/// Writes the purge epoch of a slice, owned or not, and from which on others are admitted.
pub(crate) fn store_epoch(slice: Slice, (epoch, epoch_min): (u64, u64), batch: &mut Batch) {
    if mutant(Mutant::EpochNotDurable) {
        return;
    }
    let mut row = vec![VERSION];
    row.put_u64(epoch);
    row.put_u64(epoch_min);
    batch.put(Space::Control, address::slice_row(slice, SliceRow::Epoch), row);
}

impl Shared {
    /// Reads the control rows of this lane's slices, and the sums of those that it has.
    pub(super) fn load(&mut self, rows: &impl Rows) -> Result<(), OpenError> {
        let mut range = address::slice_rows();
        loop {
            let page = rows.scan(Space::Control, &range, Direction::Forward, 256)?;
            let Some((last, _)) = page.last() else { break };
            range = KeyRange { from: address::after(last), to: range.to };
            for (row, value) in page {
                let (slice, what) =
                    parse(&row).ok_or_else(|| OpenError::Damaged { row: row.clone() })?;
                if !self.is_mine(slice.partition) {
                    continue;
                }
                if what == SliceRow::Epoch as u8 {
                    let (epoch, settled) =
                        decode_epoch(&value).ok_or(OpenError::Damaged { row })?;
                    self.epochs.insert(slice, KnownEpoch { epoch, settled });
                } else if what == SliceRow::Replica as u8 {
                    let state = load_slice(rows, slice)?;
                    self.slices.insert(slice, state);
                }
            }
        }
        self.epochs.retain(|slice, _| !self.slices.contains_key(slice));
        Ok(())
    }
}

/// A slice as its rows have it.
fn load_slice(rows: &impl Rows, slice: Slice) -> Result<SliceState, OpenError> {
    let row = |what| address::slice_row(slice, what);
    let get = |what| -> Result<Bytes, OpenError> {
        let row = row(what);
        rows.get(Space::Control, &row)?.ok_or(OpenError::Damaged { row })
    };
    let damaged = |what| OpenError::Damaged { row: row(what) };
    let (actors, actors_of) =
        decode_actors(&get(SliceRow::Actors)?).ok_or_else(|| damaged(SliceRow::Actors))?;
    let (epoch, epoch_min) =
        decode_epoch(&get(SliceRow::Epoch)?).ok_or_else(|| damaged(SliceRow::Epoch))?;
    let replica =
        decode_replica(&get(SliceRow::Replica)?).ok_or_else(|| damaged(SliceRow::Replica))?;
    let (reception, votes, reception_of) =
        decode_reception(&get(SliceRow::Reception)?).ok_or_else(|| damaged(SliceRow::Reception))?;
    let mut state = SliceState::begin(slice, actors.current(), actors_of, replica);
    (state.actors, state.epoch, state.epoch_min) = (actors, epoch, epoch_min);
    (state.reception, state.votes, state.reception_of) = (reception, votes, reception_of);
    if let Some(dirty) = rows.get(Space::Control, &row(SliceRow::Dirty))? {
        state.dirty = dirty::decode(&dirty).ok_or_else(|| damaged(SliceRow::Dirty))?;
    }
    let leaves = address::leaves(slice);
    for (row, sum) in rows.scan(Space::Leaves, &leaves, Direction::Forward, 256)? {
        let leaf = address::parse_leaf(&row).map(|(_, leaf)| leaf);
        let sum = sum[..].try_into().ok().map(u128::from_be_bytes);
        let (leaf, sum) = leaf.zip(sum).ok_or(OpenError::Damaged { row })?;
        state.tree.load(leaf, sum);
    }
    Ok(state)
}

fn decode_actors(row: &[u8]) -> Option<(Actors, Incarnation)> {
    let (of, actors) = row.strip_prefix(&[VERSION])?.split_first_chunk::<8>()?;
    let (actors, rest) = actors.as_chunks::<8>();
    let actors = Actors::stored(actors.iter().map(|actor| Actor(u64::from_be_bytes(*actor))))?;
    rest.is_empty().then_some((actors, Incarnation(u64::from_be_bytes(*of))))
}

fn decode_epoch(row: &[u8]) -> Option<(u64, u64)> {
    let (epochs, rest) = row.strip_prefix(&[VERSION])?.as_chunks::<8>();
    let [epoch, epoch_min] = epochs else { return None };
    rest.is_empty().then_some((u64::from_be_bytes(*epoch), u64::from_be_bytes(*epoch_min)))
}

fn decode_replica(row: &[u8]) -> Option<Replica> {
    Replica::decode(row).ok()
}

fn decode_reception(row: &[u8]) -> Option<(Reception, Votes, Incarnation)> {
    let (of, rest) = row.strip_prefix(&[VERSION])?.split_first_chunk::<8>()?;
    let of = Incarnation(u64::from_be_bytes(*of));
    let (tag, rest) = rest.split_first()?;
    if *tag == 4 {
        let from = u64::from_be_bytes(rest.try_into().ok()?);
        return Some((Reception::Whole, Votes::Lost { from, met: BTreeSet::new() }, of));
    }
    let (nodes, rest) = rest.as_chunks::<16>();
    let synchronised: Vec<NodeId> =
        nodes.iter().map(|node| NodeId(u128::from_be_bytes(*node))).collect();
    let reception = match tag {
        0 if nodes.is_empty() => Reception::Whole,
        1 => Reception::Amnesiac { synchronised },
        2 if nodes.is_empty() => Reception::Dropping,
        3 => Reception::Afresh { synchronised },
        _ => return None,
    };
    rest.is_empty().then_some((reception, Votes::Count, of))
}

fn parse(row: &Bytes) -> Option<(Slice, u8)> {
    let [b's', high, low, replicas, what, ..] = **row else { return None };
    let partition = Partition(u16::from_be_bytes([high, low]));
    Some((Slice { partition, replicas }, what))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coterie_ring::moves::{LiveSets, OwnerSet, Quorum, SetVersion};

    use super::*;
    use crate::rows::Change;

    const SLICE: Slice = Slice { partition: Partition(0x0102), replicas: 3 };

    fn state() -> SliceState {
        let version = SetVersion { epoch: 0, number: 7 };
        let members = [NodeId(1), NodeId(2)].into_iter().collect();
        let sets = LiveSets::new([OwnerSet { version, members }], []).expect("one set");
        let replica = Replica::new(NodeId(1), sets, Quorum::Majority);
        let mut state = SliceState::begin(SLICE, Actor(0x0a), Incarnation(0x1f), replica);
        (state.epoch, state.epoch_min) = (5, 4);
        state.reception = Reception::Amnesiac { synchronised: vec![NodeId(2)] };
        state
    }

    fn stored(state: &SliceState) -> BTreeMap<Bytes, Bytes> {
        let mut batch = Batch::new();
        state.store(&mut batch);
        let put = |change: &Change| match change {
            Change::Put(Space::Control, key, value) => (key.clone(), value.clone()),
            Change::Put(..) | Change::Delete(..) | Change::DeleteRange(..) => {
                panic!("{change:?} writes no control row")
            }
        };
        batch.changes().iter().map(put).collect()
    }

    #[test]
    fn rows_of_a_slice_have_the_bytes_of_the_format() {
        let rows = stored(&state());
        let row = |what: u8| &rows[&[b's', 1, 2, 3, what][..]][..];
        assert_eq!(row(b'a'), [1, 0, 0, 0, 0, 0, 0, 0, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0x0a]);
        assert_eq!(row(b'e'), [1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 4]);
        let mut reception = vec![1, 0, 0, 0, 0, 0, 0, 0, 0x1f, 1];
        reception.extend_from_slice(&2_u128.to_be_bytes());
        assert_eq!(row(b'v'), reception);
        assert_eq!(row(b'r')[0], 1);
    }

    #[test]
    fn rows_decode_to_what_was_stored_and_damaged_ones_are_refused() {
        let state = state();
        let rows = stored(&state);
        let row = |what: u8| rows[&[b's', 1, 2, 3, what][..]].clone();
        assert_eq!(decode_actors(&row(b'a')), Some((state.actors.clone(), Incarnation(0x1f))));
        assert_eq!(decode_epoch(&row(b'e')), Some((5, 4)));
        assert_eq!(decode_replica(&row(b'r')), Some(state.replica.clone()));
        let reception = Some((state.reception.clone(), Votes::Count, Incarnation(0x1f)));
        assert_eq!(decode_reception(&row(b'v')), reception);
        let mut voteless = state.clone();
        voteless.reception = Reception::Whole;
        voteless.votes = Votes::Lost { from: 6, met: BTreeSet::new() };
        let lost = stored(&voteless)[&[b's', 1, 2, 3, b'v'][..]].clone();
        assert_eq!(lost[9..], [4, 0, 0, 0, 0, 0, 0, 0, 6]);
        let of = Incarnation(0x1f);
        assert_eq!(decode_reception(&lost), Some((Reception::Whole, voteless.votes, of)));
        let refuses = |decodes: &dyn Fn(&[u8]) -> bool, row: &[u8]| {
            (0..row.len()).all(|length| !decodes(&row[..length]))
        };
        assert!(refuses(&|row| decode_actors(row).is_some(), &row(b'a')));
        assert!(refuses(&|row| decode_epoch(row).is_some(), &row(b'e')));
        assert!(refuses(&|row| decode_replica(row).is_some(), &row(b'r')));
        assert!(refuses(&|row| decode_reception(row).is_some(), &lost));
        // A list of no nodes is shorter and whole.
        assert!(refuses(&|row| row.len() > 10 && decode_reception(row).is_some(), &row(b'v')));
    }
}
