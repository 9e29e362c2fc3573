//! Rows that were fetched for an event, to be read with it again.

use std::sync::Arc;

use bytes::Bytes;
use coterie_protocol::rows::{Direction, KeyRange, NotResident, Row, Space};

use super::cursor::after;

/// Rows that read threads have fetched. A driver keeps those of an event together until it is read whole, so
/// that each fetch brings it further, however little the cache holds.
#[derive(Debug, Default)]
pub struct Fetched {
    pages: Vec<Page>,
}

/// All rows of a range as they were at some time since its ticket was drawn.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) space: Space,
    pub(super) range: KeyRange,
    /// In order of keys.
    pub(super) rows: Vec<Row>,
    ticket: Arc<Ticket>,
}

/// Drawn when a fetch is asked for: what its lane changes from then on lies over what is fetched.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The first of the lane's layers of changes that may not be in what is fetched.
    pub(super) layer: u64,
}

impl Fetched {
    /// Takes in what was fetched besides.
    pub fn absorb(&mut self, other: Fetched) {
        self.pages.extend(other.pages);
    }

    /// Whether nothing was fetched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The rows that were found where `wanted` was, in the order in which they were asked for.
    pub(super) fn page(wanted: &NotResident, mut rows: Vec<Row>, ticket: Arc<Ticket>) -> Self {
        let mut range = wanted.range.clone();
        // As many as were asked for: beyond the last of them nothing is known.
        if rows.len() >= wanted.rows_max {
            match (rows.last(), wanted.direction) {
                (None, _) => range.to = Some(range.from.clone()),
                (Some((last, _)), Direction::Forward) => range.to = Some(after(last)),
                (Some((last, _)), Direction::Backward) => range.from = last.clone(),
            }
        }
        if wanted.direction == Direction::Backward {
            rows.reverse();
        }
        Fetched { pages: vec![Page { space: wanted.space, range, rows, ticket }] }
    }

    /// The pages that no change may be missing from, where the lane has kept its changes from `layer` on.
    pub(super) fn since(&self, layer: u64) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.ticket.layer >= layer)
    }
}

impl Page {
    /// The row of a key in its range.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let at = self.rows.binary_search_by(|(row, _)| row[..].cmp(key)).ok()?;
        Some(&self.rows[at].1)
    }

    /// Its rows within another range, in order of keys.
    pub(super) fn within(&self, range: &KeyRange) -> &[Row] {
        let from = self.rows.partition_point(|(key, _)| *key < range.from);
        let to = match &range.to {
            Some(to) => self.rows.partition_point(|(key, _)| key < to),
            None => self.rows.len(),
        };
        &self.rows[from..to.max(from)]
    }
}
