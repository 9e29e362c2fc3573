//! Hints that are given up: where that may be, and how their owner comes to be synchronised all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::hint::{HintMessage, Worth};
use coterie_wire::{Body, Message, Slice};

use super::Event;
use super::of_key::KeptHint;
use super::store::HintStore;
use crate::effects::{After, Class, Effects};
use crate::event;
use crate::lane::{OpenError, Shared};
use crate::mutants::{Mutant, mutant};
use crate::repair::{dirty, sync};
use crate::rows::{Direction, KeyRange, NotResident, Row, Rows, Space, address};

/// Hints that are looked through at once for some that may be given up.
const PAGE_ROWS: usize = 128;

/// How long an owner has to answer that it took a mark, before it or another is told again.
const RETRY: Duration = Duration::from_secs(5);

/// What a lane has given up.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// Who lacks something of a slice that this node does not own, and when an owner of it is next told. Durable.
    untold: BTreeMap<(Slice, NodeId), Duration>,
    /// Owners whose hints are being looked through, and how far.
    walks: BTreeMap<NodeId, Bytes>,
}

impl GivenUp {
    /// What the storage says.
    pub(super) fn open(rows: &impl Rows, shared: &Shared) -> Result<Self, OpenError> {
        let mut untold = BTreeMap::new();
        let mut range = address::untold_rows();
        loop {
            let page = rows.scan(Space::Control, &range, Direction::Forward, 256)?;
            let Some((last, _)) = page.last() else { break };
            range = KeyRange { from: address::after(last), to: range.to };
            for (row, _) in page {
                let note = dirty::parse_untold(&row).ok_or(OpenError::Damaged { row })?;
                if shared.is_mine(note.0.partition) {
                    untold.insert(note, Duration::ZERO);
                }
            }
        }
        Ok(GivenUp { untold, walks: BTreeMap::new() })
    }

    /// Whether no owner is still to be told of anything.
    pub(super) fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    /// Notes durably that hints of a slice for `owner` are given up (invariant 18).
    pub(super) fn note(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        owner: NodeId,
        effects: &mut Effects,
    ) {
        if let Some(state) = shared.slices.get_mut(&slice) {
            state.mark_dirty(owner, &mut effects.batch);
            let dirty = sync::Event::Dirty { slice, with: owner };
            effects.lane(After::Written, event::Event::Sync(dirty));
        } else if self.untold.insert((slice, owner), shared.now.monotonic).is_none() {
            effects.batch.put(Space::Control, dirty::untold(slice, owner), Vec::new());
        }
    }

    /// Looks for hints of `owner` that may be given up, where its store is almost full.
    pub(super) fn make_room(&mut self, store: &HintStore, owner: NodeId, effects: &mut Effects) {
        if store.is_almost_full_for(owner) && !self.walks.contains_key(&owner) {
            self.walks.insert(owner, address::hints_of(owner).from);
            effects.lane(After::Written, Event::MakeRoom { owner }.into());
        }
    }

    /// Reads the next hints to be looked through.
    pub(super) fn read(
        &self,
        store: &HintStore,
        owner: NodeId,
        rows: &impl Rows,
    ) -> Result<Vec<Row>, NotResident> {
        let Some(from) = self.walks.get(&owner) else { return Ok(Vec::new()) };
        store.page(rows, owner, Some(from), PAGE_ROWS)
    }

    /// Gives up those of a page that enough owners hold.
    pub(super) fn drop_held(
        &mut self,
        shared: &mut Shared,
        owner: NodeId,
        page: Vec<Row>,
        effects: &mut Effects,
    ) {
        let ended = page.len() < PAGE_ROWS;
        let last = page.last().map(|(last, _)| address::after(last));
        let mut dirty = BTreeSet::new();
        for row in page {
            let Some((slice, _, Ok(kept))) = KeptHint::placed(row) else { continue };
            // One that was counted is never given up (invariant 18).
            let may = kept.hint.header.worth == Worth::Held || mutant(Mutant::CountedHintDropped);
            if may && shared.hints.is_almost_full_for(owner) {
                shared.hints.delete(slice, &kept, &mut effects.batch);
                if !mutant(Mutant::CountedHintDropped) {
                    dirty.insert(slice);
                }
            }
        }
        for slice in dirty {
            self.note(shared, slice, owner, effects);
        }
        match last.filter(|_| !ended && shared.hints.is_almost_full_for(owner)) {
            Some(from) => {
                self.walks.insert(owner, from);
                effects.lane(After::Written, Event::MakeRoom { owner }.into());
            }
            None => {
                self.walks.remove(&owner);
            }
        }
    }

    /// Tells an owner of each slice what another lacks.
    pub(super) fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let due: Vec<(Slice, NodeId)> =
            self.untold.iter().filter(|(_, at)| **at <= now).map(|(note, _)| *note).collect();
        for (slice, owner) in due.into_iter().take(PAGE_ROWS) {
            self.untold.insert((slice, owner), now + RETRY);
            let owners = shared.view.live_sets(slice).owners();
            let live = owners.into_iter().filter(|node| shared.view.is_live(*node));
            // Any owner will do, the one that lacks something only if it is alone.
            if let Some(to) = live.min_by_key(|node| *node == owner) {
                let (request, dirty) = (shared.draw_request(), HintMessage::Dirty { owner });
                effects.send(to, Class::Bulk, shared.message(request, slice, Body::Hint(dirty)));
            }
        }
    }

    /// An owner has marked a slice.
    pub(super) fn told(&mut self, message: &Message, owner: NodeId, effects: &mut Effects) {
        if let Some(slice) = message.slice
            && self.untold.remove(&(slice, owner)).is_some()
        {
            effects.batch.delete(Space::Control, dirty::untold(slice, owner));
        }
    }

    /// When an owner is next to be told of something.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.untold.values().min().copied()
    }
}

/// Marks a slice of which a fallback has given up hints for `owner`, and says so.
pub(super) fn mark(
    shared: &mut Shared,
    from: NodeId,
    message: &Message,
    owner: NodeId,
    effects: &mut Effects,
) {
    let Some(slice) = message.slice else { return };
    let others = shared.view.live_sets(slice).owners();
    let me = shared.me;
    let Some(state) = shared.slices.get_mut(&slice) else {
        let refused = Body::Refused(PeerRefusal::NotOwner);
        effects.send(from, Class::Bulk, shared.message(message.request, slice, refused));
        return;
    };
    // Where this node itself lacks something, any other owner may have it.
    let with = others.into_iter().filter(|node| *node != me && (owner == me || *node == owner));
    for node in with {
        state.mark_dirty(node, &mut effects.batch);
        let dirty = sync::Event::Dirty { slice, with: node };
        effects.lane(After::Written, event::Event::Sync(dirty));
    }
    let marked = Body::Hint(HintMessage::Marked { owner });
    let marked = shared.message(message.request, slice, marked);
    effects.send_after(After::Durable, from, Class::Bulk, marked);
}
