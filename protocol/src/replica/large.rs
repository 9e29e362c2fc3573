//! The index of a large key: its cells by the hash of their addresses, and sums of 256 ranges of it.
//!
//! Two replicas of a key of 10^6 cells that differ in one find it by comparing sums, then the cells of one range:
//! reading all of them would cost as much as sending them. The index is derived from the rows, local, and
//! written in the same batch as they are (invariant 15). It is built in chunks, in order of addresses, when a
//! key has grown large: up to its cursor it is true. A key whose deletion waits for its sweep has none.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use coterie_crdt::digest::cell_digest;
use coterie_crdt::{Address, Cell, Cells, Changes, Kind, Root};

use crate::rows::address::{Derived, KeyPrefix};
use crate::rows::{Batch, Direction, KeyRange, ReadError, Rows, Space};

/// A key with more cells than this gets an index.
pub const INDEXED_ABOVE: u64 = 4_096;

/// One with fewer than this has none: what wanders about the other bound is not built again and again.
pub const INDEXED_LEAST: u64 = 2_048;

/// Ranges of hashes that are summed.
pub const RANGES: usize = 256;

/// The most cells that one event indexes.
const CHUNK: usize = 360;

/// How far a key's index is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// It has cells up to this one; `None` before the first.
    Building(Option<Address>),
    /// It has all.
    Complete,
}

impl Progress {
    fn has(&self, address: &Address) -> bool {
        match self {
            Progress::Building(cursor) => cursor.as_ref().is_some_and(|cursor| address <= cursor),
            Progress::Complete => true,
        }
    }

    fn encode(&self) -> Bytes {
        let mut row = BytesMut::new();
        row.put_u8(u8::from(*self == Progress::Complete));
        if let Progress::Building(Some(cursor)) = self {
            row.put_u8(cursor.kind as u8);
            row.put_slice(&cursor.path);
        }
        row.freeze()
    }

    fn decode(row: &Bytes) -> Option<Self> {
        match (row.first()?, row.get(1)) {
            (0, None) => Some(Progress::Building(None)),
            (0, Some(kind)) => {
                let kind = Kind::from_byte(*kind).filter(|kind| !kind.lives_in_root())?;
                Some(Progress::Building(Some(Address::new(kind, row.slice(2..)))))
            }
            (1, None) => Some(Progress::Complete),
            _ => None,
        }
    }
}

/// What an event has read of a key's index: how far it is, and the sums that cells at hand are in.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    progress: Progress,
    sums: BTreeMap<u8, u128>,
}

impl Index {
    /// Reads what changing some cells of a key has to see. `None` where the key has no index.
    pub(crate) fn fetch<'a>(
        rows: &impl Rows,
        prefix: &KeyPrefix,
        root: &Root,
        cells: impl IntoIterator<Item = &'a Address>,
    ) -> Result<Option<Self>, ReadError> {
        if root.counts.rows < INDEXED_LEAST {
            return Ok(None);
        }
        let Some(progress) = progress(rows, prefix)? else { return Ok(None) };
        let ranges: BTreeSet<u8> = cells.into_iter().map(range_of).collect();
        let sums = ranges.into_iter().map(|range| Ok((range, sum(rows, prefix, range)?)));
        Ok(Some(Index { progress, sums: sums.collect::<Result<_, ReadError>>()? }))
    }

    /// A cell goes from one content to another. Whether the index could follow.
    fn replace(
        &mut self,
        prefix: &KeyPrefix,
        address: &Address,
        (from, to): (&Cell, &Cell),
        batch: &mut Batch,
    ) -> bool {
        if !self.progress.has(address) {
            return true;
        }
        let Some(sum) = self.sums.get_mut(&range_of(address)) else { return false };
        let [from, to] = [from, to].map(|cell| cell_digest(address, cell));
        *sum = sum.wrapping_sub(from).wrapping_add(to);
        if to == 0 {
            batch.delete(Space::Derived, prefix.cell_order(address));
        } else {
            let digest = Bytes::copy_from_slice(&to.to_be_bytes());
            batch.put(Space::Derived, prefix.cell_order(address), digest);
        }
        true
    }

    fn store(&self, prefix: &KeyPrefix, ranges: &BTreeSet<u8>, batch: &mut Batch) {
        for range in ranges {
            if let Some(sum) = self.sums.get(range) {
                let sum = Bytes::copy_from_slice(&sum.to_be_bytes());
                batch.put(Space::Derived, sum_row(prefix, *range), sum);
            }
        }
    }
}

