//! Pacing of replays by those who receive them.
//!
//! Whoever has hints for a node offers them; the node grants so much at a time that all that it is brought stays
//! within its rate, and repair below what clients do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::hint::HintMessage;
use coterie_wire::{Body, Message, RequestId, Slice};

use crate::disk::{self, Purpose};
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::rows::Rows;

/// The most that is offered and granted at once.
const GRANT_BYTES_MAX: u64 = 1 << 20;

/// Nodes whose offers wait at once; others offer again.
const OFFERS_MAX: usize = 1_024;

/// How long a grant is waited for before it is asked for again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What others have granted this lane.
#[derive(Debug, Default)]
pub(super) struct Credits {
    credits: BTreeMap<NodeId, Credit>,
}

#[derive(Debug, Default)]
struct Credit {
    bytes: u64,
    asked: Option<(RequestId, Duration)>,
}

impl Credits {
    /// Whether a node has granted so much that has not been used. What is larger than any grant takes a whole one.
    pub(super) fn has(&self, node: NodeId, bytes: u64) -> bool {
        let granted = self.credits.get(&node).map_or(0, |credit| credit.bytes);
        granted >= bytes.min(GRANT_BYTES_MAX)
    }

    /// Uses some of what a node has granted.
    pub(super) fn take(&mut self, node: NodeId, bytes: u64) {
        if let Some(credit) = self.credits.get_mut(&node) {
            credit.bytes = credit.bytes.saturating_sub(bytes);
        }
    }

    /// Whether a grant is waited for.
    pub(super) fn is_asked(&self, node: NodeId) -> bool {
        self.credits.get(&node).is_some_and(|credit| credit.asked.is_some())
    }

    /// Offers a node hints of a slice, unless that is under way.
    pub(super) fn ask(
        &mut self,
        shared: &mut Shared,
        node: NodeId,
        slice: Slice,
        bytes: u64,
        effects: &mut Effects,
    ) {
        if self.is_asked(node) {
            return;
        }
        let request = shared.draw_request();
        let until = shared.now.monotonic + TIMEOUT;
        self.credits.entry(node).or_default().asked = Some((request, until));
        let offer = HintMessage::Offer { bytes: bytes.min(GRANT_BYTES_MAX) };
        effects.send(node, Class::Bulk, shared.message(request, slice, Body::Hint(offer)));
    }

    /// A node has granted something; false where that was not asked for.
    pub(super) fn granted(&mut self, node: NodeId, request: RequestId, bytes: u64) -> bool {
        let Some(credit) = self.credits.get_mut(&node) else { return false };
        let asked = credit.asked.is_some_and(|(asked, _)| asked == request);
        if asked {
            credit.asked = None;
            credit.bytes = bytes.min(GRANT_BYTES_MAX);
        }
        asked
    }

    /// An offer did not arrive.
    pub(super) fn lost(&mut self, node: NodeId, request: RequestId) {
        self.credits.retain(|to, credit| {
            *to != node || credit.asked.is_none_or(|(asked, _)| asked != request)
        });
    }

    /// What was not answered is asked again, and what was granted long ago is not used any more.
    pub(super) fn tick(&mut self, now: Duration) {
        self.credits.retain(|_, credit| credit.asked.is_none_or(|(_, until)| until > now));
    }

    /// When the first offer is made again.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.credits.values().filter_map(|credit| Some(credit.asked?.1)).min()
    }
}

/// What this lane grants others.
#[derive(Debug, Default)]
pub(super) struct Grants {
    waiting: VecDeque<Offer>,
    /// When what was granted so far will have been brought.
    free_at: Duration,
}

#[derive(Debug)]
struct Offer {
    from: NodeId,
    request: RequestId,
    slice: Slice,
    bytes: u64,
}

/// Whether the disk has room for what others kept.
pub(super) fn has_room(rows: &impl Rows) -> bool {
    disk::takes(rows, Purpose::Replication)
}

impl Grants {
    /// A node has hints for this one.
    pub(super) fn offered(
        &mut self,
        shared: &Shared,
        from: NodeId,
        message: &Message,
        bytes: u64,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        // One offer of each node counts, the last: it asks again only if it has given up on the others.
        self.waiting.retain(|offer| offer.from != from);
        if self.waiting.len() < OFFERS_MAX {
            let (request, bytes) = (message.request, bytes.min(GRANT_BYTES_MAX));
            self.waiting.push_back(Offer { from, request, slice, bytes });
        }
        self.tick(shared, effects);
    }

    /// Grants what there is time for.
    pub(super) fn tick(&mut self, shared: &Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let rate = (shared.settings.hint_bytes_per_second / u64::from(shared.lanes)).max(1);
        while self.free_at <= now
            && let Some(Offer { from, request, slice, bytes }) = self.waiting.pop_front()
        {
            self.free_at = now + Duration::from_micros(bytes.saturating_mul(1_000_000) / rate);
            let grant = Body::Hint(HintMessage::Grant { bytes });
            effects.send(from, Class::Bulk, shared.message(request, slice, grant));
        }
    }

    /// When more can be granted.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.free_at)
    }
}
