//! Rows of a key fetched as an evaluation asks for them.
//!
//! An operation may need the first member by score, or the element in the middle of a list: which rows
//! these are, only walking tells. So an operation is evaluated on what has been fetched so far; where it looks
//! further, that is noted, fetched, and the operation evaluated again. What it saw in the end is
//! [`Recorded`], and shows it the same once more when the event is handled.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;
use coterie_crdt::encoding::decode_cell;
use coterie_crdt::{Address, AddressRange, Cell, Cells, Direction, Footprint, Kind, Root, Score};

use super::address::{Derived, KeyPrefix};
use super::{KeyRange, ReadError, Row, Rows, Space};

/// The most rows that one event fetches for an evaluation: it leaves room for the sums of a large key.
pub const EVALUATED_ROWS_MAX: usize = 640;

/// How many rows the first page of a walk has; each further one has twice as many.
const FIRST_PAGE: usize = 32;

type Scores = (Bound<Score>, Bound<Score>);

/// What an evaluation walks along.
#[derive(Clone, Debug, PartialEq)]
enum Path {
    /// Cells by address.
    Cells(AddressRange),
    /// Members of the sorted set by score.
    Scores(Scores),
    /// Marks of cells with standing tallies.
    Tallied,
}

/// How far something was walked.
#[derive(Clone, Debug)]
struct Walk {
    path: Path,
    direction: Direction,
    /// What was found, in order: cells, or members with their scores.
    found: Vec<(Address, Option<Score>)>,
    /// The rows that are next; `None` at the end.
    next: Option<KeyRange>,
    /// How much was found when it was last evaluated on.
    evaluated: usize,
}

/// What an evaluation looked for and did not find fetched.
#[derive(Clone, Debug, Default)]
struct Missing {
    cells: BTreeSet<Address>,
    walks: Vec<(Path, Direction)>,
}

/// The rows of one key that an evaluation has seen, and whether it has looked for more.
#[derive(Clone, Debug)]
pub struct Recorded {
    prefix: KeyPrefix,
    root: Root,
    /// `None` where there is no such row.
    cells: BTreeMap<Address, Option<Cell>>,
    walks: Vec<Walk>,
    /// Cells that were looked at one by one: those that are written are among them.
    touched: RefCell<BTreeSet<Address>>,
    missing: RefCell<Missing>,
    rows: usize,
    bytes: usize,
}

/// Evaluates on the rows of a key, which are fetched as they are asked for: first the single cells of
/// `footprint`, then whatever `evaluate` looks for.
///
/// # Errors
/// [`ReadError`]; [`ReadError::TooMany`] where it is more than [`EVALUATED_ROWS_MAX`] rows: gather them in
/// chunks ([`Recorded::fetch`]).
pub fn evaluate<T>(
    rows: &impl Rows,
    prefix: &KeyPrefix,
    root: Root,
    footprint: &Footprint,
    mut evaluate: impl FnMut(&Recorded) -> T,
) -> Result<(Recorded, T), ReadError> {
    let mut recorded = Recorded::begin(prefix.clone(), root, footprint);
    loop {
        if recorded.is_missing() {
            let left = EVALUATED_ROWS_MAX.checked_sub(recorded.rows).filter(|left| *left > 0);
            let page = recorded.fetch(rows, left.ok_or(ReadError::TooMany)?)?;
            recorded.take(page);
            // The same walk goes on, or single cells are left: no need to evaluate yet.
            if recorded.is_missing() {
                continue;
            }
        }
        let evaluated = evaluate(&recorded);
        if !recorded.is_missing() {
            return Ok((recorded, evaluated));
        }
    }
}

/// Rows fetched for a [`Recorded`].
#[derive(Clone, Debug)]
pub struct Page {
    cells: Vec<(Address, Option<Cell>)>,
    walk: Option<Walk>,
    rows: usize,
    bytes: usize,
}

