//! Replay: passes over the hints of each owner that can be reached.
//!
//! One pass at a time for each owner, begun when it, or whoever owns its slices now, is up again, after a moment at
//! random, so that a node that comes back is not met by all others at once. A pass sends what the receivers have granted
//! and a few hints at a time; what it could not deliver the next one tries again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_wire::{RequestId, Slice};

use super::deliver::{Deliveries, Verdict, targets};
use super::of_key::KeptHint;
use super::pace::Credits;
use super::store::HintStore;
use super::{Event, Hints};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::rows::{NotResident, Row, Rows, address};

/// Hints that are read at once.
pub(super) const PAGE_ROWS: usize = 32;

/// Hints of one owner that are under way at once.
const IN_FLIGHT_MAX: usize = 64;

/// A replay waits for less than this before it begins.
const JITTER_MAX_MILLIS: u64 = 2_000;

/// How long after a pass that left something behind the next one begins.
const RETRY: Duration = Duration::from_secs(2);

/// As [`RETRY`], where not all can be reached for whom the hints left are meant: what the others have is sent again.
const RETRY_PARTIAL: Duration = Duration::from_secs(60);

/// One pass over the hints of an owner.
#[derive(Debug)]
pub(super) struct Pass {
    /// When it begins, as time since the node's start.
    at: Duration,
    /// The first row that has not been sent; `None` before it has begun.
    from: Option<Bytes>,
    /// Whether a page is being read.
    reading: bool,
    /// Whether all rows have been looked at.
    ended: bool,
    /// Who has to grant something first.
    waits_for: Option<NodeId>,
    /// Slices that are left to the next pass.
    skipped: BTreeSet<Slice>,
}

impl Pass {
    fn beginning(at: Duration) -> Self {
        let skipped = BTreeSet::new();
        Pass { at, from: None, reading: false, ended: false, waits_for: None, skipped }
    }
}

/// The passes that are under way or wait for their time, by the owner the hints were kept for.
#[derive(Debug, Default)]
pub(super) struct Replays {
    passes: BTreeMap<NodeId, Pass>,
}

impl Replays {
    /// Reads the next page of an owner's hints.
    pub(super) fn read(
        &self,
        store: &HintStore,
        owner: NodeId,
        rows: &impl Rows,
    ) -> Result<Vec<Row>, NotResident> {
        let Some(pass) = self.passes.get(&owner) else { return Ok(Vec::new()) };
        store.page(rows, owner, pass.from.as_ref(), PAGE_ROWS)
    }

    /// Others are alive, or own: what could not be delivered may be.
    pub(super) fn view_changed(&mut self, shared: &mut Shared) {
        let owners: Vec<NodeId> = shared.hints.owners().map(|(owner, _)| owner).collect();
        for owner in owners {
            self.schedule(shared, owner);
        }
    }

    /// Has a pass begin soon, if anybody can be reached for whom hints of `owner` are meant.
    pub(super) fn schedule(&mut self, shared: &mut Shared, owner: NodeId) {
        if reach(shared, owner) == Reach::Nobody {
            return;
        }
        let jitter = Duration::from_millis(shared.random() % JITTER_MAX_MILLIS);
        let at = shared.now.monotonic + jitter;
        let pass = self.passes.entry(owner).or_insert_with(|| Pass::beginning(at));
        if pass.from.is_none() {
            pass.at = pass.at.min(at);
        }
    }

    /// Goes on with whatever can be gone on with.
    pub(super) fn go_on(
        &mut self,
        shared: &Shared,
        deliveries: &Deliveries,
        credits: &Credits,
        effects: &mut Effects,
    ) {
        let now = shared.now.monotonic;
        for (owner, pass) in &mut self.passes {
            if pass.waits_for.is_some_and(|node| !credits.is_asked(node)) {
                pass.waits_for = None;
            }
            let under_way = deliveries.of_owner(*owner);
            if pass.ended && under_way == 0 {
                // What was kept meanwhile, or could not be delivered.
                *pass = Pass::beginning(match reach(shared, *owner) {
                    Reach::All => now + RETRY,
                    Reach::Some => now + RETRY_PARTIAL,
                    Reach::Nobody => Duration::MAX,
                });
            }
            let blocked = pass.reading || pass.ended || pass.waits_for.is_some();
            if pass.at <= now && !blocked && under_way < IN_FLIGHT_MAX {
                pass.reading = true;
                effects.lane(After::Written, Event::Replay { owner: *owner }.into());
            }
        }
        self.passes.retain(|_, pass| pass.at < Duration::MAX);
    }

