//! Joins: the one way that data enters a replica's rows.

use coterie_crdt::encoding::{encode_cell, encode_root};
use coterie_crdt::{
    Address, Changes, Derived, Footprint, Root, adopt_context, join_delta, join_partial,
};
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use super::{Event, Stored, large};
use crate::effects::{Action, After, Effects};
use crate::jobs;
use crate::lane::Shared;
use crate::repair::scrub;
use crate::rows::address::KeyPrefix;
use crate::rows::{Batch, Space};

/// What a join did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Whether any row was changed.
    pub changed: bool,
    /// The key's digest before and after.
    pub digest: (u128, u128),
}

/// Whether a job on a key with this root is under way: the sweep of a pending delete, or a transfer.
fn is_unfinished(root: &Root) -> bool {
    root.pending.is_some() || root.transfer.is_some()
}

/// The rows that joining `change` has to see.
#[must_use]
pub fn needs(change: &Change) -> Footprint {
    match change {
        Change::Delta(delta) => {
            Footprint::cells(delta.cells().iter().map(|(address, _)| address.clone()))
        }
        Change::Partial(partial) | Change::Whole(partial) => {
            let ranges = partial.ranges();
            let single = |address: &&Address| !ranges.iter().any(|range| range.contains(address));
            let cells = partial.cells().keys().filter(single).cloned();
            Footprint { ranges: ranges.iter().cloned().collect(), ..Footprint::cells(cells) }
        }
    }
}

/// Joins `change` into the rows of a key of one of this lane's slices, of which `stored` shows what
/// [`needs`] names, and writes the rows that change and all that is derived from them.
///
/// # Panics
/// If the lane does not own the slice.
pub fn apply(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    stored: &mut Stored,
    change: &Change,
    effects: &mut Effects,
) -> Applied {
    match change {
        Change::Delta(delta) => {
            let changes = join_delta(&stored.state, delta);
            write(shared, slice, key, stored, changes, effects)
        }
        Change::Partial(partial) => {
            let changes = join_partial(&stored.state, partial);
            write(shared, slice, key, stored, changes, effects)
        }
        Change::Whole(partial) => {
            let changes = join_partial(&stored.state, partial);
            let joined = write(shared, slice, key, stored, changes, effects);
            let changes = adopt_context(&stored.state, partial.context());
            let adopted = write(shared, slice, key, stored, changes, effects);
            Applied {
                changed: joined.changed || adopted.changed,
                digest: (joined.digest.0, adopted.digest.1),
            }
        }
    }
}

/// Writes changes of a key's rows, what is derived from them, and the leaf that sums them, into one batch
/// (invariant 15). Afterwards `stored` shows them.
///
/// # Panics
/// If the lane does not own the slice.
pub fn write(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    stored: &mut Stored,
    changes: Changes,
    effects: &mut Effects,
) -> Applied {
    let applied = Applied { changed: !changes.is_empty(), digest: changes.digest };
    if changes.is_empty() {
        return applied;
    }
    let prefix = KeyPrefix::new(slice.partition, key);
    let batch = &mut effects.batch;
    if changes.root_changed {
        if changes.root.is_empty() {
            batch.delete(Space::Rows, prefix.root());
        } else {
            batch.put(Space::Rows, prefix.root(), encode_root(&changes.root));
        }
    }
    for (address, cell) in &changes.cells {
        if cell.is_empty() {
            batch.delete(Space::Rows, prefix.cell(address));
        } else {
            batch.put(Space::Rows, prefix.cell(address), encode_cell(cell));
        }
    }
    for derived in &changes.derived {
        write_derived(&prefix, derived, batch);
        if let Derived::Deadline { to: Some(at), .. }
        | Derived::FieldDeadline { to: Some(at), .. } = derived
        {
            shared.deadlines.expect(slice.partition, *at);
        }
    }
    let index = (&mut stored.index, stored.index_was_read);
    let indexing = large::follow(&prefix, &stored.state, index, &changes, batch);
    let unfinished = [&stored.root(), &changes.root].map(is_unfinished);
    if unfinished[1] && !unfinished[0] {
        batch.put(Space::Derived, prefix.unfinished(), Vec::new());
    } else if unfinished[0] && !unfinished[1] {
        batch.delete(Space::Derived, prefix.unfinished());
    }
    let partitioner = shared.view.decision.layout().partitioner();
    let state = shared.slices.get_mut(&slice).expect("the lane owns the slice");
    state.tree.replace(partitioner, slice, key, changes.digest, batch);
    if changes.root.pending.is_some() && stored.root().pending.is_none() {
        effects.lane(After::Written, jobs::Event::Deleted { key: key.clone() }.into());
    }
    if changes.contradiction {
        scrub::walk_over(slice, effects);
    }
    if indexing {
        let event = Event::Index { slice, key: key.clone() };
        effects.lane(After::Written, crate::Event::Replica(event));
    }
    effects.actions.push((After::Written, Action::Changed { key: key.clone() }));
    stored.state.apply(changes);
    applied
}

fn write_derived(prefix: &KeyPrefix, derived: &Derived, batch: &mut Batch) {
    let mut moved = |from: Option<_>, to: Option<_>| {
        if let Some(from) = from {
            batch.delete(Space::Derived, from);
        }
        if let Some(to) = to {
            batch.put(Space::Derived, to, Vec::new());
        }
    };
    match derived {
        Derived::Score { member, from, to } => {
            let at = |score: &Option<_>| score.map(|score| prefix.score(score, member));
            moved(at(from), at(to));
        }
        Derived::Tallied { address, now } => {
            let address = prefix.tallied(address);
            moved((!now).then(|| address.clone()), now.then_some(address));
        }
        Derived::FieldDeadline { field, from, to } => {
            let at = |millis: &Option<u64>| millis.map(|at| prefix.field_deadline(at, field));
            moved(at(from), at(to));
        }
        Derived::Deadline { from, to } => {
            moved(from.map(|at| prefix.deadline(at)), to.map(|at| prefix.deadline(at)));
        }
    }
}
