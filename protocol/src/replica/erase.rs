//! The end of a key at a replica: all its rows, and what is derived from them.

use coterie_crdt::Root;
use coterie_crdt::digest::key_digest;
use coterie_ring::Partitioner;
use coterie_wire::{Key, Slice};

use crate::digests::Tree;
use crate::rows::address::{Derived, KeyPrefix};
use crate::rows::{Batch, KeyRange, Space};

/// Deletes all rows of a key, and takes it out of its leaf in the same batch (invariant 15).
///
/// Without a root, which is then damaged, its share of the leaf is not known and stays until the scrub finds it; so do
/// marks in the order of deadlines, of fields always, until the removal of what has expired comes upon them.
pub(crate) fn erase(
    key: &Key,
    (partitioner, slice, tree): (Partitioner, Slice, &mut Tree),
    root: Option<&Root>,
    batch: &mut Batch,
) {
    let prefix = KeyPrefix::new(slice.partition, key);
    batch.delete_range(Space::Rows, prefix.rows());
    for what in Derived::BY_KEY {
        batch.delete_range(Space::Derived, KeyRange::prefix(prefix.derived(what, &[])));
    }
    let Some(root) = root else { return };
    if let Some(deadline) = root.expiry.deadline() {
        batch.delete(Space::Derived, prefix.deadline(deadline));
    }
    tree.replace(partitioner, slice, key, (key_digest(root), 0), batch);
}
