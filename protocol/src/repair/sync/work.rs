//! The chunks of rows that a session reads and writes, on either side.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use coterie_crdt::Partial;
use coterie_wire::peer::sync::{KeyState, Parcel};
use coterie_wire::{Key, Slice};

use super::cells;
use super::contents::{self, Held, Joined, KEY_ROWS_MAX};
use super::space::Subject;
use crate::effects::Effects;
use crate::lane::Shared;
use crate::replica::Stored;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows};

/// Rows read for one event.
const ROWS_MAX: usize = 768;

/// A message carries about so many bytes of rows.
const PARCEL_BYTES: usize = 128 << 10;

/// A message carries so many keys at most.
const PARCEL_KEYS: usize = 512;

/// Keys being joined.
#[derive(Debug, Default)]
pub(super) struct Taking {
    queue: VecDeque<KeyState>,
    /// Cells of a key, in place of keys.
    cells: Option<(Key, Box<Partial>)>,
    /// Keys that this node has more of than the peer sent.
    pub(super) more: BTreeSet<Bytes>,
    /// Keys of which the peer has all that there is here.
    pub(super) equal: Vec<Bytes>,
    /// Keys whose cells are to be compared.
    pub(super) large: Vec<Key>,
    /// Whether a key could not be joined.
    pub(super) incomplete: bool,
    /// Whether a vote could not be taken in, because more was promised.
    pub(super) undecided: bool,
}

/// What one event has read of the keys to be joined.
#[derive(Debug)]
pub(super) enum Took {
    Keys(Vec<Option<Held>>),
    Cells(Option<Box<Stored>>),
}

impl Taking {
    pub(super) fn new(keys: Vec<KeyState>) -> Self {
        Taking { queue: keys.into(), ..Taking::default() }
    }

    pub(super) fn cells(key: &Key, cells: Box<Partial>) -> Self {
        Taking { cells: Some((key.clone(), cells)), ..Taking::default() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.queue.is_empty() && self.cells.is_none()
    }

    /// Reads what the next keys are to be joined with.
    pub(super) fn read(
        &self,
        shared: &Shared,
        slice: Slice,
        rows: &impl Rows,
    ) -> Result<Took, NotResident> {
        if let Some((key, cells)) = &self.cells {
            let prefix = KeyPrefix::new(slice.partition, key);
            let stored = cells::read_to_join(rows, &prefix, cells)?;
            return Ok(Took::Cells(stored.map(Box::new)));
        }
        let mut took = Vec::new();
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        for sent in self.queue.iter().take(ROWS_MAX / KEY_ROWS_MAX) {
            if !seen.insert(&sent.key) {
                // What was read of it before is no longer true once that is joined.
                break;
            }
            let here = shared.view.slice(&sent.key) == Some(slice);
            let prefix = || KeyPrefix::new(slice.partition, &sent.key);
            took.push(if here { Some(Held::read(rows, &prefix())?) } else { None });
        }
        Ok(Took::Keys(took))
    }

    /// Joins them.
    pub(super) fn take(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        took: Took,
        effects: &mut Effects,
    ) {
        let took = match took {
            Took::Keys(took) => took,
            Took::Cells(stored) => {
                let Some((key, sent)) = self.cells.take() else { return };
                let Some(mut stored) = stored else {
                    self.incomplete = true;
                    return;
                };
                (self.equal, self.more) =
                    cells::join(shared, slice, &key, *sent, &mut stored, effects);
                return;
            }
        };
        for held in took {
            let Some(sent) = self.queue.pop_front() else { return };
            // A key of another slice, or of a bucket that is not known here yet.
            let Some(held) = held else {
                self.incomplete = true;
                continue;
            };
            let key = sent.key.clone();
            let prefix = KeyPrefix::new(slice.partition, &key).bytes().clone();
            match contents::join(shared, slice, sent, held, effects) {
                Joined::Equal => self.equal.push(prefix),
                Joined::Undecided => {
                    self.undecided = true;
                    self.equal.push(prefix);
                }
                Joined::More => {
                    self.more.insert(prefix);
                }
                Joined::Large => self.large.push(key),
                Joined::Not => self.incomplete = true,
            }
        }
    }
}

/// Keys, or cells of a key, to be sent, by where their rows are.
#[derive(Debug, Default)]
pub(super) struct Giving {
    pub(super) wanted: BTreeSet<Bytes>,
    /// The root of a key is sent even where none of its cells are.
    pub(super) root: bool,
    parcel: Vec<KeyState>,
    cells: Option<Box<Partial>>,
    bytes: usize,
    /// Whether a key could not be sent.
    pub(super) incomplete: bool,
}

/// What one event has read of what is to be sent.
#[derive(Debug)]
pub(super) enum Gave {
    Keys(Vec<(Bytes, Option<KeyState>)>),
    Cells(Option<(Vec<Bytes>, Box<Partial>)>),
}

impl Giving {
    /// Whether a parcel is full, or nothing is left to put in.
    pub(super) fn is_full(&self) -> bool {
        (self.wanted.is_empty() && !self.root)
            || self.cells.is_some()
            || self.bytes >= PARCEL_BYTES
            || self.parcel.len() >= PARCEL_KEYS
    }