    /// When the first pass begins that waits for its time.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.passes
            .values()
            .filter(|pass| !pass.reading && pass.from.is_none())
            .map(|pass| pass.at)
            .min()
    }
}

/// Who can be reached of those for whom hints are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All, of one slice at least.
    All,
    /// Some.
    Some,
    /// None, or there are no hints.
    Nobody,
}

fn reach(shared: &Shared, owner: NodeId) -> Reach {
    let mut reach = Reach::Nobody;
    for (slice, _) in shared.hints.of_owner(owner) {
        let targets = targets(shared, slice, owner);
        let live = targets.iter().filter(|node| shared.view.is_live(**node)).count();
        if live == targets.len() {
            return Reach::All;
        }
        if live > 0 {
            reach = Reach::Some;
        }
    }
    reach
}

impl Hints {
    /// Sends the hints of a page to those for whom they are meant, as far as these have granted it.
    pub(super) fn send_page(
        &mut self,
        shared: &mut Shared,
        owner: NodeId,
        page: Vec<Row>,
        effects: &mut Effects,
    ) {
        let mut unsent = None;
        for row in &page {
            let (address, bytes) = (row.0.clone(), (row.0.len() + row.1.len()) as u64);
            let Some((slice, key, kept)) = KeptHint::placed(row.clone()) else { continue };
            let targets = targets(shared, slice, owner);
            let live = || targets.iter().copied().filter(|node| shared.view.is_live(*node));
            let pass = self.replays.passes.get_mut(&owner).expect("its page was read");
            if pass.skipped.contains(&slice) || self.deliveries.is_on_its_way(&address) {
                continue;
            }
            if live().next().is_none() {
                pass.skipped.insert(slice);
                continue;
            }
            let Ok(kept) = kept else {
                // It is no more what was kept: whoever has it otherwise brings it to the owner (invariant 16).
                self.given_up.note(shared, slice, owner, effects);
                shared.hints.delete_damaged((slice, owner), row, &mut effects.batch);
                continue;
            };
            if self.deliveries.of_owner(owner) >= IN_FLIGHT_MAX {
                unsent = Some(address);
                break;
            }
            if let Some(node) = live().find(|node| !self.credits.has(*node, bytes)) {
                pass.waits_for = Some(node);
                let kept_for = shared.hints.bytes_for(owner).max(bytes);
                self.credits.ask(shared, node, slice, kept_for, effects);
                unsent = Some(address);
                break;
            }
            for node in live() {
                self.credits.take(node, bytes);
            }
            if mutant(Mutant::HintDeletedUnacknowledged) {
                shared.hints.delete(slice, &kept, &mut effects.batch);
            }
            self.deliveries.send(shared, (slice, key), kept, &targets, effects);
        }
        if let Some(pass) = self.replays.passes.get_mut(&owner) {
            pass.reading = false;
            pass.ended = unsent.is_none() && page.len() < PAGE_ROWS;
            let last = page.last().map(|(last, _)| address::after(last));
            pass.from = unsent.or(last).or(pass.from.take());
        }
        self.go_on(shared, effects);
    }

    /// Takes in what one said who was to get a hint, and deletes the hint once all have it durably.
    pub(super) fn answered(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        request: RequestId,
        verdict: Verdict,
        row: Option<Row>,
        effects: &mut Effects,
    ) {
        if let Some(delivery) = self.deliveries.answered(from, request, verdict) {
            let (slice, owner) = (delivery.slice, delivery.owner);
            let kept = row.and_then(KeptHint::placed);
            match (kept, delivery.stale) {
                (Some((_, key, Ok(mut kept))), Some(epoch)) if mutant(Mutant::StaleHintRenamed) => {
                    kept.hint.header.epoch = epoch;
                    self.deliveries.send(shared, (slice, key), kept, &[from], effects);
                }
                (Some((.., Ok(kept))), Some(_)) => {
                    self.given_up.note(shared, slice, owner, effects);
                    shared.hints.delete(slice, &kept, &mut effects.batch);
                }
                (Some((.., Ok(kept))), None) if !delivery.incomplete => {
                    shared.hints.delete(slice, &kept, &mut effects.batch);
                }
                (_, None) if delivery.incomplete => {
                    // Not every hint of a slice has to find out for itself.
                    if let Some(pass) = self.replays.passes.get_mut(&owner) {
                        pass.skipped.insert(slice);
                    }
                }
                _ => {}
            }
        }
        self.go_on(shared, effects);
    }

    /// Goes on with whatever pass can be gone on with.
    pub(super) fn go_on(&mut self, shared: &Shared, effects: &mut Effects) {
        self.replays.go_on(shared, &self.deliveries, &self.credits, effects);
    }
}
