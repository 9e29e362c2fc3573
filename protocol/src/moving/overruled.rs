//! Owner sets that a forced epoch overruled: what their owners hold is brought to the owners in force before it
//! may go.
//!
//! They are no older sets to move from: often most of their owners are removed in the winning epoch, and such a move
//! could never be complete (docs/decisions/0253).

use coterie_ring::moves::OwnerSet;
use coterie_wire::Slice;

use super::Moving;
use crate::effects::Effects;
use crate::event::ControlEvent;
use crate::lane::Shared;

/// A set whose owners this node is one of.
#[derive(Debug)]
pub(super) struct Overruled {
    set: OwnerSet,
}

impl Moving {
    /// Takes in which sets were overruled, as far as this node knew of them. Of those that it was no owner of it has
    /// nothing to bring.
    pub(super) fn note_overruled(&mut self, shared: &Shared, effects: &mut Effects) {
        self.overruled.clear();
        for lost in shared.view.overruled.iter() {
            let slice = Slice { partition: lost.partition, replicas: lost.replicas };
            if !shared.is_mine(slice.partition) {
                continue;
            }
            if lost.set.contains(shared.me) && shared.slices.contains_key(&slice) {
                let set = lost.set.clone();
                self.overruled.entry(slice).or_default().push(Overruled { set });
            } else {
                let version = lost.set.version;
                effects.control(ControlEvent::OverruledDone { slice, version });
            }
        }
    }

    /// Whether this node's copy holds what was acknowledged under an overruled set and may be nowhere else.
    pub(super) fn is_overruled(&self, slice: Slice) -> bool {
        self.overruled.contains_key(&slice)
    }

    /// Tells control once all owners in force have got what this node holds of a set that was overruled.
    pub(super) fn end_overruled(&mut self, shared: &Shared, slice: Slice, effects: &mut Effects) {
        let Some(state) = shared.slices.get(&slice).filter(|_| self.work.contains_key(&slice))
        else {
            return;
        };
        let newest = state.replica.sets().newest();
        let in_force = newest.version == shared.view.live_sets(slice).tag();
        let all =
            newest.members.iter().all(|node| *node == shared.me || state.brought.contains(node));
        if !in_force || !all {
            return;
        }
        for overruled in self.overruled.remove(&slice).into_iter().flatten() {
            let version = overruled.set.version;
            effects.control(ControlEvent::OverruledDone { slice, version });
        }
    }
}
