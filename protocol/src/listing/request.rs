//! A listing under way: who waits, how far it has come, and when it is looked at again.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::listing::Listing;
use coterie_wire::{Body, List, Listed, QuorumCount, RequestId, Slice, Unavailable};

use super::asking::Gathering;
use super::plan::Plan;
use super::reading::Reading;
use crate::coordinator::Handed;
use crate::effects::{Class, ClientId, Effects};
use crate::lane::Shared;

/// Who waits for a listing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Client(ClientId),
    /// Another node, which forwarded it in this message.
    Peer(NodeId, RequestId, Slice),
}

/// How far a listing has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Other owners coordinate it.
    Forwarding(Handed),
    /// Owners are asked which keys they have.
    Gathering(Box<Gathering>),
    /// It is begun again after a while, as something is not to be had just now.
    Waiting { until: Duration, count: QuorumCount },
    /// Keys that owners differ about are read.
    Reading(Reading),
}

/// One listing under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) asker: Asker,
    pub(super) list: List,
    pub(super) plan: Plan,
    pub(super) deadline: Duration,
    pub(super) phase: Phase,
}

impl UnderWay {
    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        let phase = match &self.phase {
            Phase::Forwarding(handed) => handed.next_deadline(),
            Phase::Gathering(gathering) => gathering.next_deadline(),
            Phase::Waiting { until, .. } => *until,
            Phase::Reading(_) => Duration::MAX,
        };
        phase.min(self.deadline)
    }

    /// How many have answered, of how many that have to.
    pub(super) fn count(&self, shared: &Shared) -> QuorumCount {
        match &self.phase {
            Phase::Gathering(gathering) => gathering.count(&shared.view, &self.plan),
            Phase::Waiting { count, .. } => *count,
            Phase::Forwarding(_) | Phase::Reading(_) => {
                let sets = shared.view.live_sets(self.plan.slice);
                self.plan.quota.count(&shared.view, sets.newest(), |_| false)
            }
        }
    }

    pub(super) fn unavailable(self, shared: &Shared, why: Unavailable, effects: &mut Effects) {
        self.asker.answer(shared, Listed::Unavailable(why), effects);
    }
}

impl Asker {
    pub(super) fn answer(self, shared: &Shared, listed: Listed, effects: &mut Effects) {
        match self {
            Asker::Client(client) => effects.listed(client, listed),
            Asker::Peer(node, request, slice) => {
                let body = Body::Listing(Box::new(Listing::Forwarded(listed)));
                let message = shared.message(request, slice, body);
                effects.send(node, Class::Requests, message);
            }
        }
    }
}
