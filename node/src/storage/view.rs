//! Rows as changes, what was fetched and the database show them together.

use std::cell::RefCell;
use std::iter::Peekable;

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, NotResident, Row, Space};
use rocksdb::ReadOptions;
use smallvec::SmallVec;

use super::cache::RowCache;
use super::cursor::{Cursor, Tier, after};
use super::database::{Database, Unread};
use super::fetched::Page;
use super::overlay::{Overlay, Says};

/// Changes over fetched rows over the database.
pub(super) struct View<'a> {
    pub(super) database: &'a Database,
    pub(super) options: &'a ReadOptions,
    /// What a lane knows of its rows.
    pub(super) cache: Option<&'a RefCell<RowCache>>,
    pub(super) tier: Tier,
    /// Later ones first.
    pub(super) layers: SmallVec<[&'a Overlay; 4]>,
    pub(super) pages: SmallVec<[&'a Page; 4]>,
}

/// What lies over the base at a place in the order: a key with its value, or none where it is deleted.
type Over<'a> = (&'a Bytes, &'a Option<Bytes>);

impl<'a> View<'a> {
    /// One row. What is damaged is shown as empty.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, NotResident> {
        for layer in &self.layers {
            match layer.get(space, key) {
                Says::Put(row) => return Ok(Some(row.clone())),
                Says::Deleted => return Ok(None),
                Says::Nothing => {}
            }
        }
        let page = self.pages.iter().find(|page| page.space == space && page.range.contains(key));
        if let Some(page) = page {
            return Ok(page.get(key).cloned());
        }
        if let Some(cache) = self.cache
            && let Some(row) = cache.borrow_mut().get(space, key)
        {
            return Ok(row);
        }
        match self.database.get(space, key, self.options) {
            Ok(row) => {
                if let Some(cache) = self.cache {
                    cache.borrow_mut().put(space, key, row.clone());
                }
                Ok(row)
            }
            Err(unread) => {
                let not_resident = || one_row(space, key);
                self.unread(unread, not_resident).map(|()| Some(Bytes::new()))
            }
        }
    }

    /// The first or last rows of a range.
    pub(super) fn scan(
        &self,
        space: Space,
        range: &KeyRange,
        direction: Direction,
        rows_max: usize,
    ) -> Result<Vec<Row>, NotResident> {
        let mut found = Vec::new();
        if rows_max == 0 || range.is_empty() {
            return Ok(found);
        }
        let mut over = self.over(space, range, direction);
        let mut base = Base { view: self, space, direction, rest: Some(range.clone()), part: None };
        // Each row of the base that no change lies over, with those of the changes that come before it.
        while found.len() < rows_max {
            let Some(row) = base.next(rows_max - found.len())? else { break };
            while found.len() < rows_max
                && let Some((key, value)) = over.next_if(|key| comes_before(key, &row.0, direction))
            {
                found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
            }
            if found.len() == rows_max {
                return Ok(found);
            }
            match over.next_if(|key| **key == row.0) {
                Some((key, value)) => {
                    found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
                }
                None if self.is_deleted(space, &row.0) => {}
                None => found.push(row),
            }
        }
        while found.len() < rows_max
            && let Some((key, value)) = over.next_if(|_| true)
        {
            found.extend(value.as_ref().map(|value| (key.clone(), value.clone())));
        }
        Ok(found)
    }

    /// Whether a range was deleted that had the row of the base in it.
    fn is_deleted(&self, space: Space, key: &[u8]) -> bool {
        self.layers.iter().any(|layer| layer.is_deleted(space, key))
    }

    fn over<'v>(
        &'v self,
        space: Space,
        range: &'v KeyRange,
        direction: Direction,
    ) -> Overs<'v, 'a> {
        let layers = self.layers.iter().enumerate().filter(|(_, layer)| !layer.is_silent(space));
        let layers = layers.map(|(at, layer)| {
            let rows = layer.rows(space, range);
            let rows: Box<dyn Iterator<Item = Over<'v>> + 'v> = match direction {
                Direction::Forward => Box::new(rows),
                Direction::Backward => Box::new(rows.rev()),
            };
            (at, rows.peekable())
        });
        Overs { view: self, space, direction, layers: layers.collect() }
    }

    /// What a read that gave no answer comes to: `Ok` where what is there is damaged.
    fn unread(
        &self,
        unread: Unread,
        wanted: impl FnOnce() -> NotResident,
    ) -> Result<(), NotResident> {
        match (unread, self.tier) {
            (Unread::NotResident, _) | (Unread::Failed(_), Tier::Resident) => Err(wanted()),
            (Unread::Damaged, _) => Ok(()),
            (Unread::Failed(failure), Tier::Disk) => {
                // There is no answer, and never shall a row be taken for absent. The store stops.
                self.database.stop(failure);
                Ok(())
            }
        }
    }
}

/// What a fetch of one row is for.
pub(super) fn one_row(space: Space, key: &[u8]) -> NotResident {
    NotResident {
        space,
        range: KeyRange { from: Bytes::copy_from_slice(key), to: Some(after(key)) },
        direction: Direction::Forward,
        rows_max: 1,
    }
}

fn comes_before(key: &Bytes, other: &Bytes, direction: Direction) -> bool {
    match direction {
        Direction::Forward => key < other,
        Direction::Backward => key > other,
    }
}

