//! Transfers under way here: one that nobody goes on with is given up.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_crdt::{Cells, abandon_transfer};
use coterie_wire::{Key, Slice};

use super::cells;
use super::event::Event;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::replica::{self, Stored};
use crate::rows::address::{self, KeyPrefix};
use crate::rows::{Direction, NotResident, ReadError, Rows, Space, fetch};

/// How long a transfer waits for somebody who can go on with it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Transfers that are remembered. Further ones are noted when they are next met.
const REMEMBERED_MAX: usize = 1_024;

/// Rows of a transfer that are given up at once.
const ROWS_MAX: usize = 600;

/// The transfers of a lane.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    under_way: BTreeMap<Key, UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    slice: Slice,
    /// When it last went on.
    at: Duration,
    is_given_up: bool,
}

impl Transfers {
    /// A transfer is under way; `moved` where it has just gone on.
    pub(super) fn note(&mut self, shared: &Shared, (slice, key): (Slice, Key), moved: bool) {
        if self.under_way.len() >= REMEMBERED_MAX && !self.under_way.contains_key(&key) {
            return;
        }
        let at = shared.now.monotonic;
        let new = || UnderWay { slice, at, is_given_up: false };
        let under_way = self.under_way.entry(key).or_insert_with(new);
        if moved {
            *under_way = new();
        }
    }

    /// When one is to be given up.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let waiting = self.under_way.values().filter(|under_way| !under_way.is_given_up);
        waiting.map(|under_way| under_way.at + PATIENCE).min()
    }

    /// Gives up what nobody has gone on with.
    pub(super) fn tick(&mut self, shared: &Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        for (key, under_way) in &mut self.under_way {
            if !under_way.is_given_up && under_way.at + PATIENCE <= now {
                under_way.is_given_up = true;
                go_on(key, effects);
            }
        }
    }

    /// Reads the last rows that a transfer has brought.
    pub(super) fn read(
        &self,
        key: &Key,
        rows: &impl Rows,
    ) -> Result<Option<Box<Stored>>, NotResident> {
        let Some(under_way) = self.under_way.get(key) else { return Ok(None) };
        let prefix = KeyPrefix::new(under_way.slice.partition, key);
        let read = || -> Result<Stored, ReadError> {
            let root = fetch::root(rows, &prefix)?;
            let cursor = root.transfer.as_ref().and_then(|transfer| transfer.cursor.as_ref());
            let mut range = prefix.cells();
            if let Some(cursor) = cursor.filter(|cursor| !cursor.kind.lives_in_root()) {
                range.to = Some(address::after(&prefix.cell(cursor)));
            }
            let passed = if cursor.is_some() { ROWS_MAX + 1 } else { 0 };
            let found = rows.scan(Space::Rows, &range, Direction::Backward, passed)?;
            let found =
                found.iter().map(|(row, value)| replica::decode_cell_row(&prefix, row, value));
            let cells = found.collect::<Result<BTreeMap<_, _>, _>>()?;
            Stored::under(rows, &prefix, root, cells, [])
        };
        Ok(cells::now(read())?.map(Box::new))
    }

    /// Goes on giving a transfer up: what it has brought stays, and is known dot by dot.
    pub(super) fn give_up(
        &mut self,
        shared: &mut Shared,
        key: Key,
        stored: Option<Box<Stored>>,
        effects: &mut Effects,
    ) {
        // It may have been gone on with meanwhile, after all.
        let Some(under_way) = self.under_way.get_mut(&key).filter(|it| it.is_given_up) else {
            return;
        };
        let slice = under_way.slice;
        let Some(mut stored) = stored else {
            // Its rows are damaged: the scrub repairs them.
            (under_way.at, under_way.is_given_up) = (shared.now.monotonic, false);
            return;
        };
        if !stored.state.is_transferring() || !shared.slices.contains_key(&slice) {
            self.under_way.remove(&key);
            return;
        }
        let changes = abandon_transfer(&stored.state, ROWS_MAX);
        replica::write(shared, slice, &key, &mut stored, changes, effects);
        if stored.state.is_transferring() {
            go_on(&key, effects);
        } else {
            self.under_way.remove(&key);
        }
    }
}

fn go_on(key: &Key, effects: &mut Effects) {
    let event = Event::GiveUp { key: key.clone() };
    effects.lane(After::Written, crate::Event::Sync(event));
}
