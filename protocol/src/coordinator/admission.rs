//! Which requests are let in, and whose they are.

use coterie_wire::peer::PeerRefusal;
use coterie_wire::{Body, Outcome, Refused, Request, Slice};
use smallvec::SmallVec;

use super::confirm::Basis;
use super::explain::Answers;
use super::handed::Handed;
use super::memory::Seen;
use super::request::{About, By, Phase, Plan, Table, UnderWay};
use super::{Coordinator, Event, Found};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::origin::Origin;
use crate::replica::admit::may_coordinate;
use crate::{linearizable, strong};

/// Where a request goes.
pub(super) enum Route {
    /// This node coordinates it.
    Here(Slice, Plan),
    /// Another node does.
    Away(Slice, Plan),
    /// It is answered at once.
    Refused(Refused),
}

/// Where a request goes, as far as its bucket and this node's slices say.
pub(super) fn route(shared: &Shared, request: &Request) -> Route {
    let Some(policy) = shared.view.policy(request.key.bucket()) else {
        return Route::Refused(Refused::NoSuchBucket);
    };
    if request.operations.is_empty() {
        return Route::Refused(Refused::Empty);
    }
    if let Err(error) = shared.settings.limits.key(request.key.name()) {
        return Route::Refused(Refused::Key(error));
    }
    let plan = match Plan::of(policy, request) {
        Ok(plan) => plan,
        Err(refused) => return Route::Refused(refused),
    };
    let partition = shared.view.partition(&request.key);
    let slice = Slice { partition, replicas: policy.replicas };
    let here = may_coordinate(shared, slice, plan.read.readiness());
    if here { Route::Here(slice, plan) } else { Route::Away(slice, plan) }
}

impl Coordinator {
    /// Takes a request in.
    pub(super) fn begin(
        &mut self,
        shared: &mut Shared,
        origin: Origin,
        request: Request,
        found: Found,
        effects: &mut Effects,
    ) {
        let end = |shared: &Shared, outcome, effects: &mut Effects| {
            origin.answer(shared, request.id, outcome, After::Written, effects);
        };
        let (here, slice, plan) = match route(shared, &request) {
            Route::Refused(refused) => return end(shared, Outcome::Refused(refused), effects),
            Route::Here(slice, plan) => (true, slice, plan),
            Route::Away(slice, plan) => (false, slice, plan),
        };
        if request.time_left.is_zero() && !mutant(Mutant::ExpiredExecuted) {
            return end(shared, Outcome::Refused(Refused::Expired), effects);
        }
        if here && plan.by != By::Quorums {
            return hand_over(plan.by, origin, request, effects);
        }
        if let (Origin::Peer { node, slice }, false) = (origin, here) {
            // What was forwarded is never forwarded again.
            let refusal = match shared.slices.contains_key(&slice) {
                true => PeerRefusal::NotReceived,
                false => PeerRefusal::NotOwner,
            };
            let message = shared.message(request.id, slice, Body::Refused(refusal));
            return effects.send(node, Class::Requests, message);
        }
        if let Some(seen) = self.seen(&request) {
            return match seen {
                Seen::Answered(outcome) => end(shared, *outcome, effects),
                Seen::UnderWay(id) => match self.table.take(id) {
                    Some(mut under_way) => {
                        under_way.origins.push(origin);
                        self.table.put(under_way);
                    }
                    // Its client has been told, so it would be remembered: it is another request of the same id.
                    None => end(shared, Outcome::Refused(Refused::Busy), effects),
                },
            };
        }
        // A part belongs to a request that was let in.
        let is_part = matches!(origin, Origin::Request(_) | Origin::Listing { .. });
        if self.table.len() >= shared.settings.requests_max && !is_part {
            return end(shared, Outcome::Refused(Refused::Busy), effects);
        }
        let (id, _) = Table::parse(shared.draw_request());
        let about = About {
            id,
            slice,
            plan,
            deadline: shared.now.monotonic + request.time_left,
            whole: false,
            round: 0,
            basis: Basis::Shown,
            answers: Answers::new(request.explain),
            request,
        };
        if about.writes() {
            self.memory.begin(&about.request.key, about.request.id, id);
        }
        let phase = Phase::Forwarding(Handed::default());
        let origins = SmallVec::from_iter([origin]);
        let mut under_way =
            Box::new(UnderWay { about, origins, phase, gathered: None, looked_at: None });
        if here {
            under_way.phase = Phase::asleep();
            self.with_rows(shared, under_way, found, effects);
        } else {
            self.forward(shared, under_way, Handed::default(), effects);
        }
    }

    /// A request that other owners did not coordinate is one of another part of this lane by now.
    pub(super) fn hand_over(
        &mut self,
        shared: &Shared,
        under_way: &mut UnderWay,
        effects: &mut Effects,
    ) {
        let about = &under_way.about;
        let time_left = about.deadline.saturating_sub(shared.now.monotonic);
        self.forwarded.remove(&about.request.id);
        self.memory.undone(&about.request.key, about.request.id);
        for origin in std::mem::take(&mut under_way.origins) {
            let request = Request { time_left, ..about.request.clone() };
            hand_over(about.plan.by, origin, request, effects);
        }
        self.table.over(under_way);
    }

    /// What is known of a request of this id on this key.
    fn seen(&self, request: &Request) -> Option<Seen> {
        if let Some(seen) = self.memory.get(&request.key, request.id) {
            return Some(seen);
        }
        let id = *self.forwarded.get(&request.id)?;
        Some(Seen::UnderWay(id))
    }
}

/// Hands a request to the part of this lane that decides it.
fn hand_over(by: By, origin: Origin, request: Request, effects: &mut Effects) {
    let request = Box::new(request);
    let event = match by {
        By::Strong => crate::Event::Strong(strong::Event::Begin { origin, request }),
        By::Laps => crate::Event::Linearizable(linearizable::Event::Begin { origin, request }),
        By::Quorums => crate::Event::Coordinator(Event::Internal { request }),
    };
    effects.lane(After::Written, event);
}