/// The rows of all layers in order, of each key what the latest says.
struct Overs<'v, 'a> {
    view: &'v View<'a>,
    space: Space,
    direction: Direction,
    /// Later ones first, with their places among all.
    layers: SmallVec<[(usize, Ordered<'v>); 4]>,
}

/// The rows of one layer in order.
type Ordered<'v> = Peekable<Box<dyn Iterator<Item = Over<'v>> + 'v>>;

impl<'v> Overs<'v, '_> {
    /// The next one, if its key is one that `is_wanted`.
    fn next_if(&mut self, is_wanted: impl Fn(&Bytes) -> bool) -> Option<Over<'v>> {
        loop {
            let mut first: Option<(usize, Over<'v>)> = None;
            for (at, rows) in &mut self.layers {
                if let Some(next) = rows.peek()
                    && first.is_none_or(|(_, first)| comes_before(next.0, first.0, self.direction))
                {
                    first = Some((*at, *next));
                }
            }
            let (at, over) = first.filter(|(_, over)| is_wanted(over.0))?;
            for (_, rows) in &mut self.layers {
                rows.next_if(|next| next.0 == over.0);
            }
            // A later layer may have deleted a range with the key in it, which an earlier one wrote.
            let later = &self.view.layers[..at];
            if later.iter().any(|layer| layer.is_deleted(self.space, over.0)) {
                // It hides a row of the base too, which is looked at on its own.
                continue;
            }
            return Some(over);
        }
    }
}

/// The rows that changes lie over: from pages where there are any, else from the database.
struct Base<'v, 'a> {
    view: &'v View<'a>,
    space: Space,
    direction: Direction,
    /// What is left of the range after the part at hand.
    rest: Option<KeyRange>,
    part: Option<Part<'v>>,
}

enum Part<'v> {
    Page(std::slice::Iter<'v, Row>),
    Store {
        cursor: Box<Cursor<'v>>,
        range: KeyRange,
        /// How many rows were of use when it began.
        rows_max: usize,
    },
}

impl<'v> Base<'v, '_> {
    /// The next row; `wanted` are how many at most are still of use.
    fn next(&mut self, wanted: usize) -> Result<Option<Row>, NotResident> {
        loop {
            let row = match &mut self.part {
                None => None,
                Some(Part::Page(rows)) => match self.direction {
                    Direction::Forward => rows.next().cloned(),
                    Direction::Backward => rows.next_back().cloned(),
                },
                Some(Part::Store { cursor, range, rows_max }) => match cursor.next() {
                    Ok(row) => row,
                    Err(unread) => {
                        let (space, direction) = (self.space, self.direction);
                        let (range, rows_max) = (range.clone(), *rows_max);
                        let stands = (range.from.clone(), Bytes::new());
                        let missing = NotResident { space, range, direction, rows_max };
                        self.view.unread(unread, || missing)?;
                        self.part = None;
                        Some(stands)
                    }
                },
            };
            if row.is_some() {
                return Ok(row);
            }
            if !self.turn(wanted) {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next part, if there is one.
    fn turn(&mut self, wanted: usize) -> bool {
        self.part = None;
        let Some(rest) = self.rest.take().filter(|rest| !rest.is_empty()) else { return false };
        let pages = self.view.pages.iter().filter(|page| page.space == self.space);
        let mut pages = pages.filter(|page| overlap(&page.range, &rest));
        let (part, left) = match self.direction {
            Direction::Forward => match pages.clone().find(|page| page.range.from <= rest.from) {
                Some(page) => {
                    let rows = page.within(&rest).iter();
                    let left = page.range.to.clone();
                    (Part::Page(rows), left.map(|from| KeyRange { from, to: rest.to.clone() }))
                }
                None => {
                    let next = pages.map(|page| &page.range.from).min().cloned();
                    let part = KeyRange {
                        from: rest.from.clone(),
                        to: next.clone().or_else(|| rest.to.clone()),
                    };
                    let left = next.map(|from| KeyRange { from, to: rest.to.clone() });
                    (self.store(part, wanted), left)
                }
            },
            Direction::Backward => match pages.find(|page| reaches(&page.range, &rest)) {
                Some(page) => {
                    let rows = page.within(&rest).iter();
                    let to = Some(page.range.from.clone());
                    (Part::Page(rows), Some(KeyRange { from: rest.from.clone(), to }))
                }
                None => {
                    let pages = self.view.pages.iter().filter(|page| page.space == self.space);
                    let pages = pages.filter(|page| overlap(&page.range, &rest));
                    let next = pages.filter_map(|page| page.range.to.as_ref()).max().cloned();
                    let from = next.clone().unwrap_or_else(|| rest.from.clone());
                    let part = KeyRange { from, to: rest.to.clone() };
                    let left = next.map(|to| KeyRange { from: rest.from.clone(), to: Some(to) });
                    (self.store(part, wanted), left)
                }
            },
        };
        self.part = Some(part);
        self.rest = left;
        true
    }

    fn store(&self, range: KeyRange, rows_max: usize) -> Part<'v> {
        let View { database, tier, .. } = self.view;
        let cursor = Cursor::new(database, self.space, range.clone(), self.direction, *tier);
        Part::Store { cursor: Box::new(cursor), range, rows_max }
    }
}

fn overlap(one: &KeyRange, other: &KeyRange) -> bool {
    one.to.as_ref().is_none_or(|to| other.from < *to)
        && other.to.as_ref().is_none_or(|to| one.from < *to)
}

/// Whether the end of `range` lies within `page` too.
fn reaches(page: &KeyRange, range: &KeyRange) -> bool {
    match (&page.to, &range.to) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(page), Some(range)) => page >= range,
    }
}
