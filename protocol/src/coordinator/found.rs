//! The rows of its key that a request is evaluated on.

use coterie_crdt::operation::Operation;
use coterie_crdt::{Cells, Footprint, Root};
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use super::request::About;

use crate::replica::{self, Stored, show};
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, ReadError, Rows, fetch};

/// The most cells of a key that are read for one evaluation.
const CELLS_MAX: usize = 480;

/// The rows that an event of the coordinator needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// What this node has of the key, as far as the operations have to see it.
    Own(Box<Stored>),
    /// A row does not decode (invariant 16).
    Damaged,
    /// The operations need more rows than one event may read.
    TooMany,
}

/// The rows that operations on a key together have to see.
pub(super) fn footprint(
    operations: &[Operation],
    root: Option<&Root>,
    wall_millis: u64,
) -> Footprint {
    let each = operations.iter().map(|operation| operation.footprint_over(root, wall_millis));
    each.fold(Footprint::root(), Footprint::and)
}

/// Reads what `operations` on a key need of this node's rows.
pub(super) fn read(
    slice: Slice,
    key: &Key,
    operations: &[Operation],
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    found(own(slice, key, operations, rows))
}

/// Reads what a request under way needs of this node's rows.
pub(super) fn read_for(about: &About, rows: &impl Rows) -> Result<Found, NotResident> {
    read(about.slice, &about.request.key, &about.request.operations, rows)
}

/// Reads the rows that a change is about.
pub(super) fn read_changed(
    about: &About,
    change: &Change,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let prefix = KeyPrefix::new(about.slice.partition, &about.request.key);
    found(Stored::fetch(rows, &prefix, &replica::needs(change), CELLS_MAX))
}

fn found(stored: Result<Stored, ReadError>) -> Result<Found, NotResident> {
    match stored {
        Ok(stored) => Ok(Found::Own(Box::new(stored))),
        Err(ReadError::NotResident(fetch)) => Err(fetch),
        Err(ReadError::Damaged(_) | ReadError::DamagedAddress | ReadError::DamagedRegister(_)) => {
            Ok(Found::Damaged)
        }
        Err(ReadError::TooMany) => Ok(Found::TooMany),
    }
}

fn own(
    slice: Slice,
    key: &Key,
    operations: &[Operation],
    rows: &impl Rows,
) -> Result<Stored, ReadError> {
    let prefix = KeyPrefix::new(slice.partition, key);
    let root = fetch::root(rows, &prefix)?;
    // The time of the evaluation is not known yet: whatever may have expired by then is read in full.
    let footprint = show::shown(&footprint(operations, Some(&root), u64::MAX));
    Stored::fetch_under(rows, &prefix, root, &footprint, CELLS_MAX)
}

/// The context of a key's rows.
pub(super) fn context(cells: &impl Cells) -> coterie_crdt::Context {
    cells.root().map_or_else(Default::default, |root| root.context.clone())
}
