//! The chunks of rows that a session reads and writes, on either side.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use coterie_wire::peer::sync::{KeyState, Parcel};
use coterie_wire::{Key, Slice};

use super::contents::{self, Held, Joined, KEY_ROWS_MAX};
use crate::effects::Effects;
use crate::lane::Shared;
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
    /// Keys that this node has more of than the peer sent.
    pub(super) more: BTreeSet<Bytes>,
    /// Keys that are now as the peer has them.
    pub(super) equal: Vec<Bytes>,
    /// Keys whose cells are to be compared.
    pub(super) large: Vec<Key>,
    /// Whether a key could not be joined.
    pub(super) incomplete: bool,
}

/// What one event has read of the keys to be joined.
#[derive(Debug)]
pub(super) struct Took(Vec<Option<Held>>);

impl Taking {
    pub(super) fn new(keys: Vec<KeyState>) -> Self {
        Taking { queue: keys.into(), ..Taking::default() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.queue.is_empty()
    }

    /// Reads what the next keys are to be joined with.
    pub(super) fn read(
        &self,
        shared: &Shared,
        slice: Slice,
        rows: &impl Rows,
    ) -> Result<Took, NotResident> {
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
        Ok(Took(took))
    }

    /// Joins them.
    pub(super) fn take(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        took: Took,
        effects: &mut Effects,
    ) {
        for held in took.0 {
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
                Joined::More => {
                    self.more.insert(prefix);
                }
                Joined::Large => self.large.push(key),
                Joined::Not => self.incomplete = true,
            }
        }
    }
}

/// Keys to be sent, by where their rows begin.
#[derive(Debug, Default)]
pub(super) struct Giving {
    pub(super) wanted: BTreeSet<Bytes>,
    parcel: Vec<KeyState>,
    bytes: usize,
    /// Whether a key could not be sent.
    pub(super) incomplete: bool,
}

/// What one event has read of the keys to be sent.
#[derive(Debug)]
pub(super) struct Gave(Vec<(Bytes, Option<KeyState>)>);

impl Giving {
    /// Whether a parcel is full, or nothing is left to put in.
    pub(super) fn is_full(&self) -> bool {
        self.wanted.is_empty() || self.bytes >= PARCEL_BYTES || self.parcel.len() >= PARCEL_KEYS
    }

    /// Reads the next keys.
    pub(super) fn read(&self, rows: &impl Rows) -> Result<Gave, NotResident> {
        let mut gave = Vec::new();
        let mut bytes = self.bytes;
        for at in self.wanted.iter().take(ROWS_MAX / KEY_ROWS_MAX) {
            if bytes >= PARCEL_BYTES {
                break;
            }
            let sent = match contents::key_of(at) {
                Some(key) => {
                    let prefix = KeyPrefix::of(at);
                    Held::read(rows, &prefix)?.to_send(&key)
                }
                None => None,
            };
            bytes += sent.as_ref().map_or(0, contents::weight);
            gave.push((at.clone(), sent));
        }
        Ok(Gave(gave))
    }

    /// Takes in what was read.
    pub(super) fn take(&mut self, gave: Gave) {
        for (at, sent) in gave.0 {
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

    /// What is to be sent now.
    pub(super) fn parcel(&mut self) -> Parcel {
        self.bytes = 0;
        Parcel::Keys(std::mem::take(&mut self.parcel))
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
        Parcel::Cells(cells) => cells.cells().is_empty(),
    }
}
