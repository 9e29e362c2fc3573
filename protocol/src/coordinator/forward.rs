//! Requests that another node coordinates: what may change something is with one owner at a time, and goes to another only
//! from one that has not begun or changed nothing (invariant 3); where the owner that has a read does not answer, another
//! gets it, too.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Body, ChangedDots, Outcome, Request, RequestId, Response, Unavailable};

use super::fallback::may_stand_in;
use super::handed::Handed;
use super::request::{Phase, UnderWay};
use super::{Coordinator, Event};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::origin::Origin;

/// How long the mutant waits for another coordinator.
const AGAIN: Duration = Duration::from_secs(1);

impl Coordinator {
    /// Hands a request to an owner that was not told of it yet.
    pub(super) fn forward(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        mut handed: Handed,
        effects: &mut Effects,
    ) {
        let about = &under_way.about;
        let now = shared.now.monotonic;
        let Some(to) = handed.on(&shared.view, about.slice, (!about.writes()).then_some(now))
        else {
            if handed.is_open() {
                under_way.phase = Phase::Forwarding(handed);
                return self.table.put(under_way);
            }
            if may_stand_in(shared, about) {
                let event = Event::StandIn { request: about.id };
                effects.lane(After::Written, crate::Event::Coordinator(event));
                return self.table.put(under_way);
            }
            if handed.was_refused() {
                // Owners that are there do not coordinate it yet, or not any more: they, or this node, are about to learn
                // who does.
                return self.wait(shared, under_way, Unavailable::Nobody);
            }
            return self.end(shared, under_way, Unavailable::Nobody, effects);
        };
        let time_left = about.deadline.saturating_sub(now);
        let request = Request { time_left, ..about.request.clone() };
        // The client's id, so that a repeated message is known for one.
        let (id, body) = (request.id, Body::Forward(Box::new(request)));
        let mut message = shared.message(id, about.slice, body);
        (message.time_left, message.trace) = (Some(time_left), about.trace());
        effects.send(to, Class::Requests, message);
        self.forwarded.insert(id, about.id);
        under_way.phase = Phase::Forwarding(handed);
        self.table.put(under_way);
    }

    /// This node may not coordinate any more what it has begun to, and has changed nothing: another owner gets it.
    pub(super) fn pass_on(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        let is_own = |origin: &Origin| matches!(origin, Origin::Request(_) | Origin::Job);
        if under_way.origins.iter().any(is_own) {
            return self.end(shared, under_way, Unavailable::Nobody, effects);
        }
        under_way.about.next_round();
        under_way.gathered = None;
        let peers = under_way.origins.iter().filter_map(|origin| match origin {
            Origin::Peer { node, .. } => Some(*node),
            Origin::Client(_) | Origin::Listing { .. } | Origin::Request(_) | Origin::Job => None,
        });
        let handed = Handed::by(peers);
        self.forward(shared, under_way, handed, effects);
    }

    /// An owner has answered.
    pub(super) fn forwarded(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        request: RequestId,
        response: Response,
        effects: &mut Effects,
    ) {
        let Some((mut under_way, handed)) = self.take_forwarded(from, request) else { return };
        if matches!(response.outcome, Outcome::Unavailable(_)) && handed.is_open() {
            // Another has it, and may do better.
            under_way.phase = Phase::Forwarding(handed);
            return self.table.put(under_way);
        }
        self.respond(shared, &mut under_way, response.outcome, effects);
    }

    /// The owner has not begun to coordinate it: another one may.
    pub(super) fn forward_refused(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        let Some((mut under_way, mut handed)) = self.take_forwarded(from, request) else { return };
        under_way.about.answers.note(from, "does not coordinate");
        handed.refused();
        self.forward(shared, under_way, handed, effects);
    }

    /// A message to the owner was lost; it may have arrived all the same.
    pub(super) fn forward_lost(
        &mut self,
        shared: &mut Shared,
        (mut under_way, handed): (Box<UnderWay>, Handed),
        to: NodeId,
        effects: &mut Effects,
    ) {
        under_way.about.answers.note(to, "unreachable");
        if under_way.about.writes() {
            return self.forward_over(shared, under_way, handed, effects);
        }
        self.forward(shared, under_way, handed, effects);
    }

    /// Time has passed: another owner gets it, or its time is over.
    pub(super) fn forward_late(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        let Phase::Forwarding(handed) = &mut under_way.phase else { return };
        let handed = std::mem::take(handed);
        if under_way.about.deadline <= shared.now.monotonic {
            return self.forward_over(shared, under_way, handed, effects);
        }
        self.forward(shared, under_way, handed, effects);
    }

    /// Nothing is heard of the owners, one of which may have coordinated it.
    fn forward_over(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        handed: Handed,
        effects: &mut Effects,
    ) {
        if mutant(Mutant::DoubleCoordination) && handed.told() == 1 {
            under_way.about.deadline = shared.now.monotonic + AGAIN;
            return self.forward(shared, under_way, handed, effects);
        }
        let about = &under_way.about;
        let (view, plan) = (&shared.view, about.plan);
        let sets = view.live_sets(about.slice);
        let outcome = if about.writes() {
            let count = plan.write.count(view, sets.newest(), |_| false);
            Outcome::Unknown { count, changed: ChangedDots::default() }
        } else {
            let count = plan.read.count(view, sets.newest(), |_| false);
            Outcome::Unavailable(Unavailable::Answers(count))
        };
        self.respond(shared, &mut under_way, outcome, effects);
    }

    /// Takes out what was forwarded to a node in a message of this id, and has not been answered by it.
    pub(super) fn take_forwarded(
        &mut self,
        to: NodeId,
        request: RequestId,
    ) -> Option<(Box<UnderWay>, Handed)> {
        let id = *self.forwarded.get(&request)?;
        let mut under_way = self.table.take(id)?;
        match &mut under_way.phase {
            Phase::Forwarding(handed) if handed.is_open_for(to) => {
                let mut handed = std::mem::take(handed);
                handed.over(to);
                Some((under_way, handed))
            }
            Phase::Forwarding(_)
            | Phase::Gathering(_)
            | Phase::Waiting(_)
            | Phase::Committing(_)
            | Phase::Writing(_) => {
                self.table.put(under_way);
                None
            }
        }
    }
}
