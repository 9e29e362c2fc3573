//! The cells of one key as they are compared, sent and joined.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use coterie_crdt::digest::cell_digest;
use coterie_crdt::encoding::decode_cell;
use coterie_crdt::{
    Address, Cell, Cells, Context, Footprint, Kind, Partial, Root, State, Transfer, adopt_context,
};
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};

use super::halving::{Entry, HashRange};
use super::listing::ENTRIES_MAX;
use crate::digests::LEAVES;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::large::{self, Sums};
use crate::replica::{self, Stored};
use crate::rows::address::KeyPrefix;
use crate::rows::{Direction, NotResident, ReadError, Rows, Space, fetch};

/// A parcel carries so many cells at most: with their ranges' sums they are within what one event may touch.
const CELLS_MAX: usize = 256;

/// Rows read for one event.
const ROWS_MAX: usize = 768;

/// Why the cells of a key cannot be compared now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// A delete is being swept.
    Waits,
    /// The order of the cells is being built.
    Unordered,
    /// Rows are damaged (invariant 16).
    Damaged,
}

/// What is read of a key before the first of its cells.
#[derive(Debug)]
pub(super) struct Measured {
    /// What was seen of it: at the end of the session, and no earlier, the peer takes it in (invariant 5).
    pub(super) context: Context,
    /// How many rows it has beside the root.
    pub(super) rows: u64,
    /// The sums of its sub-ranges; `None` where it has too few cells to keep them.
    pub(super) sums: Option<Box<[u128; LEAVES]>>,
    /// All of another replica's cells on their way here.
    pub(super) transfer: Option<Transfer>,
}

/// Reads what is compared first.
pub(super) fn measure(
    rows: &impl Rows,
    prefix: &KeyPrefix,
) -> Result<Result<Measured, NotNow>, NotResident> {
    let measured = || -> Result<Result<Measured, NotNow>, ReadError> {
        let root = fetch::root(rows, prefix)?;
        if root.pending.is_some() {
            return Ok(Err(NotNow::Waits));
        }
        let sums = match large::sums(rows, prefix, &root)? {
            Sums::Small => None,
            // Nothing is compared before the rest is here.
            Sums::Building if root.transfer.is_some() => None,
            Sums::Building => return Ok(Err(NotNow::Unordered)),
            Sums::Built(sums) => Some(sums),
        };
        let Root { context, counts, transfer, .. } = root;
        let transfer = transfer.map(|transfer| *transfer);
        Ok(Ok(Measured { context, rows: counts.rows, sums, transfer }))
    };
    now(measured()).map(|measured| measured.unwrap_or(Err(NotNow::Damaged)))
}

/// What comes of a key that cannot be compared now: an order whose building a crash broke off is gone on with.
pub(super) fn not_now(slice: Slice, key: &Key, why: NotNow, effects: &mut Effects) {
    if why == NotNow::Unordered {
        let event = replica::Event::Index { slice, key: key.clone() };
        effects.lane(After::Written, crate::Event::Replica(event));
    }
}

/// Tells what has to be fetched from what is damaged.
pub(super) fn now<T>(read: Result<T, ReadError>) -> Result<Option<T>, NotResident> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(ReadError::NotResident(rows)) => Err(rows),
        Err(
            ReadError::Damaged(_)
            | ReadError::DamagedAddress
            | ReadError::DamagedRegister(_)
            | ReadError::TooMany,
        ) => Ok(None),
    }
}

/// Where a cell is, in few bytes.
pub(super) fn at(address: &Address) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + address.path.len());
    bytes.put_u8(address.kind as u8);
    bytes.put_slice(&address.path);
    bytes.freeze()
}

fn address(at: &Bytes) -> Option<Address> {
    let kind = Kind::from_byte(*at.first()?).filter(|kind| !kind.lives_in_root())?;
    Some(Address::new(kind, at.slice(1..)))
}

