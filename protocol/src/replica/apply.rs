//! Joins: the one way that data enters a replica's rows.

use coterie_crdt::encoding::{encode_cell, encode_root};
use coterie_crdt::{Changes, Derived, Footprint, State, adopt_context, join_delta, join_partial};
use coterie_ring::Partitioner;
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use crate::digests::Tree;
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

/// The rows that joining `change` has to see.
#[must_use]
pub fn needs(change: &Change) -> Footprint {
    match change {
        Change::Delta(delta) => {
            Footprint::cells(delta.cells().iter().map(|(address, _)| address.clone()))
        }
        Change::Partial(partial) | Change::Whole(partial) => {
            let cells = Footprint::cells(partial.cells().keys().cloned());
            partial
                .ranges()
                .iter()
                .fold(cells, |all, range| all.and(Footprint::range(range.clone())))
        }
    }
}

/// Joins `change` into the rows of a key, of which `rows` shows what [`needs`] names, and writes the rows
/// that change and all that is derived from them into `batch`.
pub fn apply(
    key: &Key,
    place: (Partitioner, Slice, &mut Tree),
    rows: &mut State,
    change: &Change,
    batch: &mut Batch,
) -> Applied {
    let (partitioner, slice, tree) = place;
    let mut write_into = |rows: &mut State, changes: Changes| {
        let applied = write(key, (partitioner, slice, tree), &changes, batch);
        rows.apply(changes);
        applied
    };
    match change {
        Change::Delta(delta) => {
            let changes = join_delta(rows, delta);
            write_into(rows, changes)
        }
        Change::Partial(partial) => {
            let changes = join_partial(rows, partial);
            write_into(rows, changes)
        }
        Change::Whole(partial) => {
            let joined = join_partial(rows, partial);
            let joined = write_into(rows, joined);
            let adopted = adopt_context(rows, partial.context());
            let adopted = write_into(rows, adopted);
            Applied {
                changed: joined.changed || adopted.changed,
                digest: (joined.digest.0, adopted.digest.1),
            }
        }
    }
}

/// Writes changes of a key's rows, what is derived from them, and the leaf that sums them, into one batch
/// (invariant 15).
pub fn write(
    key: &Key,
    place: (Partitioner, Slice, &mut Tree),
    changes: &Changes,
    batch: &mut Batch,
) -> Applied {
    let (partitioner, slice, tree) = place;
    let applied = Applied { changed: !changes.is_empty(), digest: changes.digest };
    if changes.is_empty() {
        return applied;
    }
    let prefix = KeyPrefix::new(slice.partition, key);
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
    }
    tree.replace(partitioner, slice, key, changes.digest, batch);
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
        Derived::Deadline { from, to } => {
            moved(from.map(|at| prefix.deadline(at)), to.map(|at| prefix.deadline(at)));
        }
    }
}
