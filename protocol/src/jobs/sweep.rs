//! Sweeping the rows of deleted keys.
//!
//! A delete of a whole key is one row, whatever the key's size: reads apply it, and this job takes the rows away, some
//! at a time. A mark that is written with the delete has it go on after a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::encoding::decode_cell;
use coterie_crdt::{Cells, State, sweep};
use coterie_ring::Partition;
use coterie_wire::Key;

use super::Event;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::repair::sync;
use crate::replica::{self, Stored};
use crate::rows::address::{self, Derived, KeyPrefix};
use crate::rows::{Direction, NotResident, ReadError, Row, Rows, Space, fetch};

/// Rows of a key that are swept at once: each may be written, and its score and its mark of tallies with it.
const ROWS_MAX: usize = 256;

/// Keys that wait in memory. Further ones wait as marks.
const WAITING_MAX: usize = 1_024;

/// Marks that are read at once.
const MARKS_MAX: usize = 64;

/// How long after something that could not be swept it is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// What was found to sweep.
#[derive(Debug)]
pub enum Found {
    /// The next rows of a key.
    Rows(Key, Result<Box<State>, Unswept>),
    /// Marks of deleted keys in a partition.
    Marks(Partition, Vec<Row>),
    /// Nothing.
    Nothing,
}

/// Why a key cannot be swept now.
#[derive(Debug)]
pub enum Unswept {
    /// This node does not own its slice, or does not know its bucket.
    NotOwned,
    /// A row is damaged: the scrub repairs it.
    Damaged,
}

/// The sweeps of a lane.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    waiting: VecDeque<Key>,
    /// Partitions with marks of keys that do not wait in memory.
    marked: BTreeSet<Partition>,
    /// How far the marks of the first of them have been looked at.
    from: Option<Bytes>,
    /// Partitions whose marks have been looked at since the start.
    known: BTreeSet<Partition>,
    /// Partitions with keys that could not be swept, and when they are looked at again.
    failed: BTreeSet<Partition>,
    retry_at: Option<Duration>,
    /// Whether an event is on its way.
    goes_on: bool,
}

impl Sweeps {
    /// Sweeps a key that has just been deleted.
    pub(super) fn begin(&mut self, shared: &Shared, key: Key, effects: &mut Effects) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(key);
        } else {
            self.look_again(shared.view.partition(&key));
        }
        self.wake(effects);
    }

    /// Looks for marks that an earlier life of the lane has left.
    pub(super) fn view_changed(&mut self, shared: &Shared, effects: &mut Effects) {
        for partition in shared.slices.keys().map(|slice| slice.partition) {
            if self.known.insert(partition) {
                self.marked.insert(partition);
            }
        }
        self.wake(effects);
    }

    pub(super) fn tick(&mut self, shared: &Shared, effects: &mut Effects) {
        if self.retry_at.is_some_and(|at| at <= shared.now.monotonic) {
            self.retry_at = None;
            self.marked.append(&mut self.failed);
            self.wake(effects);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.retry_at
    }

    fn wake(&mut self, effects: &mut Effects) {
        let any = !self.waiting.is_empty() || !self.marked.is_empty();
        if any && !self.goes_on {
            self.goes_on = true;
            effects.lane(After::Written, Event::Sweep.into());
        }
    }

    fn look_again(&mut self, partition: Partition) {
        if self.marked.first() == Some(&partition) {
            self.from = None;
        }
        self.marked.insert(partition);
    }

    /// Reads the next rows of the first key that waits, or else marks.
    pub(super) fn read(&self, shared: &Shared, rows: &impl Rows) -> Result<Found, NotResident> {
        if let Some(key) = self.waiting.front() {
            let state = match next_rows(shared, key, rows) {
                Ok(state) => state.map(Box::new).ok_or(Unswept::NotOwned),
                Err(ReadError::NotResident(missing)) => return Err(missing),
                Err(_) => Err(Unswept::Damaged),
            };
            return Ok(Found::Rows(key.clone(), state));
        }
        let Some(&partition) = self.marked.first() else { return Ok(Found::Nothing) };
        let mut range = address::derived_range(partition, Derived::Unfinished);
        if let Some(from) = &self.from {
            range.from = from.clone();
        }
        let marks = rows.scan(Space::Derived, &range, Direction::Forward, MARKS_MAX)?;
        Ok(Found::Marks(partition, marks))
    }

    /// Sweeps what was read, and goes on.
    pub(super) fn go_on(&mut self, shared: &mut Shared, found: Found, effects: &mut Effects) {
        self.goes_on = false;
        match found {
            Found::Rows(key, state) => {
                if self.waiting.front() == Some(&key) {
                    self.sweep(shared, &key, state, effects);
                }
            }
            Found::Marks(partition, marks) => {
                let keys = marks.iter().filter_map(|(mark, _)| marked(mark));
                self.waiting.extend(keys);
                match marks.last() {
                    Some((last, _)) if marks.len() == MARKS_MAX => {
                        self.from = Some(address::after(last));
                    }
                    Some(_) | None => {
                        self.marked.remove(&partition);
                        self.from = None;
                    }
                }
            }
            Found::Nothing => {}
        }
        self.wake(effects);
    }

    fn sweep(
        &mut self,
        shared: &mut Shared,
        key: &Key,
        state: Result<Box<State>, Unswept>,
        effects: &mut Effects,
    ) {
        let partition = shared.view.partition(key);
        let (Ok(state), Some(slice)) = (state, shared.view.slice(key)) else {
            self.waiting.pop_front();
            self.failed.insert(partition);
            self.retry_at.get_or_insert(shared.now.monotonic + RETRY);
            return;
        };
        let mut stored = Stored::from(*state);
        if stored.state.is_transferring() {
            // A transfer has the same mark: whether it goes on is sync's.
            let event = sync::Event::Transfer { slice, key: key.clone(), moved: false };
            effects.lane(After::Written, crate::Event::Sync(event));
        }
        let changes = sweep(&stored.state, ROWS_MAX);
        let ended = changes.root.pending.is_none();
        replica::write(shared, slice, key, &mut stored, changes, effects);
        if ended {
            self.waiting.pop_front();
        }
    }
}

/// The root of a key and the rows after its sweep's cursor; `None` where this node does not own it.
fn next_rows(shared: &Shared, key: &Key, rows: &impl Rows) -> Result<Option<State>, ReadError> {
    let Some(slice) = shared.view.slice(key).filter(|slice| shared.slices.contains_key(slice))
    else {
        return Ok(None);
    };
    let prefix = KeyPrefix::new(slice.partition, key);
    let root = fetch::root(rows, &prefix)?;
    let Some(pending) = &root.pending else {
        return Ok(Some(State::from_rows(root, BTreeMap::new())));
    };
    let mut range = prefix.cells();
    if let Some(cursor) = &pending.cursor {
        range.from = address::after(&prefix.cell(cursor));
    }
    let page = rows.scan(Space::Rows, &range, Direction::Forward, ROWS_MAX)?;
    let cells = page.into_iter().map(|(row, cell)| {
        let address = prefix.parse_cell(&row).ok_or(ReadError::DamagedAddress)?;
        let cell = decode_cell(address.kind, &cell)?;
        Ok((address, cell))
    });
    let cells = cells.collect::<Result<_, ReadError>>()?;
    Ok(Some(State::from_rows(root, cells)))
}

/// The key of a mark. Other jobs of keys have the same mark: one of theirs has nothing to sweep.
fn marked(mark: &Bytes) -> Option<Key> {
    let (key, end) = address::parse_key(mark, 3)?;
    (end == mark.len()).then_some(key)
}