/// The cells of a key in some ranges of hashes, being listed.
#[derive(Debug)]
pub(super) struct CellLister {
    prefix: KeyPrefix,
    ranges: Vec<HashRange>,
    to: u64,
    entries: Vec<Entry>,
    place: Place,
    pub(super) incomplete: bool,
}

#[derive(Clone, Debug)]
enum Place {
    /// The range, and the last cell listed in it.
    Ordered(usize, Option<large::Listed>),
    /// The last cell read.
    Read(Option<Address>),
    End,
}

/// What one event has listed.
#[derive(Debug)]
pub(super) struct Listed {
    entries: Vec<Entry>,
    place: Place,
    incomplete: bool,
}

impl CellLister {
    /// To list the cells of a key whose hashes lie in `ranges`: by their order where that is kept, otherwise all
    /// are read.
    pub(super) fn new(prefix: KeyPrefix, ordered: bool, ranges: Vec<HashRange>, to: u64) -> Self {
        let place = if ordered { Place::Ordered(0, None) } else { Place::Read(None) };
        let entries = Vec::new();
        CellLister { prefix, ranges, to, entries, place, incomplete: false }
    }

    /// Whether all is listed.
    pub(super) fn is_done(&self) -> bool {
        match &self.place {
            Place::Ordered(range, _) => {
                self.ranges.get(*range).is_none_or(|range| range.from > self.to)
            }
            Place::Read(_) => false,
            Place::End => true,
        }
    }

    /// What was listed, and up to which hash.
    pub(super) fn finish(self) -> (Vec<Entry>, u64) {
        (self.entries, self.to)
    }

    /// Reads the next rows.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Listed, NotResident> {
        let listed = match &self.place {
            Place::Ordered(range, after) => self.read_order(rows, *range, after.as_ref()),
            Place::Read(after) => self.read_cells(rows, after.as_ref()),
            Place::End => Ok(None),
        };
        let failed = || Listed { entries: Vec::new(), place: Place::End, incomplete: true };
        Ok(now(listed)?.flatten().unwrap_or_else(failed))
    }

    fn read_order(
        &self,
        rows: &impl Rows,
        range: usize,
        after: Option<&large::Listed>,
    ) -> Result<Option<Listed>, ReadError> {
        let Some(HashRange { from, to }) = self.ranges.get(range).copied() else {
            return Ok(None);
        };
        // An order that has ended, because the key has shrunk or is deleted, lists nothing: not told apart
        // from a key without cells there unless it is looked for.
        let root = fetch::root(rows, &self.prefix)?;
        if !large::is_built(rows, &self.prefix, &root)? {
            return Ok(None);
        }
        let page = ROWS_MAX - 2;
        let found = large::list(rows, &self.prefix, (from, to.min(self.to)), after, page)?;
        let place = match found.last() {
            Some(last) if found.len() == page => Place::Ordered(range, Some(last.clone())),
            Some(_) | None => Place::Ordered(range + 1, None),
        };
        let entry =
            |one: large::Listed| Entry { hash: one.hash, digest: one.digest, at: at(&one.address) };
        let entries = found.into_iter().map(entry).collect();
        Ok(Some(Listed { entries, place, incomplete: false }))
    }

    fn read_cells(
        &self,
        rows: &impl Rows,
        after: Option<&Address>,
    ) -> Result<Option<Listed>, ReadError> {
        if fetch::root(rows, &self.prefix)?.pending.is_some() {
            return Ok(None);
        }
        let range = large::cells_after(&self.prefix, after);
        let page = ROWS_MAX - 1;
        let found = rows.scan(Space::Rows, &range, Direction::Forward, page)?;
        let ended = found.len() < page;
        let (mut entries, mut last) = (Vec::new(), None);
        for (row, value) in found {
            let address = self.prefix.parse_cell(&row).ok_or(ReadError::DamagedAddress)?;
            let hash = address.hash();
            let wanted = |range: &HashRange| range.from <= hash && hash <= range.to.min(self.to);
            if self.ranges.iter().any(wanted) {
                let cell = decode_cell(address.kind, &value)?;
                let digest = cell_digest(&address, &cell);
                entries.push(Entry { hash, digest, at: at(&address) });
            }
            last = Some(address);
        }
        let place = if ended { Place::End } else { Place::Read(last) };
        Ok(Some(Listed { entries, place, incomplete: false }))
    }

    /// Takes in what was read. Where that is too much to hold, what has the greatest hashes is left for later.
    pub(super) fn take(&mut self, listed: Listed) {
        self.place = listed.place;
        self.incomplete |= listed.incomplete;
        self.entries.extend(listed.entries);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.sort_unstable_by_key(|entry| entry.hash);
            self.to = self.entries[ENTRIES_MAX - 1].hash;
            self.entries.retain(|entry| entry.hash <= self.to);
        }
    }
}

