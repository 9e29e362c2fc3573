//! The actors under which a fallback mints when no owner can be reached.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_crdt::Actor;
use coterie_ring::Partition;
use coterie_wire::{Incarnation, Slice};

use crate::rows::{Batch, Space, address};

/// An actor for each slice that this node has coordinated for without owning it.
///
/// All that was minted under it is in the hints kept here, so the next dot of a key follows from them (invariant 1). It
/// is spent with the first of those hints that is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallbackActors {
    /// With the life of the storage that each was drawn in.
    actors: BTreeMap<Slice, (Incarnation, Actor)>,
    /// The storage's life now.
    of: Incarnation,
    /// Rows of actors that were spent by the way in which the node stopped: to be deleted.
    spent: Vec<Slice>,
}

const VERSION: u8 = 1;

impl FallbackActors {
    /// The actor of a slice, if there is an unspent one.
    #[must_use]
    pub fn of(&self, slice: Slice) -> Option<Actor> {
        self.actors.get(&slice).map(|(_, actor)| *actor)
    }

    /// The actor of a slice; `drawn`, durable with `batch`, where there is none.
    pub fn of_or(&mut self, slice: Slice, drawn: Actor, batch: &mut Batch) -> Actor {
        if let Some(actor) = self.of(slice) {
            return actor;
        }
        self.spent.retain(|spent| *spent != slice);
        self.actors.insert(slice, (self.of, drawn));
        let mut row = vec![VERSION];
        row.extend_from_slice(&self.of.0.to_be_bytes());
        row.extend_from_slice(&drawn.0.to_be_bytes());
        batch.put(Space::Control, address::fallback_actor(slice), row);
        drawn
    }

    /// Nothing more is minted under the actor of a slice.
    pub fn spend(&mut self, slice: Slice, batch: &mut Batch) {
        if self.actors.remove(&slice).is_some() {
            batch.delete(Space::Control, address::fallback_actor(slice));
        }
    }

    /// Takes in a row as it was stored; `None` for bytes that no version wrote.
    pub(super) fn load(&mut self, address: &Bytes, row: &[u8]) -> Option<()> {
        let (life, actor) = row.strip_prefix(&[VERSION])?.split_first_chunk::<8>()?;
        let actor = Actor(u64::from_be_bytes(actor.try_into().ok()?));
        let life = Incarnation(u64::from_be_bytes(*life));
        self.actors.insert(slice_of(address)?, (life, actor));
        Some(())
    }

    /// This is the storage's life: what was minted in another one, or in any where `all_spent` says so, may have been
    /// lost since.
    pub(crate) fn recognise(&mut self, of: Incarnation, all_spent: bool) {
        self.of = of;
        let spent = self.actors.extract_if(.., |_, (life, _)| all_spent || *life != of);
        self.spent.extend(spent.map(|(slice, _)| slice));
    }

    /// Deletes the rows of actors that the last stop has spent, so that no later start takes them for unspent.
    pub(super) fn forget_spent(&mut self, batch: &mut Batch) {
        for slice in self.spent.drain(..) {
            batch.delete(Space::Control, address::fallback_actor(slice));
        }
    }
}

/// The slice named by a control row whose first byte is its use.
pub(super) fn slice_of(row: &Bytes) -> Option<Slice> {
    let partition = u16::from_be_bytes(row.get(1..3)?.try_into().ok()?);
    Some(Slice { partition: Partition(partition), replicas: *row.get(3)? })
}
