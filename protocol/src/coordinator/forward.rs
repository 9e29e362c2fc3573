//! Requests that another node coordinates: handed on once, never twice (invariant 3).

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Body, ChangedDots, Outcome, Request, RequestId, Response, Slice, Unavailable};

use super::fallback::may_stand_in;
use super::request::{Phase, UnderWay};
use super::{Coordinator, Event};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::view::{Liveness, View};

/// How long the mutant waits for another coordinator.
const AGAIN: Duration = Duration::from_secs(1);

/// A request that was handed to an owner.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    /// Who has it.
    pub(super) to: Option<NodeId>,
    /// Who said that it did not begin to coordinate it.
    refused: Vec<NodeId>,
}

/// The owner to hand a request to: of the oldest live set, as its owners have received all there is; those that
/// are suspected last.
pub(crate) fn target(view: &View, slice: Slice, refused: &[NodeId]) -> Option<NodeId> {
    let owners = view.live_sets(slice).owners();
    let may = |node: &&NodeId| **node != view.me && !refused.contains(node) && view.is_live(**node);
    let rank = |node: &&NodeId| view.liveness(**node) == Liveness::Suspect;
    owners.iter().filter(may).min_by_key(rank).copied()
}

impl Coordinator {
    /// Hands a request to an owner.
    pub(super) fn forward(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        mut forwarding: Forwarding,
        effects: &mut Effects,
    ) {
        let about = &under_way.about;
        let Some(to) = target(&shared.view, about.slice, &forwarding.refused) else {
            if may_stand_in(shared, about) {
                let event = Event::StandIn { request: about.id };
                effects.lane(After::Written, crate::Event::Coordinator(event));
                return self.table.put(under_way);
            }
            let outcome = Outcome::Unavailable(Unavailable::Nobody);
            return self.respond(shared, &mut under_way, outcome, effects);
        };
        let time_left = about.deadline.saturating_sub(shared.now.monotonic);
        let request = Request { time_left, ..about.request.clone() };
        // The client's id, so that a repeated message is known for one.
        let (id, body) = (request.id, Body::Forward(Box::new(request)));
        let mut message = shared.message(id, about.slice, body);
        (message.time_left, message.trace) = (Some(time_left), about.trace());
        effects.send(to, Class::Requests, message);
        self.forwarded.insert(id, about.id);
        forwarding.to = Some(to);
        under_way.phase = Phase::Forwarding(forwarding);
        self.table.put(under_way);
    }

    /// The owner has answered.
    pub(super) fn forwarded(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        request: RequestId,
        response: Response,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.take_forwarded(from, request) else { return };
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
        let Some(mut under_way) = self.take_forwarded(from, request) else { return };
        under_way.about.answers.note(from, "does not coordinate");
        let mut forwarding = Forwarding::default();
        if let Phase::Forwarding(before) = &mut under_way.phase {
            forwarding = std::mem::take(before);
        }
        forwarding.refused.push(from);
        self.forward(shared, under_way, forwarding, effects);
    }

    /// Nothing is heard of the owner, which may have coordinated it.
    pub(super) fn forward_lost(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        if mutant(Mutant::DoubleCoordination)
            && let Phase::Forwarding(before) = &mut under_way.phase
            && before.refused.is_empty()
        {
            let mut forwarding = std::mem::take(before);
            forwarding.refused.extend(forwarding.to);
            under_way.about.deadline = shared.now.monotonic + AGAIN;
            return self.forward(shared, under_way, forwarding, effects);
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

    /// Takes out what was forwarded to a node in a message of this id.
    pub(super) fn take_forwarded(
        &mut self,
        to: NodeId,
        request: RequestId,
    ) -> Option<Box<UnderWay>> {
        let id = *self.forwarded.get(&request)?;
        let under_way = self.table.take(id)?;
        match &under_way.phase {
            Phase::Forwarding(forwarding) if forwarding.to == Some(to) => Some(under_way),
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