/// Reads cells to be sent, with the root, which goes with every parcel: about as many bytes as a message carries.
/// What was read of `wanted`, and it; `None` where nothing can be sent now.
pub(super) fn extract(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    wanted: &BTreeSet<Bytes>,
    bytes_max: usize,
) -> Result<Option<(Vec<Bytes>, Partial)>, NotResident> {
    let read = || -> Result<Option<(Vec<Bytes>, Partial)>, ReadError> {
        let root = fetch::root(rows, prefix)?;
        if root.pending.is_some() {
            return Ok(None);
        }
        let (mut taken, mut addresses, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut cells: BTreeMap<Address, Cell> = BTreeMap::new();
        for at in wanted.iter().take(CELLS_MAX) {
            if bytes >= bytes_max {
                break;
            }
            let address = address(at).ok_or(ReadError::DamagedAddress)?;
            if let Some(row) = rows.get(Space::Rows, &prefix.cell(&address))? {
                bytes += row.len() + at.len();
                cells.insert(address.clone(), decode_cell(address.kind, &row)?);
            }
            addresses.push(address);
            taken.push(at.clone());
        }
        let state = State::from_rows(root, cells);
        Ok(Some((taken, Partial::extract(&state, &Footprint::cells(addresses)))))
    };
    Ok(now(read())?.flatten())
}

/// Reads what cells that a peer sent are to be joined with; `None` where they cannot be joined now.
pub(super) fn read_to_join(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    sent: &Partial,
) -> Result<Option<Stored>, NotResident> {
    if sent.cells().len() > CELLS_MAX || !sent.ranges().is_empty() {
        return Ok(None);
    }
    let footprint = Footprint::cells(sent.cells().keys().cloned());
    now(Stored::fetch(rows, prefix, &footprint, CELLS_MAX))
}

/// Joins cells that a peer sent: which are now as the peer has them, and of which this node has more.
pub(super) fn join(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    sent: Partial,
    stored: &mut Stored,
    effects: &mut Effects,
) -> (Vec<Bytes>, BTreeSet<Bytes>) {
    let change = Change::Partial(sent);
    replica::apply(shared, slice, key, stored, &change, effects);
    let Change::Partial(sent) = change else { return Default::default() };
    let (mut equal, mut more) = (Vec::new(), BTreeSet::new());
    let nothing = Cell::new();
    for (address, cell) in sent.cells() {
        if stored.state.cell(address).unwrap_or(&nothing) == cell {
            equal.push(at(address));
        } else {
            more.insert(at(address));
        }
    }
    (equal, more)
}

/// Reads what taking in a context changes.
pub(super) fn read_to_adopt(
    rows: &impl Rows,
    prefix: &KeyPrefix,
) -> Result<Option<Stored>, NotResident> {
    now(Stored::fetch(rows, prefix, &Footprint::root(), 0))
}

/// Takes in what the peer had seen before it read the first of its cells, all of which are joined.
pub(super) fn adopt(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    context: &Context,
    stored: &mut Stored,
    effects: &mut Effects,
) {
    let changes = adopt_context(&stored.state, context);
    replica::write(shared, slice, key, stored, changes, effects);
}
