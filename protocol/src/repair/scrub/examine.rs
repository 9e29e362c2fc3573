//! What a chunk of rows holds, and how it differs from what is kept about it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::encoding::decode_root;
use coterie_crdt::{Address, Cell, Kind, Root, State};
use coterie_ring::Partition;
use coterie_wire::{Key, Slice};

use super::quarantine::Damage;

use crate::lane::Shared;
use crate::replica::large::{self, Sums};
use crate::replica::{Stored, decode_cell_row};
use crate::rows::address::{self, Derived, KeyPrefix};
use crate::rows::{Direction, KeyRange, NotResident, ReadError, Row, Rows, Space, fetch};
use crate::strong::row as register;

/// The most rows of a chunk; each may be read with two that are derived from it: no field has a score.
const CHUNK: usize = 256;

/// The most cells of a large key that one event recounts.
pub(super) const LARGE_CHUNK: usize = 160;

/// A chunk of a partition's rows.
#[derive(Debug)]
pub(super) struct Page {
    /// The keys that lie in it whole, or the large one that begins with it.
    pub(super) keys: Vec<(Slice, Key, Examined)>,
    /// The last row of these; `None` where they are no more than one large key.
    pub(super) upto: Option<Bytes>,
    /// Whether it is clear of each row which slice it belongs to.
    pub(super) sound: bool,
    /// Whether it is the last of the partition.
    pub(super) ended: bool,
}

/// What a key was found to be.
#[derive(Debug)]
pub(super) enum Examined {
    /// A strong key's register with that digest.
    Register(u128),
    /// A key of which all rows are here.
    Small(Box<Small>),
    /// A chunk of a large key.
    Large(Box<Large>),
    /// A key with a row that does not decode.
    Damaged(Damage),
}

/// A key of which all rows are here, and the derived rows that are not as they should be: what to delete and
/// what to put in its place.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) stored: Stored,
    pub(super) derived: Vec<(KeyRange, Vec<Bytes>)>,
    /// Marks of the key and its fields that are missing in the order of deadlines, with these.
    pub(super) marks: Vec<(u64, Bytes)>,
}

/// The cells of a large key that its recount has not seen, derived rows of these that are missing, and the sum
/// of what its index has.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) stored: Stored,
    pub(super) derived: Vec<Bytes>,
    /// As of a small key.
    pub(super) marks: Vec<(u64, Bytes)>,
    pub(super) sums: Option<u128>,
}

/// Reads the rows of a partition after one of them.
pub(super) fn page(
    shared: &Shared,
    partition: Partition,
    after: Option<&Bytes>,
    rows: &impl Rows,
) -> Result<Page, NotResident> {
    let all = address::partition_range(partition);
    let from = after.map_or(all.from, |after| after.iter().copied().chain([0]).collect());
    let range = KeyRange { from, to: all.to };
    let found = rows.scan(Space::Rows, &range, Direction::Forward, CHUNK)?;
    let full = found.len() == CHUNK;
    let mut page = Page { keys: Vec::new(), upto: None, sound: true, ended: !full };
    let mut groups: Vec<(Option<Key>, Vec<Row>)> = Vec::new();
    for row in found {
        let key = address::parse_key(&row.0, 2).map(|(key, _)| key);
        match groups.last_mut() {
            Some((last, rows)) if *last == key => rows.push(row),
            Some(_) | None => groups.push((key, vec![row])),
        }
    }
    // The last key may go on after the chunk.
    let cut = full.then(|| groups.pop()).flatten();
    if groups.is_empty()
        && let Some((key, rows_of_key)) = cut
    {
        return large_page(shared, partition, key, rows_of_key, page, rows);
    }
    for (key, rows_of_key) in groups {
        page.upto = end_of(partition, key.as_ref(), &rows_of_key);
        match key.and_then(|key| Some((slice_of(shared, partition, &key)?, key))) {
            Some((slice, key)) if shared.slices.contains_key(&slice) => {
                let examined = small(slice, &key, &rows_of_key, rows)?;
                let examined = match examined {
                    Some(examined) => examined,
                    None => Examined::Damaged(Damage::read(slice, &key, rows)?),
                };
                page.keys.push((slice, key, examined));
            }
            Some(_) => {}
            None => page.sound = false,
        }
    }
    Ok(page)
}

