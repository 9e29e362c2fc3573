//! Delivering hints: each is a write to all for whom it is meant, and is kept until all have it durably.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::write::{Durability, Write, WriteAnswer};
use coterie_wire::{Body, Key, Message, RequestId, Slice};
use smallvec::SmallVec;

use super::of_key::KeptHint;
use crate::effects::{Class, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::replica::admit;
use crate::rows::{NotResident, Row, Rows, Space};

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What an answer says about one who was to get a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has it durably; or it owns the slice no more, and need not: all of the newest set were sent it as well.
    Stored,
    /// Not now.
    Later,
    /// Never: it has purged since, and what the hint carries may be what was purged (invariant 19).
    Stale {
        /// The purge epoch that it is at.
        epoch: u64,
    },
}

/// A hint on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) owner: NodeId,
    pub(super) slice: Slice,
    /// Its row.
    address: Bytes,
    /// Who has not answered.
    waiting: SmallVec<[NodeId; 3]>,
    /// Whether it is not to be deleted yet: one for whom it is meant was not reached, or will take it later.
    pub(super) incomplete: bool,
    /// The purge epoch for which it is too old.
    pub(super) stale: Option<u64>,
    until: Duration,
}

/// The hints of a lane that are on their way.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    sent: BTreeMap<RequestId, Delivery>,
}

impl Deliveries {
    /// Whether an answer to `request` is waited for.
    pub(super) fn await_answer(&self, request: RequestId) -> bool {
        self.sent.contains_key(&request)
    }

    /// Whether the hint of a row is on its way.
    pub(super) fn is_on_its_way(&self, address: &Bytes) -> bool {
        self.sent.values().any(|delivery| delivery.address == *address)
    }

    /// How many hints of an owner are on their way.
    pub(super) fn of_owner(&self, owner: NodeId) -> usize {
        self.sent.values().filter(|delivery| delivery.owner == owner).count()
    }

    /// The row of the hint that an answer is about, if it is still kept: others may have been joined to it since.
    pub(super) fn read_answer(
        &self,
        request: RequestId,
        rows: &impl Rows,
    ) -> Result<Option<Row>, NotResident> {
        let Some(delivery) = self.sent.get(&request) else { return Ok(None) };
        let row = rows.get(Space::Hints, &delivery.address)?;
        Ok(row.map(|row| (delivery.address.clone(), row)))
    }

    /// Sends a hint to those of `targets` that can be reached, as a write of today's layout under the purge epoch that
    /// it was made under.
    pub(super) fn send(
        &mut self,
        shared: &mut Shared,
        (slice, key): (Slice, Key),
        kept: KeptHint,
        targets: &[NodeId],
        effects: &mut Effects,
    ) {
        let request = shared.draw_request();
        let live: SmallVec<[NodeId; 3]> =
            targets.iter().copied().filter(|node| shared.view.is_live(*node)).collect();
        let epoch = kept.hint.header.epoch;
        let write = Write {
            key,
            change: kept.hint.change,
            durability: Durability::AsSet,
            hint_for: None,
            expects: None,
        };
        let mut message = shared.message(request, slice, Body::Write(Box::new(write)));
        message.epoch = epoch;
        for node in &live {
            effects.send(*node, Class::Bulk, message.clone());
        }
        let delivery = Delivery {
            owner: kept.owner,
            slice,
            address: kept.address,
            incomplete: live.len() < targets.len(),
            waiting: live,
            stale: None,
            until: shared.now.monotonic + TIMEOUT,
        };
        self.sent.insert(request, delivery);
    }

    /// Takes in what one of those said who were to get a hint; the hint's delivery once all have.
    pub(super) fn answered(
        &mut self,
        from: NodeId,
        request: RequestId,
        verdict: Verdict,
    ) -> Option<Delivery> {
        let delivery = self.sent.get_mut(&request)?;
        let at = delivery.waiting.iter().position(|node| *node == from)?;
        delivery.waiting.remove(at);
        match verdict {
            Verdict::Stored => {}
            Verdict::Later => delivery.incomplete = true,
            Verdict::Stale { epoch } => delivery.stale = Some(epoch),
        }
        if delivery.waiting.is_empty() { self.sent.remove(&request) } else { None }
    }

    /// Those whose answers are overdue.
    pub(super) fn overdue(&self, now: Duration) -> Vec<(RequestId, NodeId)> {
        let late = self.sent.iter().filter(|(_, delivery)| delivery.until <= now);
        late.flat_map(|(request, delivery)| delivery.waiting.iter().map(|node| (*request, *node)))
            .collect()
    }

    /// When the first answer is overdue.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.sent.values().map(|delivery| delivery.until).min()
    }
}

/// For whom a hint of `owner` is meant now (invariant 18).
pub(super) fn targets(shared: &Shared, slice: Slice, owner: NodeId) -> SmallVec<[NodeId; 3]> {
    if mutant(Mutant::HintToLeaver) {
        return SmallVec::from_elem(owner, 1);
    }
    shared.view.live_sets(slice).hint_targets(owner)
}

/// What an answer to a hint means.
pub(super) fn verdict(
    shared: &Shared,
    from: NodeId,
    message: &Message,
    effects: &mut Effects,
) -> Verdict {
    if let Body::Wrote(answer) = &message.body {
        match answer {
            WriteAnswer::Stored | WriteAnswer::StoredSame | WriteAnswer::Retired => {
                return Verdict::Stored;
            }
            WriteAnswer::StaleEpoch { epoch } => return Verdict::Stale { epoch: *epoch },
            WriteAnswer::OtherLayout { known } => behind(shared, from, message, *known, effects),
            WriteAnswer::Hinted
            | WriteAnswer::EpochAhead { .. }
            | WriteAnswer::NotOwner
            | WriteAnswer::NotReceived
            | WriteAnswer::Full
            | WriteAnswer::Damaged
            | WriteAnswer::Expired => {}
        }
    }
    if let Body::Refused(PeerRefusal::StaleEpoch { epoch }) = &message.body {
        return Verdict::Stale { epoch: *epoch };
    }
    if let Body::Refused(PeerRefusal::OtherLayout { known }) = &message.body {
        behind(shared, from, message, *known, effects);
    }
    Verdict::Later
}

/// One of both knows too old a layout: control fetches a newer one.
fn behind(
    shared: &Shared,
    from: NodeId,
    message: &Message,
    known: SetVersion,
    effects: &mut Effects,
) {
    let mine = admit::known(shared, message).map(|slice| shared.view.live_sets(slice).tag());
    if mine.is_ok_and(|mine| known > mine) {
        effects.control(ControlEvent::LayoutBehind { peer: from, known });
    }
}