impl Page {
    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Recorded {
    /// Nothing but the root, missing the single cells of `footprint`.
    #[must_use]
    pub fn begin(prefix: KeyPrefix, root: Root, footprint: &Footprint) -> Self {
        let outside = footprint.cells.iter().filter(|address| !address.kind.lives_in_root());
        let missing = Missing { cells: outside.cloned().collect(), walks: Vec::new() };
        Recorded {
            prefix,
            root,
            cells: BTreeMap::new(),
            walks: Vec::new(),
            touched: RefCell::default(),
            missing: RefCell::new(missing),
            rows: 0,
            bytes: 0,
        }
    }

    /// Whether the last evaluation looked for something that is not here: what it came to is void.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let missing = self.missing.borrow();
        !missing.cells.is_empty() || !missing.walks.is_empty()
    }

    /// How many bytes the rows take as stored.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows were fetched.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fetches some of what is missing, at most `rows_max` rows.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::TooMany`].
    ///
    /// # Panics
    /// If `rows_max` is 0.
    pub fn fetch(&self, rows: &impl Rows, rows_max: usize) -> Result<Page, ReadError> {
        assert!(rows_max > 0, "a page has rows");
        let missing = self.missing.borrow();
        let mut page = Page { cells: Vec::new(), walk: None, rows: 0, bytes: 0 };
        for address in missing.cells.iter().take(rows_max) {
            let row = rows.get(Space::Rows, &self.prefix.cell(address))?;
            page.rows += 1;
            page.bytes += address.path.len() + row.as_ref().map_or(0, Bytes::len);
            let cell = row.map(|row| decode_cell(address.kind, &row)).transpose()?;
            page.cells.push((address.clone(), cell));
        }
        let Some((path, direction)) = missing.walks.first() else { return Ok(page) };
        let rows_left = rows_max - page.rows;
        if rows_left == 0 {
            return Ok(page);
        }
        let mut walk = self.walk(path, *direction).cloned().unwrap_or_else(|| Walk {
            next: Some(self.rows_of(path)).filter(|range| !range.is_empty()),
            path: path.clone(),
            direction: *direction,
            found: Vec::new(),
            evaluated: 0,
        });
        let rows_max = rows_left.min(FIRST_PAGE.max(walk.found.len()));
        walk.found = Vec::new();
        if let Some(range) = walk.next.take() {
            let found = rows.scan(path.space(), &range, *direction, rows_max)?;
            page.rows += found.len();
            if let Some((last, _)) = found.last().filter(|_| found.len() == rows_max) {
                walk.next = Some(beyond(&range, last, *direction));
            }
            for row in found {
                self.found(row, &mut walk, &mut page)?;
            }
        }
        page.walk = Some(walk);
        Ok(page)
    }

    /// Takes fetched rows in. Where [`Recorded::is_missing`] still, more have to be fetched before
    /// evaluating is worth it.
    pub fn take(&mut self, page: Page) {
        let missing = self.missing.get_mut();
        for (address, cell) in page.cells {
            missing.cells.remove(&address);
            self.cells.insert(address, cell);
        }
        self.rows += page.rows;
        self.bytes += page.bytes;
        let Some(walk) = page.walk else { return };
        if walk.path == Path::Tallied {
            let marked = walk.found.iter().map(|(address, _)| address);
            let unseen = marked.filter(|address| !self.cells.contains_key(address));
            missing.cells.extend(unseen.cloned());
        }
        let same = |known: &Walk| known.path == walk.path && known.direction == walk.direction;
        let walk = match self.walks.iter().position(same) {
            Some(at) => {
                self.walks[at].found.extend(walk.found);
                self.walks[at].next = walk.next;
                &mut self.walks[at]
            }
            None => {
                self.walks.push(walk);
                self.walks.last_mut().expect("just pushed")
            }
        };
        // Evaluating again costs as much as there is, so each time there has to be twice as much.
        if walk.next.is_none() || walk.found.len() >= 2 * walk.evaluated {
            walk.evaluated = walk.found.len();
            missing.walks.remove(0);
        }
    }