/// A chunk that one key fills.
fn large_page(
    shared: &Shared,
    partition: Partition,
    key: Option<Key>,
    rows_of_key: Vec<Row>,
    mut page: Page,
    rows: &impl Rows,
) -> Result<Page, NotResident> {
    let slice = key.as_ref().and_then(|key| slice_of(shared, partition, key));
    match (key, slice) {
        (Some(key), Some(slice)) if shared.slices.contains_key(&slice) => {
            let examined = match fetch::readable(large(slice, &key, rows))? {
                Some(large) => Examined::Large(Box::new(large)),
                None => {
                    page.upto = end_of(partition, Some(&key), &rows_of_key);
                    Examined::Damaged(Damage::read(slice, &key, rows)?)
                }
            };
            page.keys.push((slice, key, examined));
        }
        (key, slice) => {
            page.sound &= slice.is_some();
            page.upto = end_of(partition, key.as_ref(), &rows_of_key);
        }
    }
    Ok(page)
}

/// A place after all rows that a key has and may come to have: from its last row on, the next page would begin with those
/// written meanwhile, and take them for a key without a root. Of rows that belong to no key, the last.
fn end_of(partition: Partition, key: Option<&Key>, rows: &[Row]) -> Option<Bytes> {
    let next = key.and_then(|key| KeyPrefix::new(partition, key).rows().to);
    next.map(|next| before(&next)).or_else(|| rows.last().map(|(row, _)| row.clone()))
}

/// A place after all rows of the key before the one that begins at `next`.
pub(super) fn before(next: &Bytes) -> Bytes {
    let mut last = next.to_vec();
    // The address after a prefix is that prefix with its last byte raised.
    if let Some(byte) = last.last_mut() {
        *byte -= 1;
    }
    last.extend([0xff; 8]);
    last.into()
}

fn slice_of(shared: &Shared, partition: Partition, key: &Key) -> Option<Slice> {
    let policy = shared.view.policy(key.bucket())?;
    Some(Slice { partition, replicas: policy.replicas })
}

/// Looks whether a key has a damaged row still: it may have been dropped since somebody came upon that.
pub(super) fn damage(
    slice: Slice,
    key: &Key,
    rows: &impl Rows,
) -> Result<Option<Damage>, NotResident> {
    let range = KeyPrefix::new(slice.partition, key).rows();
    let found = rows.scan(Space::Rows, &range, Direction::Forward, CHUNK)?;
    let whole = found.len() < CHUNK;
    if found.is_empty() || (whole && small(slice, key, &found, rows)?.is_some()) {
        return Ok(None);
    }
    Damage::read(slice, key, rows).map(Some)
}

/// A key of which these are all rows; `None` where one is damaged.
fn small(
    slice: Slice,
    key: &Key,
    found: &[Row],
    rows: &impl Rows,
) -> Result<Option<Examined>, NotResident> {
    let prefix = KeyPrefix::new(slice.partition, key);
    let Some(((first, root), cells)) = found.split_first() else { return Ok(None) };
    if *first != prefix.root() {
        return Ok(None);
    }
    if register::is_register(root) {
        let digest = register::decode(Some(root)).map(|acceptor| register::digest(&acceptor));
        return Ok(digest.ok().map(Examined::Register));
    }
    let cells: Result<BTreeMap<Address, Cell>, ReadError> =
        cells.iter().map(|(row, value)| decode_cell_row(&prefix, row, value)).collect();
    let (Ok(root), Some(cells)) = (decode_root(root), fetch::readable(cells)?) else {
        return Ok(None);
    };
    let derived = differing(&prefix, &cells, found.len(), rows)?;
    let marks = missing_marks(&prefix, &root, &cells, rows)?;
    let stored = Stored::from(State::from_rows(root, cells));
    Ok(Some(Examined::Small(Box::new(Small { stored, derived, marks }))))
}

