//! Which listings are let in, and where they begin.

use coterie_wire::peer::PeerRefusal;
use coterie_wire::{Body, List, Listed, Refused, RequestId};

use super::plan::{Route, route};
use super::request::{Asker, Phase, UnderWay};
use super::{Found, Listings};
use crate::coordinator::Handed;
use crate::effects::{Class, Effects};
use crate::lane::Shared;

/// Listings under way at once in a lane, before clients are told that the node is busy: each may hold a quarter of a
/// megabyte for each owner that is asked.
const LISTINGS_MAX: usize = 128;

impl Listings {
    /// Takes a listing in.
    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        asker: Asker,
        list: List,
        found: Found,
        effects: &mut Effects,
    ) {
        let refused = |refused| Listed::Refused(refused);
        let (here, plan) = match route(shared, &list) {
            Route::Refused(why) => return asker.answer(shared, refused(why), effects),
            Route::Here(plan) => (true, plan),
            Route::Away(plan) => (false, plan),
        };
        if list.time_left.is_zero() {
            return asker.answer(shared, refused(Refused::Expired), effects);
        }
        if let (Asker::Peer(node, request, slice), false) = (asker, here) {
            // What was forwarded is never forwarded again.
            let refusal = match shared.slices.contains_key(&slice) {
                true => PeerRefusal::NotReceived,
                false => PeerRefusal::NotOwner,
            };
            let message = shared.message(request, slice, Body::Refused(refusal));
            return effects.send(node, Class::Requests, message);
        }
        if self.under_way.len() >= LISTINGS_MAX {
            return asker.answer(shared, refused(Refused::Busy), effects);
        }
        let deadline = shared.now.monotonic + list.time_left;
        let phase = Phase::Forwarding(Handed::default());
        let under_way = UnderWay { asker, list, plan, deadline, phase };
        if here {
            self.gather(shared, under_way, found, effects);
        } else {
            let id = shared.draw_request();
            self.forward(shared, id, under_way, effects);
        }
    }

    /// Begins a listing again, on rows read anew.
    pub(super) fn again(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.under_way.remove(&id) else { return };
        match route(shared, &under_way.list) {
            Route::Here(plan) => {
                under_way.plan = plan;
                self.gather(shared, under_way, found, effects);
            }
            Route::Away(plan) => {
                under_way.plan = plan;
                self.pass_on(shared, id, under_way, effects);
            }
            Route::Refused(why) => {
                under_way.asker.answer(shared, Listed::Refused(why), effects);
            }
        }
    }
}