/// Moves the index of a key along with its rows, of which `stored` shows how those that change were.
/// Whether it has to be built, or gone on building.
pub(super) fn follow(
    prefix: &KeyPrefix,
    stored: &impl Cells,
    (index, was_read): (&mut Option<Index>, bool),
    changes: &Changes,
    batch: &mut Batch,
) -> bool {
    let (root, nothing) = (&changes.root, Cell::new());
    let deleting = root.pending.is_some();
    let Some(known) = index else {
        let rows = stored.root().map_or(0, |root| root.counts.rows);
        if !was_read && rows >= INDEXED_LEAST && !changes.cells.is_empty() {
            drop_index(prefix, batch);
        }
        if deleting || root.counts.rows <= INDEXED_ABOVE {
            return false;
        }
        let begun = Index { progress: Progress::Building(None), sums: BTreeMap::new() };
        batch.put(Space::Derived, head(prefix), begun.progress.encode());
        *index = Some(begun);
        return true;
    };
    let mut ranges = BTreeSet::new();
    let followed = changes.cells.iter().all(|(address, cell)| {
        let before = stored.cell(address).unwrap_or(&nothing);
        ranges.insert(range_of(address));
        known.replace(prefix, address, (before, cell), batch)
    });
    if deleting || !followed || root.counts.rows < INDEXED_LEAST {
        drop_index(prefix, batch);
        *index = None;
        return false;
    }
    known.store(prefix, &ranges, batch);
    known.progress != Progress::Complete
}

/// One chunk of building: cells to take in, and how far that comes.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    index: Index,
    cells: Vec<(Address, Cell)>,
    then: Progress,
}

/// Reads the next chunk of an index that is being built; `None` where there is none to build.
pub(super) fn next_chunk(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    root: &Root,
) -> Result<Option<Chunk>, ReadError> {
    let cursor = match progress(rows, prefix)? {
        _ if root.pending.is_some() => return Ok(None),
        Some(Progress::Building(cursor)) => cursor,
        Some(Progress::Complete) | None => return Ok(None),
    };
    let range = cells_after(prefix, cursor.as_ref());
    let found = rows.scan(Space::Rows, &range, Direction::Forward, CHUNK)?;
    let ended = found.len() < CHUNK;
    let mut cells = Vec::with_capacity(found.len());
    for (row, value) in found {
        cells.push(super::stored::decode(prefix, &row, &value)?);
    }
    let then = match cells.last() {
        Some((last, _)) if !ended => Progress::Building(Some(last.clone())),
        Some(_) | None => Progress::Complete,
    };
    let addresses = cells.iter().map(|(address, _)| address);
    let index = Index::fetch(rows, prefix, root, addresses)?;
    Ok(index.map(|index| Chunk { index, cells, then }))
}

/// Writes a chunk. Whether there is more to build.
pub(super) fn build(prefix: &KeyPrefix, chunk: Chunk, batch: &mut Batch) -> bool {
    let Chunk { mut index, cells, then } = chunk;
    index.progress = then;
    let nothing = Cell::new();
    for (address, cell) in &cells {
        index.replace(prefix, address, (&nothing, cell), batch);
    }
    let ranges = cells.iter().map(|(address, _)| range_of(address)).collect();
    index.store(prefix, &ranges, batch);
    batch.put(Space::Derived, head(prefix), index.progress.encode());
    index.progress != Progress::Complete
}

/// Begins the index of a key anew, whatever it has.
pub(crate) fn rebuild(prefix: &KeyPrefix, batch: &mut Batch) {
    drop_index(prefix, batch);
    batch.put(Space::Derived, head(prefix), Progress::Building(None).encode());
}

/// Drops the index of a key, whatever it has.
fn drop_index(prefix: &KeyPrefix, batch: &mut Batch) {
    for what in [Derived::CellSums, Derived::CellOrder] {
        batch.delete_range(Space::Derived, KeyRange::prefix(prefix.derived(what, &[])));
    }
}

/// How the cells of a key can be listed by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sums {
    /// The key has too few cells for an index: list them all.
    Small,
    /// The key is large and its index is not built: ask again.
    Building,
    /// The sum mod 2^128 of the digests of the cells in each of 256 equal ranges of hashes.
    Built(Box<[u128; RANGES]>),
}

/// Whether all of a key's cells can be listed by hash.
///
/// # Errors
/// [`ReadError`]
pub fn is_built(rows: &impl Rows, prefix: &KeyPrefix, root: &Root) -> Result<bool, ReadError> {
    Ok(root.counts.rows >= INDEXED_LEAST && progress(rows, prefix)? == Some(Progress::Complete))
}