/// The derived rows of cells that are all of a key's, where they are not what is stored.
fn differing(
    prefix: &KeyPrefix,
    cells: &BTreeMap<Address, Cell>,
    rows_max: usize,
    rows: &impl Rows,
) -> Result<Vec<(KeyRange, Vec<Bytes>)>, NotResident> {
    let [mut scores, mut tallied] = [BTreeSet::new(), BTreeSet::new()];
    for (address, cell) in cells {
        scores.extend(score_row(prefix, address, cell));
        tallied.extend(tallied_row(prefix, address, cell));
    }
    let mut differing = Vec::new();
    for (what, expected) in [(Derived::Score, scores), (Derived::Tallied, tallied)] {
        let range = KeyRange::prefix(prefix.derived(what, &[]));
        let stored = rows.scan(Space::Derived, &range, Direction::Forward, rows_max)?;
        let same = stored.len() == expected.len()
            && stored.iter().zip(&expected).all(|((stored, _), expected)| stored == expected);
        if !same {
            differing.push((range, expected.into_iter().collect()));
        }
    }
    Ok(differing)
}

/// Marks of a key and of its fields that are not there in the order of deadlines. Those that no root or cell bears out are
/// deleted when they are due.
fn missing_marks(
    prefix: &KeyPrefix,
    root: &Root,
    cells: &BTreeMap<Address, Cell>,
    rows: &impl Rows,
) -> Result<Vec<(u64, Bytes)>, NotResident> {
    let fields = cells.iter().filter(|(address, _)| address.kind == Kind::Field);
    let fields = fields.filter_map(|(address, cell)| {
        cell.deadline().map(|at| (at, prefix.field_deadline(at, &address.path)))
    });
    let key = root.expiry.deadline().map(|at| (at, prefix.deadline(at)));
    let mut missing = Vec::new();
    for (deadline, mark) in key.into_iter().chain(fields) {
        if rows.get(Space::Derived, &mark)?.is_none() {
            missing.push((deadline, mark));
        }
    }
    Ok(missing)
}

fn score_row(prefix: &KeyPrefix, address: &Address, cell: &Cell) -> Option<Bytes> {
    let score = cell.score().filter(|_| address.kind == Kind::Scored)?;
    Some(prefix.score(score, &address.path))
}

fn tallied_row(prefix: &KeyPrefix, address: &Address, cell: &Cell) -> Option<Bytes> {
    cell.has_standing_tallies().then(|| prefix.tallied(address))
}

fn large(slice: Slice, key: &Key, rows: &impl Rows) -> Result<Large, ReadError> {
    let prefix = KeyPrefix::new(slice.partition, key);
    let root: Root = fetch::root(rows, &prefix)?;
    let cursor = root.recount.as_ref().and_then(|recount| recount.cursor.clone());
    let range = large::cells_after(&prefix, cursor.as_ref());
    // One more than is recounted, so that the end is known.
    let found = rows.scan(Space::Rows, &range, Direction::Forward, LARGE_CHUNK + 1)?;
    let ended = found.len() <= LARGE_CHUNK;
    let cells = found.iter().map(|(row, value)| decode_cell_row(&prefix, row, value));
    let cells = cells.collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut derived = Vec::new();
    for (address, cell) in &cells {
        let expected = [score_row(&prefix, address, cell), tallied_row(&prefix, address, cell)];
        for row in expected.into_iter().flatten() {
            if rows.get(Space::Derived, &row)?.is_none() {
                derived.push(row);
            }
        }
    }
    let marks = missing_marks(&prefix, &root, &cells, rows)?;
    let sums = match large::sums(rows, &prefix, &root)? {
        Sums::Built(sums) if ended => Some(sums.iter().fold(0u128, |a, b| a.wrapping_add(*b))),
        Sums::Built(_) | Sums::Small | Sums::Building => None,
    };
    // A recount changes no cell, so it needs no sum of the index.
    let stored = Stored::under(rows, &prefix, root, cells, [])?;
    Ok(Large { stored, derived, marks, sums })
}
