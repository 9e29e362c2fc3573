//! The rows of its key that a request is evaluated on.

use coterie_crdt::digest::key_digest;
use coterie_crdt::operation::{
    HashOperation, KeyOperation, Operation, SetVerb, SortedSetOperation,
};
use coterie_crdt::{Actor, Cells, Clock, Context, Dot, Footprint, Mint, Need, Root, State};
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Request, RequestId, Slice};
use xxhash_rust::xxh3::xxh3_64;

use super::request::{About, UnderWay};
use crate::disk::{self, Purpose};
use crate::lane::Shared;
use crate::repair::hints::KeyHints;
use crate::replica::{self, Stored, show};
use crate::rows::address::KeyPrefix;
use crate::rows::lazy::{EVALUATED_ROWS_MAX, Page, Recorded};
use crate::rows::{NotResident, ReadError, Rows, fetch};

/// The most cells that are read at once for what is evaluated on this node's and others' rows joined, and the most that
/// are committed in one event.
pub(super) const CELLS_MAX: usize = 480;

/// The most bytes of rows that one request gathers in memory.
pub(super) const GATHERED_BYTES_MAX: u64 = 16 << 20;

/// The most bytes of what one request changes: with room for the rest, they are within one message.
pub(super) const DELTA_BYTES_MAX: u64 = 8 << 20;

/// The rows that an event of the coordinator needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// What this node has of the key, as far as the operations have to see it.
    Own(Box<Own>),
    /// Some more of what they have to see.
    More(Box<Page>),
    /// All that they have to see was gathered, and is still so.
    Gathered,
    /// The key was changed while rows of it were gathered.
    Changed,
    /// What this node keeps of the key for owners.
    Hints(Box<KeyHints>),
    /// The disk is too full for what clients write.
    Full,
    /// A row does not decode (invariant 16).
    Damaged,
    /// More than one event may read.
    TooMany,
}

/// A key as this node has it, as far as it was read.
#[derive(Debug)]
pub enum Own {
    /// All rows of a footprint.
    Small(Stored),
    /// Those that the evaluation looks for.
    Large(Recorded),
}

impl Own {
    /// All that this node has seen of the key.
    pub(super) fn context(&self) -> Context {
        self.root().map_or_else(Context::new, |root| root.context.clone())
    }

    /// The root, if there is one.
    pub(super) fn root(&self) -> Option<&Root> {
        match self {
            Own::Small(stored) => stored.state.root(),
            Own::Large(recorded) => recorded.root(),
        }
    }

    /// The digest of the key.
    pub(super) fn digest(&self) -> u128 {
        self.root().map_or(0, key_digest)
    }

    /// The rows, where all of the footprint were read.
    pub(super) fn small(&self) -> Option<&State> {
        match self {
            Own::Small(stored) => Some(&stored.state),
            Own::Large(_) => None,
        }
    }
}

/// The rows that operations on a key together have to see.
pub(super) fn footprint(
    operations: &[Operation],
    root: Option<&Root>,
    wall_millis: u64,
    whole: bool,
) -> Footprint {
    let each = operations.iter().map(|operation| operation.footprint_over(root, wall_millis));
    let all = each.fold(Footprint::root(), Footprint::and);
    // Whatever is derived is evaluated on all rows of one replica.
    if whole { all.and(Footprint::derived(Need::Counts)) } else { all }
}

/// What decides a request's random choices: the same for each evaluation, so that it reads the same rows.
pub(super) fn random(request: RequestId) -> u64 {
    xxh3_64(&request.0.to_le_bytes())
}

/// Reads what a request needs of this node's rows.
pub(super) fn read(
    shared: &Shared,
    slice: Slice,
    request: &Request,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    if !disk::takes(rows, purpose(request)) {
        return Ok(Found::Full);
    }
    found(own(shared, slice, (request, false), rows).map(|own| Found::Own(Box::new(own))))
}

/// What a request does to the disk.
fn purpose(request: &Request) -> Purpose {
    let frees = |operation: &Operation| match operation {
        Operation::Key(operation) => matches!(
            operation,
            KeyOperation::Delete
                | KeyOperation::RemoveExpired { .. }
                | KeyOperation::RemoveTallied(_)
        ),
        Operation::Hash(operation) => {
            matches!(operation, HashOperation::Remove(_) | HashOperation::RemoveExpired(_))
        }
        Operation::Set(operation) => matches!(operation.verb, SetVerb::Remove(_)),
        Operation::SortedSet(operation) => matches!(operation, SortedSetOperation::Remove(_)),
        Operation::String(_)
        | Operation::Map(_)
        | Operation::Flag(_)
        | Operation::List(_)
        | Operation::HyperLogLog(_) => false,
    };
    let may = |operation: &Operation| !operation.writes() || frees(operation);
    if request.operations.iter().all(may) { Purpose::Freeing } else { Purpose::Client }
}

