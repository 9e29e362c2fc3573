//! What hints a lane keeps: the part that all its modules share.

use std::collections::BTreeMap;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_wire::peer::hint::Worth;
use coterie_wire::peer::write::Change;
use coterie_wire::{Key, Slice};
use thiserror::Error;

use super::Event;
use super::actor::FallbackActors;
use super::of_key::{KeptHint, KeyHints};
use super::row::{Header, Hint};
use crate::effects::{After, Effects};
use crate::mutants::{Mutant, mutant};
use crate::rows::address::KeyPrefix;
use crate::rows::{Batch, Row, Space};

/// Hints of one key for one owner are joined into rows of at most so many bytes, and of so many cells: their owner joins
/// each in one event.
const JOINED_BYTES_MAX: usize = 256 * 1024;
const JOINED_CELLS_MAX: usize = 256;

/// As many hints are kept for this owner as may be: nothing was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("as many hints are kept for this owner as may be")]
pub struct HintsFull;

/// How many hints are kept for one owner of one slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of their rows.
    pub bytes: u64,
    /// Bytes of those that may be given up for a mark.
    pub held_bytes: u64,
    /// Rows by the purge epoch that they were made under.
    pub rows: BTreeMap<u64, u64>,
}

/// The hints that a lane keeps, counted. The rows themselves are in [`Space::Hints`].
#[derive(Clone, Debug)]
pub struct HintStore {
    /// The sequence of the newest hint.
    last: u64,
    bytes_max: u64,
    tallies: BTreeMap<(Slice, NodeId), Tally>,
    bytes: BTreeMap<NodeId, u64>,
    /// The actors that this node mints under for slices that it does not own.
    pub actors: FallbackActors,
    /// Rows that were found damaged at the start, and for whom they were kept.
    pub(super) damaged: Vec<(Bytes, NodeId)>,
}

