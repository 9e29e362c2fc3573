//! Listings that other owners coordinate. They change nothing, so where one does not answer another is told.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::listing::Listing;
use coterie_wire::{Body, List, Listed, RequestId, Unavailable};
use smallvec::SmallVec;

use super::Listings;
use super::request::{Phase, UnderWay};
use crate::coordinator::target;
use crate::effects::{Class, Effects};
use crate::lane::Shared;

/// After so long another owner is told, too.
const LATE: Duration = Duration::from_millis(500);

/// The owners that were told.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    told: SmallVec<[NodeId; 3]>,
    /// Of these, those that may yet answer.
    open: SmallVec<[NodeId; 3]>,
    /// When another is told.
    next: Option<Duration>,
}

impl Forwarding {
    /// A node will not answer.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.open.retain(|open| *open != node);
    }

    pub(super) fn next_deadline(&self) -> Duration {
        self.next.unwrap_or(Duration::MAX)
    }
}

impl Listings {
    /// Hands a listing to an owner that was not told yet.
    pub(super) fn forward(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let UnderWay { list, plan, deadline, phase, .. } = &mut under_way;
        let Phase::Forwarding(forwarding) = phase else { return };
        let now = shared.now.monotonic;
        match target(&shared.view, plan.slice, &forwarding.told) {
            Some(to) => {
                let time_left = deadline.saturating_sub(now);
                let list = List { time_left, ..list.clone() };
                let body = Body::Listing(Box::new(Listing::Forward(list)));
                let mut message = shared.message(id, plan.slice, body);
                message.time_left = Some(time_left);
                effects.send(to, Class::Requests, message);
                forwarding.told.push(to);
                forwarding.open.push(to);
                forwarding.next = Some(now + LATE);
            }
            None if forwarding.open.is_empty() => {
                return under_way.unavailable(shared, Unavailable::Nobody, effects);
            }
            None => forwarding.next = None,
        }
        self.under_way.insert(id, under_way);
    }

    /// An owner has answered.
    pub(super) fn forwarded(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        id: RequestId,
        listed: &Listed,
        effects: &mut Effects,
    ) {
        let told =
            |it: &&UnderWay| matches!(&it.phase, Phase::Forwarding(to) if to.told.contains(&from));
        if self.under_way.get(&id).filter(told).is_none() {
            return;
        }
        if let Some(under_way) = self.under_way.remove(&id) {
            under_way.asker.answer(shared, listed.clone(), effects);
        }
    }
}