    /// The cells that were looked at one by one: whatever an evaluation writes is among them.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<Address> {
        self.touched.borrow().clone()
    }

    /// The rows, to be joined into.
    #[must_use]
    pub fn into_rows(self) -> (Root, BTreeMap<Address, Cell>) {
        let cells = self.cells.into_iter().filter_map(|(address, cell)| Some((address, cell?)));
        (self.root, cells.collect())
    }

    fn walk(&self, path: &Path, direction: Direction) -> Option<&Walk> {
        self.walks.iter().find(|walk| walk.path == *path && walk.direction == direction)
    }

    /// What was found along a path; past its end, that more is missing is noted.
    fn along(
        &self,
        path: Path,
        direction: Direction,
    ) -> impl Iterator<Item = &(Address, Option<Score>)> {
        let walk = self.walk(&path, direction);
        let ended = walk.is_some_and(|walk| walk.next.is_none());
        let found = walk.map_or(&[][..], |walk| &walk.found);
        let mut missing = (!ended).then_some((path, direction));
        let end = std::iter::from_fn(move || {
            let missing = missing.take()?;
            let walks = &mut self.missing.borrow_mut().walks;
            if !walks.contains(&missing) {
                walks.push(missing);
            }
            None
        });
        found.iter().chain(end)
    }

    fn rows_of(&self, path: &Path) -> KeyRange {
        match path {
            Path::Cells(range) => self.prefix.range(range),
            Path::Scores(scores) => self.prefix.scores(*scores),
            Path::Tallied => KeyRange::prefix(self.prefix.derived(Derived::Tallied, &[])),
        }
    }

    fn found(&self, row: Row, walk: &mut Walk, page: &mut Page) -> Result<(), ReadError> {
        let (key, value) = row;
        page.bytes += key.len() - self.prefix.bytes().len() + value.len();
        let found = match &walk.path {
            Path::Cells(_) => {
                let address = self.prefix.parse_cell(&key).ok_or(ReadError::DamagedAddress)?;
                let cell = decode_cell(address.kind, &value)?;
                page.cells.push((address.clone(), Some(cell)));
                (address, None)
            }
            Path::Scores(_) => {
                let (score, member) =
                    self.prefix.parse_score(&key).ok_or(ReadError::DamagedAddress)?;
                (Address::new(Kind::Scored, member), Some(score))
            }
            Path::Tallied => {
                (self.prefix.parse_tallied(&key).ok_or(ReadError::DamagedAddress)?, None)
            }
        };
        walk.found.push(found);
        Ok(())
    }
}

impl Path {
    fn space(&self) -> Space {
        match self {
            Path::Cells(_) => Space::Rows,
            Path::Scores(_) | Path::Tallied => Space::Derived,
        }
    }
}

/// The rows of a range after one of them, the way it is walked.
fn beyond(range: &KeyRange, last: &Bytes, direction: Direction) -> KeyRange {
    match direction {
        Direction::Forward => {
            let next = last.iter().copied().chain([0]).collect();
            KeyRange { from: next, to: range.to.clone() }
        }
        Direction::Backward => KeyRange { from: range.from.clone(), to: Some(last.clone()) },
    }
}

impl Cells for Recorded {
    fn root(&self) -> Option<&Root> {
        (!self.root.is_empty()).then_some(&self.root)
    }

    fn cell(&self, address: &Address) -> Option<&Cell> {
        if !self.touched.borrow().contains(address) {
            self.touched.borrow_mut().insert(address.clone());
        }
        match self.cells.get(address) {
            Some(cell) => cell.as_ref(),
            None => {
                self.missing.borrow_mut().cells.insert(address.clone());
                None
            }
        }
    }

    fn scan(
        &self,
        range: &AddressRange,
        direction: Direction,
    ) -> impl Iterator<Item = (&Address, &Cell)> {
        self.along(Path::Cells(range.clone()), direction)
            .filter_map(|(address, _)| Some((address, self.cells.get(address)?.as_ref()?)))
    }

    fn by_score(
        &self,
        scores: Scores,
        direction: Direction,
    ) -> impl Iterator<Item = (Score, &Bytes)> {
        self.along(Path::Scores(scores), direction)
            .filter_map(|(address, score)| Some(((*score)?, &address.path)))
    }

    fn tallied(&self) -> impl Iterator<Item = &Address> {
        self.along(Path::Tallied, Direction::Forward).map(|(address, _)| address)
    }
}