impl HintStore {
    /// None yet; at most `bytes_max` bytes for each owner.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        HintStore {
            last: 0,
            bytes_max,
            tallies: BTreeMap::new(),
            bytes: BTreeMap::new(),
            actors: FallbackActors::default(),
            damaged: Vec::new(),
        }
    }

    /// Whether none is kept: a node that leaves has delivered its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// Whether any hint of a slice was made under `epoch` or an older one: until it is delivered, this node does not
    /// adopt a later one (invariant 19).
    #[must_use]
    pub fn has_any(&self, slice: Slice, epoch: u64) -> bool {
        self.of_slice(slice).any(|(_, tally)| tally.rows.keys().any(|made| *made <= epoch))
    }

    /// Bytes kept for an owner.
    #[must_use]
    pub fn bytes_for(&self, owner: NodeId) -> u64 {
        self.bytes.get(&owner).copied().unwrap_or(0)
    }

    /// Those for whom hints are kept, with how many bytes.
    pub fn owners(&self) -> impl Iterator<Item = (NodeId, u64)> + '_ {
        self.bytes.iter().map(|(owner, bytes)| (*owner, *bytes))
    }

    /// The owners of a slice for whom hints of it are kept.
    pub fn of_slice(&self, slice: Slice) -> impl Iterator<Item = (NodeId, &Tally)> + '_ {
        let range = (slice, NodeId(0))..=(slice, NodeId(u128::MAX));
        self.tallies.range(range).map(|((_, owner), tally)| (*owner, tally))
    }

    /// The slices of which hints are kept for an owner.
    pub fn of_owner(&self, owner: NodeId) -> impl Iterator<Item = (Slice, &Tally)> + '_ {
        let mine = self.tallies.iter().filter(move |((_, kept), _)| *kept == owner);
        mine.map(|((slice, _), tally)| (*slice, tally))
    }

    /// Whether those of an owner have come so close to the bound that some are to be given up, and may be.
    #[must_use]
    pub fn is_almost_full_for(&self, owner: NodeId) -> bool {
        let bound = self.bytes_max - self.bytes_max / 8;
        let gives_way = |tally: &Tally| tally.held_bytes > 0 || mutant(Mutant::CountedHintDropped);
        self.bytes_for(owner) > bound && self.of_owner(owner).any(|(_, tally)| gives_way(tally))
    }

    /// Keeps a hint: durable with the batch of `effects`, and only then to be counted.
    ///
    /// `beside` shows at least the newest hints of the key for this owner ([`HintStore::newest`]), as they are before this
    /// event. A delta is joined with those of them that are not much larger, so that a key that changes often has
    /// few rows, and each byte is rewritten a logarithmic number of times.
    ///
    /// # Errors
    /// [`HintsFull`]; nothing is changed then.
    pub fn keep(
        &mut self,
        (slice, key): (Slice, &Key),
        owner: NodeId,
        hint: Hint,
        beside: &KeyHints,
        effects: &mut Effects,
    ) -> Result<(), HintsFull> {
        let first = !self.tallies.contains_key(&(slice, owner));
        let mut hint = hint;
        let mut row = hint.encode();
        let mut replaced = Vec::new();
        for kept in beside.of_owner(owner).rev() {
            let Some(joined) = join(&hint, &kept.hint) else { break };
            if kept.bytes > 2 * row.len() || kept.bytes + row.len() > JOINED_BYTES_MAX {
                break;
            }
            hint = joined;
            row = hint.encode();
            replaced.push(kept);
        }
        let freed: u64 = replaced.iter().map(|kept| kept.row_bytes()).sum();
        let prefix = KeyPrefix::new(slice.partition, key);
        let address = prefix.hint(owner, self.last + 1);
        let needed = (address.len() + row.len()) as u64;
        if self.bytes_for(owner) + needed > self.bytes_max + freed {
            effects.lane(After::Written, Event::Kept { owner }.into());
            return Err(HintsFull);
        }
        self.last += 1;
        for kept in replaced {
            let header = kept.hint.header;
            self.forget((slice, owner), &kept.address, kept.bytes, header, &mut effects.batch);
        }
        self.count(slice, owner, hint.header, needed);
        effects.batch.put(Space::Hints, address, row);
        if first || self.is_almost_full_for(owner) {
            effects.lane(After::Written, Event::Kept { owner }.into());
        }
        Ok(())
    }

    /// Deletes a hint whose owner has it durably, or which was given up for a durable mark.
    ///
    /// Spends the actor that it was minted under, if that is this node's own: its dots are no longer all known here
    /// (invariant 1).
    pub fn delete(&mut self, slice: Slice, kept: &KeptHint, batch: &mut Batch) {
        self.forget((slice, kept.owner), &kept.address, kept.bytes, kept.hint.header, batch);
        let minted = |actor| kept.hint.names(actor);
        if self.actors.of(slice).is_some_and(minted) && !mutant(Mutant::FallbackActorKept) {
            self.actors.spend(slice, batch);
        }
    }

    /// Deletes a hint that does not decode.
    pub(super) fn delete_damaged(&mut self, place: (Slice, NodeId), row: &Row, batch: &mut Batch) {
        let Ok(header) = Header::decode(&row.1) else { return };
        self.forget(place, &row.0, row.1.len(), header, batch);
        self.actors.spend(place.0, batch);
    }

    fn forget(
        &mut self,
        (slice, owner): (Slice, NodeId),
        address: &Bytes,
        bytes: usize,
        header: Header,
        batch: &mut Batch,
    ) {
        batch.delete(Space::Hints, address.clone());
        self.uncount(slice, owner, header, (address.len() + bytes) as u64);
    }

    /// Takes in a row as it was stored, at the start.
    pub(super) fn load(
        &mut self,
        (slice, owner, sequence): (Slice, NodeId, u64),
        header: Header,
        bytes: u64,
    ) {
        self.last = self.last.max(sequence);
        self.count(slice, owner, header, bytes);
    }

    fn count(&mut self, slice: Slice, owner: NodeId, header: Header, bytes: u64) {
        let tally = self.tallies.entry((slice, owner)).or_default();
        tally.bytes += bytes;
        tally.held_bytes += if header.worth == Worth::Held { bytes } else { 0 };
        *tally.rows.entry(header.epoch).or_default() += 1;
        *self.bytes.entry(owner).or_default() += bytes;
    }

    fn uncount(&mut self, slice: Slice, owner: NodeId, header: Header, bytes: u64) {
        let tally = self.tallies.get_mut(&(slice, owner)).expect("what is kept was counted");
        tally.bytes -= bytes;
        tally.held_bytes -= if header.worth == Worth::Held { bytes } else { 0 };
        let rows = tally.rows.get_mut(&header.epoch).expect("what is kept was counted");
        *rows -= 1;
        if *rows == 0 {
            tally.rows.remove(&header.epoch);
        }
        if tally.rows.is_empty() {
            self.tallies.remove(&(slice, owner));
        }
        let all = self.bytes.get_mut(&owner).expect("what is kept was counted");
        *all -= bytes;
        if *all == 0 {
            self.bytes.remove(&owner);
        }
    }
}

/// Two hints of one key as one, where both are deltas of one purge epoch.
fn join(newer: &Hint, older: &Hint) -> Option<Hint> {
    let (Change::Delta(newer_delta), Change::Delta(older_delta)) = (&newer.change, &older.change)
    else {
        return None;
    };
    if newer.header.epoch != older.header.epoch {
        return None;
    }
    let worth = match (newer.header.worth, older.header.worth) {
        (Worth::Counted, _) | (_, Worth::Counted) => Worth::Counted,
        (Worth::Held, Worth::Held) => Worth::Held,
        (Worth::Uncounted, _) | (_, Worth::Uncounted) => Worth::Uncounted,
    };
    let mut delta = older_delta.clone();
    delta.join(newer_delta);
    if delta.cells().len() > JOINED_CELLS_MAX {
        return None;
    }
    let header = Header { worth, ..newer.header };
    Some(Hint { header, change: Change::Delta(delta) })
}