/// Reads what a request under way needs of this node's rows.
pub(super) fn read_for(
    shared: &Shared,
    under_way: &UnderWay,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let about = &under_way.about;
    match &under_way.gathered {
        None => {
            let own = own(shared, about.slice, (&about.request, about.whole), rows);
            found(own.map(|own| Found::Own(Box::new(own))))
        }
        Some(recorded) => found(more(shared, about, recorded, rows)),
    }
}

/// Reads the rows that a change is about.
pub(super) fn read_changed(
    about: &About,
    change: &Change,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let prefix = KeyPrefix::new(about.slice.partition, &about.request.key);
    let stored = Stored::fetch(rows, &prefix, &replica::needs(change), CELLS_MAX);
    found(stored.map(|stored| Found::Own(Box::new(Own::Small(stored)))))
}

/// Reads what this node keeps of a key for owners.
pub(super) fn read_hints(
    shared: &Shared,
    slice: Slice,
    key: &Key,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    found(shared.hints.of_key(rows, slice, key).map(|hints| Found::Hints(Box::new(hints))))
}

fn found(found: Result<Found, ReadError>) -> Result<Found, NotResident> {
    match found {
        Ok(found) => Ok(found),
        Err(ReadError::NotResident(fetch)) => Err(fetch),
        Err(ReadError::Damaged(_) | ReadError::DamagedAddress | ReadError::DamagedRegister(_)) => {
            Ok(Found::Damaged)
        }
        Err(ReadError::TooMany) => Ok(Found::TooMany),
    }
}

fn own(
    shared: &Shared,
    slice: Slice,
    (request, whole): (&Request, bool),
    rows: &impl Rows,
) -> Result<Own, ReadError> {
    let prefix = KeyPrefix::new(slice.partition, &request.key);
    let root = fetch::root(rows, &prefix)?;
    // The time of the evaluation is not known yet: whatever may have expired by then is read in full.
    let footprint = footprint(&request.operations, Some(&root), u64::MAX, whole);
    let shown = show::shown(&footprint);
    let fits = shown.ranges.is_empty() || root.counts.rows <= CELLS_MAX as u64;
    if fits && footprint.cells.len() <= CELLS_MAX {
        match Stored::fetch_under(rows, &prefix, root.clone(), &shown, CELLS_MAX) {
            Err(ReadError::TooMany) => {}
            stored => return stored.map(Own::Small),
        }
    }
    let mut recorded = Recorded::begin(prefix, root, &footprint);
    let mut read = 0;
    while recorded.is_missing() || looks_further(shared, slice, request, &recorded) {
        // What is more is gathered in chunks.
        let Some(left) = EVALUATED_ROWS_MAX.checked_sub(read).filter(|left| *left > 0) else {
            break;
        };
        let page = recorded.fetch(rows, left)?;
        read += page.rows();
        recorded.take(page);
    }
    Ok(Own::Large(recorded))
}

/// Goes on with rows that did not fit one event.
fn more(
    shared: &Shared,
    about: &About,
    recorded: &Recorded,
    rows: &impl Rows,
) -> Result<Found, ReadError> {
    let prefix = KeyPrefix::new(about.slice.partition, &about.request.key);
    let root = fetch::root(rows, &prefix)?;
    if recorded.root().cloned().unwrap_or_default() != root {
        return Ok(Found::Changed);
    }
    if recorded.is_missing() || looks_further(shared, about.slice, &about.request, recorded) {
        let page = recorded.fetch(rows, EVALUATED_ROWS_MAX)?;
        return Ok(Found::More(Box::new(page)));
    }
    Ok(Found::Gathered)
}

/// Evaluates for no other purpose than to see which rows that takes.
fn looks_further(shared: &Shared, slice: Slice, request: &Request, recorded: &Recorded) -> bool {
    let context = recorded.root().map_or_else(Context::new, |root| root.context.clone());
    let next = shared.slices.get(&slice).and_then(|state| state.actors.next_dot(&context));
    let next = next.unwrap_or(Dot::new(Actor(0), 1));
    let mut clock = Clock::new();
    let mut mint = Mint::new(next, &mut clock, shared.now.wall_millis, random(request.id))
        .with_limits(shared.settings.limits)
        .with_lifetime(shared.view.lifetime_millis(&request.key));
    coterie_crdt::operation::evaluate_all(&request.operations, recorded, &mut mint);
    recorded.is_missing()
}
