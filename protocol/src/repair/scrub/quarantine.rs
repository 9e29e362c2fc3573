//! Quarantine: what becomes of a key with a damaged row.
//!
//! Damage is never absence (invariant 16): the key is answered as damaged until it is here. Then its rows are
//! dropped, to be received again from the other owners. With them goes what the context said of dots minted here:
//! every earlier own actor of the slice is spent, so that none is minted twice (invariant 1). And this copy
//! now lacks writes that it has acknowledged, so it counts nowhere until it has been synchronised with every other
//! owner (invariant 2). Where there is no other owner nothing is dropped, and the key stays damaged.

use coterie_crdt::{Actors, Root};
use coterie_wire::{Key, Slice};

use crate::effects::Effects;
use crate::lane::Shared;
use crate::replica;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows, fetch};
use crate::slice::Reception;

/// What is known of a key with a damaged row.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    /// Its root, where that is not what is damaged.
    root: Option<Box<Root>>,
}

impl Damage {
    /// Reads what can still be read.
    pub(super) fn read(slice: Slice, key: &Key, rows: &impl Rows) -> Result<Self, NotResident> {
        let prefix = KeyPrefix::new(slice.partition, key);
        let root = fetch::readable(fetch::root(rows, &prefix))?;
        Ok(Damage { root: root.map(Box::new) })
    }
}

/// Drops a damaged key. Whether the sum of its leaf is wrong then.
pub(super) fn quarantine(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    damage: &Damage,
    effects: &mut Effects,
) -> bool {
    shared.counters.damaged_keys += 1;
    let (me, drawn) = (shared.me, shared.draw_actor());
    let partitioner = shared.view.decision.layout().partitioner();
    let Some(state) = shared.slices.get_mut(&slice) else { return false };
    if state.replica.sets().owners().iter().all(|owner| *owner == me) {
        return false;
    }
    let batch = &mut effects.batch;
    let place = (partitioner, slice, &mut state.tree);
    replica::erase(key, place, damage.root.as_deref(), batch);
    state.actors = Actors::new(drawn);
    state.store(batch);
    shared.receive(slice, Reception::Amnesiac { synchronised: Vec::new() }, batch);
    damage.root.is_none()
}
