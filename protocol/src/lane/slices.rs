//! Which slices a lane has: those whose live owner sets list this node.

use std::sync::Arc;

use bytes::Bytes;
use coterie_crdt::{Actor, Actors};
use coterie_ring::Partition;
use coterie_ring::moves::{self, Quorum, Replica};
use coterie_ring::register::Wire;
use coterie_wire::Slice;

use super::{OpenError, Shared};
use crate::digests::Tree;
use crate::effects::Effects;
use crate::repair::dirty;
use crate::rows::address::{self, SliceRow};
use crate::rows::{Batch, Direction, KeyRange, Rows, Space};
use crate::slice::{Reception, SliceState};
use crate::view::View;

impl Shared {
    /// Takes in another picture of the cluster: begins slices that are new to this node, and tells all how
    /// their owners changed.
    pub(super) fn adopt(&mut self, view: Arc<View>, effects: &mut Effects) {
        self.view = view;
        let view = Arc::clone(&self.view);
        let layout = view.decision.layout();
        let mine: Vec<Partition> =
            layout.partitioner().partitions().filter(|p| self.is_mine(*p)).collect();
        for partition in mine {
            for replicas in 1..=layout.snapshot().replicas() {
                let slice = Slice { partition, replicas };
                let sets = view.live_sets(slice);
                if !self.slices.contains_key(&slice) && sets.owners().contains(&self.me) {
                    let actor = self.draw_actor();
                    let replica = Replica::new(self.me, sets.clone(), Quorum::Majority);
                    let state = SliceState::begin(slice, actor, replica);
                    state.store(&mut effects.batch);
                    self.slices.insert(slice, state);
                }
                if let Some(state) = self.slices.get_mut(&slice) {
                    let mut asked = Vec::new();
                    let event = moves::Event::Layout(sets);
                    state.replica.handle(event, self.now.monotonic, &mut asked);
                    state.store(&mut effects.batch);
                }
            }
        }
    }
}

impl SliceState {
    /// A slice that this node begins to own, with nothing in it.
    #[must_use]
    pub fn begin(slice: Slice, actor: Actor, replica: Replica) -> Self {
        SliceState {
            slice,
            actors: Actors::new(actor),
            epoch: 0,
            replica,
            reception: Reception::Whole,
            tree: Tree::default(),
            verified: std::collections::BTreeMap::new(),
            dirty: std::collections::BTreeSet::new(),
        }
    }

    /// Writes its control rows.
    pub fn store(&self, batch: &mut Batch) {
        let mut put = |what, value: Vec<u8>| {
            batch.put(Space::Control, address::slice_row(self.slice, what), value);
        };
        let actors = self.actors.unspent().iter().flat_map(|actor| actor.0.to_be_bytes());
        put(SliceRow::Actors, actors.collect());
        put(SliceRow::Epoch, self.epoch.to_be_bytes().to_vec());
        put(SliceRow::Replica, self.replica.encode());
    }

    /// The slices of a lane that have control rows.
    pub(super) fn stored(rows: &impl Rows, shared: &Shared) -> Result<Vec<Slice>, OpenError> {
        let mut slices = Vec::new();
        let mut range = address::slice_rows();
        loop {
            let page = rows.scan(Space::Control, &range, Direction::Forward, 256)?;
            let Some((last, _)) = page.last() else { return Ok(slices) };
            range = KeyRange { from: successor(last), to: range.to };
            for (row, _) in page {
                let slice = parse(&row).ok_or(OpenError::Damaged { row })?;
                if shared.is_mine(slice.partition) && slices.last() != Some(&slice) {
                    slices.push(slice);
                }
            }
        }
    }

    /// A slice as its rows have it.
    pub(super) fn load(rows: &impl Rows, slice: Slice) -> Result<SliceState, OpenError> {
        let row = |what| address::slice_row(slice, what);
        let get = |what| -> Result<Bytes, OpenError> {
            let row = row(what);
            rows.get(Space::Control, &row)?.ok_or(OpenError::Damaged { row })
        };
        let damaged = |what| OpenError::Damaged { row: row(what) };
        let actors = get(SliceRow::Actors)?;
        let actors = actors
            .chunks_exact(8)
            .map(|actor| Actor(u64::from_be_bytes(actor.try_into().expect("chunks of 8 bytes"))));
        let actors = Actors::stored(actors).ok_or_else(|| damaged(SliceRow::Actors))?;
        let epoch = get(SliceRow::Epoch)?[..].try_into();
        let epoch = u64::from_be_bytes(epoch.map_err(|_length| damaged(SliceRow::Epoch))?);
        let replica = Replica::decode(&get(SliceRow::Replica)?);
        let replica = replica.map_err(|_malformed| damaged(SliceRow::Replica))?;
        let mut tree = Tree::default();
        let leaves = KeyRange::prefix(address::leaf(slice, 0).slice(..4));
        for (row, sum) in rows.scan(Space::Derived, &leaves, Direction::Forward, 256)? {
            let sum = sum[..].try_into().map(u128::from_be_bytes);
            tree.load(row[4], sum.map_err(|_length| OpenError::Damaged { row: row.clone() })?);
        }
        let mut state = SliceState::begin(slice, actors.current(), replica);
        (state.actors, state.epoch, state.tree) = (actors, epoch, tree);
        if let Some(dirty) = rows.get(Space::Control, &row(SliceRow::Dirty))? {
            state.dirty = dirty::decode(&dirty).ok_or_else(|| damaged(SliceRow::Dirty))?;
        }
        Ok(state)
    }
}

fn parse(row: &Bytes) -> Option<Slice> {
    let partition = u16::from_be_bytes(row.get(1..3)?.try_into().ok()?);
    Some(Slice { partition: Partition(partition), replicas: *row.get(3)? })
}

/// The least address after `address`.
fn successor(address: &Bytes) -> Bytes {
    let mut next = address.to_vec();
    next.push(0);
    next.into()
}
