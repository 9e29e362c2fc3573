//! Listings that other owners coordinate. They change nothing, so where one does not answer another is told.

use coterie_ring::NodeId;
use coterie_wire::peer::listing::Listing;
use coterie_wire::{Body, List, Listed, RequestId, Unavailable};

use super::Listings;
use super::request::{Asker, Phase, UnderWay};
use crate::coordinator::{AGAIN, Handed};
use crate::effects::{Class, Effects};
use crate::lane::Shared;

impl Listings {
    /// Hands a listing to an owner that was not told yet.
    pub(super) fn forward(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let count = under_way.count(shared);
        let UnderWay { list, plan, deadline, phase, .. } = &mut under_way;
        let Phase::Forwarding(handed) = phase else { return };
        let now = shared.now.monotonic;
        match handed.on(&shared.view, plan.slice, Some(now)) {
            Some(to) => {
                let time_left = deadline.saturating_sub(now);
                let list = List { time_left, ..list.clone() };
                let body = Body::Listing(Box::new(Listing::Forward(list)));
                let mut message = shared.message(id, plan.slice, body);
                message.time_left = Some(time_left);
                effects.send(to, Class::Requests, message);
            }
            None if handed.is_open() => {}
            // They, or this node, are about to learn who owns it.
            None if handed.was_refused() => *phase = Phase::Waiting { until: now + AGAIN, count },
            None => return under_way.unavailable(shared, Unavailable::Nobody, effects),
        }
        self.under_way.insert(id, under_way);
    }

    /// This node may not coordinate any more what it has begun to: another owner gets it.
    pub(super) fn pass_on(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let peer = match under_way.asker {
            Asker::Peer(node, ..) => Some(node),
            Asker::Client(_) => None,
        };
        under_way.phase = Phase::Forwarding(Handed::by(peer.into_iter()));
        self.forward(shared, id, under_way, effects);
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
            |it: &&UnderWay| matches!(&it.phase, Phase::Forwarding(to) if to.is_open_for(from));
        if self.under_way.get(&id).filter(told).is_none() {
            return;
        }
        if let Some(under_way) = self.under_way.remove(&id) {
            under_way.asker.answer(shared, listed.clone(), effects);
        }
    }
}