/// The sums of a key's cells by range of the hash of their addresses. At most 257 rows.
///
/// # Errors
/// [`ReadError`]
pub fn sums(rows: &impl Rows, prefix: &KeyPrefix, root: &Root) -> Result<Sums, ReadError> {
    if root.counts.rows < INDEXED_LEAST {
        return Ok(Sums::Small);
    }
    match progress(rows, prefix)? {
        Some(Progress::Complete) => {}
        None if root.counts.rows <= INDEXED_ABOVE => return Ok(Sums::Small),
        Some(Progress::Building(_)) | None => return Ok(Sums::Building),
    }
    let mut sums = Box::new([0; RANGES]);
    let range = KeyRange::prefix(prefix.derived(Derived::CellSums, &[]));
    // The first row says how far the index is.
    for (row, value) in rows.scan(Space::Derived, &range, Direction::Forward, RANGES + 1)? {
        if let Some(&at) = row.get(range.from.len()) {
            sums[usize::from(at)] = parse_sum(&value)?;
        }
    }
    Ok(Sums::Built(sums))
}

/// One cell in the order of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The hash of its address.
    pub hash: u64,
    /// Which cell.
    pub address: Address,
    /// Its digest.
    pub digest: u128,
}

/// The cells of an indexed key whose hashes lie from `from` to `to`, both inside, by hash and then address,
/// after one of them; at most `rows_max`.
///
/// # Errors
/// [`ReadError`]
pub fn list(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    (from, to): (u64, u64),
    after: Option<&Listed>,
    rows_max: usize,
) -> Result<Vec<Listed>, ReadError> {
    let start = prefix.derived(Derived::CellOrder, &[]);
    let first = prefix.derived(Derived::CellOrder, &from.to_be_bytes());
    let last = prefix.derived(Derived::CellOrder, &to.to_be_bytes());
    let next = after.map(|after| prefix.cell_order(&after.address));
    let next = next.map(|row| row.iter().copied().chain([0]).collect());
    let range = KeyRange { from: next.unwrap_or(first), to: KeyRange::prefix(last).to };
    let mut listed = Vec::new();
    for (row, digest) in rows.scan(Space::Derived, &range, Direction::Forward, rows_max)? {
        let parsed = row.get(start.len()..).and_then(|rest| {
            let (hash, rest) = rest.split_first_chunk()?;
            let kind = Kind::from_byte(*rest.first()?).filter(|kind| !kind.lives_in_root())?;
            let address = Address::new(kind, row.slice(row.len() - rest.len() + 1..));
            Some((u64::from_be_bytes(*hash), address))
        });
        let (hash, address) = parsed.ok_or(ReadError::DamagedAddress)?;
        listed.push(Listed { hash, address, digest: parse_sum(&digest)? });
    }
    Ok(listed)
}

/// The cells of a key after one of them, in order of addresses.
pub(crate) fn cells_after(prefix: &KeyPrefix, cursor: Option<&Address>) -> KeyRange {
    let all = prefix.cells();
    let from = cursor.map(|cursor| prefix.cell(cursor).iter().copied().chain([0]).collect());
    KeyRange { from: from.unwrap_or(all.from), to: all.to }
}

fn range_of(address: &Address) -> u8 {
    address.hash().to_be_bytes()[0]
}

fn head(prefix: &KeyPrefix) -> Bytes {
    prefix.derived(Derived::CellSums, &[])
}

fn sum_row(prefix: &KeyPrefix, range: u8) -> Bytes {
    prefix.derived(Derived::CellSums, &[range])
}

/// How far the index of a key is; `None` where it has none.
fn progress(rows: &impl Rows, prefix: &KeyPrefix) -> Result<Option<Progress>, ReadError> {
    let row = rows.get(Space::Derived, &head(prefix))?;
    row.map(|row| Progress::decode(&row).ok_or(ReadError::DamagedAddress)).transpose()
}

fn sum(rows: &impl Rows, prefix: &KeyPrefix, range: u8) -> Result<u128, ReadError> {
    let row = rows.get(Space::Derived, &sum_row(prefix, range))?;
    row.map_or(Ok(0), |row| parse_sum(&row))
}

fn parse_sum(row: &Bytes) -> Result<u128, ReadError> {
    let sum = row[..].try_into().map(u128::from_be_bytes);
    sum.map_err(|_length| ReadError::DamagedAddress)
}