    /// Reads the next keys, or cells.
    pub(super) fn read(
        &self,
        slice: Slice,
        subject: &Subject,
        rows: &impl Rows,
    ) -> Result<Gave, NotResident> {
        if let Subject::Cells(key) = subject
            && self.root
        {
            let prefix = KeyPrefix::new(slice.partition, key);
            let read = cells::extract(rows, &prefix, &self.wanted, PARCEL_BYTES)?;
            return Ok(Gave::Cells(read.map(|(taken, partial)| (taken, Box::new(partial)))));
        }
        let mut gave = Vec::new();
        let mut bytes = self.bytes;
        for at in self.wanted.iter().take(ROWS_MAX / KEY_ROWS_MAX) {
            if bytes >= PARCEL_BYTES {
                break;
            }
            let sent = match contents::key_of(at) {
                Some(key) => Held::read(rows, &KeyPrefix::of(at))?.to_send(&key),
                None => None,
            };
            bytes += sent.as_ref().map_or(0, contents::weight);
            gave.push((at.clone(), sent));
        }
        Ok(Gave::Keys(gave))
    }

    /// Takes in what was read.
    pub(super) fn take(&mut self, gave: Gave) {
        match gave {
            Gave::Keys(keys) => {
                for (at, sent) in keys {
                    self.wanted.remove(&at);
                    match sent {
                        Some(sent) => {
                            self.bytes += contents::weight(&sent);
                            self.parcel.push(sent);
                        }
                        None => self.incomplete = true,
                    }
                }
            }
            Gave::Cells(Some((taken, cells))) => {
                taken.iter().for_each(|at| {
                    self.wanted.remove(at);
                });
                self.root = !self.wanted.is_empty();
                self.cells = Some(cells);
            }
            Gave::Cells(None) => {
                self.wanted.clear();
                (self.root, self.incomplete) = (false, true);
            }
        }
    }

    /// What is to be sent now.
    pub(super) fn parcel(&mut self) -> Parcel {
        self.bytes = 0;
        match self.cells.take() {
            Some(cells) => Parcel::Cells(cells),
            None => Parcel::Keys(std::mem::take(&mut self.parcel)),
        }
    }
}

/// About how many bytes a parcel takes.
pub(super) fn weight(parcel: &Parcel) -> usize {
    match parcel {
        Parcel::Keys(keys) => keys.iter().map(contents::weight).sum(),
        Parcel::Cells(cells) => coterie_crdt::encoding::encode_partial(cells).len(),
    }
}

/// Whether a parcel has nothing in it.
pub(super) fn is_empty(parcel: &Parcel) -> bool {
    match parcel {
        Parcel::Keys(keys) => keys.is_empty(),
        Parcel::Cells(_) => false,
    }
}
