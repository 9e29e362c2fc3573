//! Bringing a copy to those who lack it: each by a synchronisation from beginning to end.

use std::time::Duration;

use coterie_crdt::Actor;
use coterie_ring::NodeId;
use coterie_ring::moves::{self, SetVersion};
use coterie_wire::peer::moving::Move;
use coterie_wire::{Body, Message, RequestId, Slice};

use super::{Moving, REPEAT};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::repair::sync::{self, Asker, SyncError};

/// How long a synchronisation that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an owner has to say that it is ready. Often it is asked before it has heard of the layout.
const OFFER_AGAIN: Duration = Duration::from_millis(500);

/// The most synchronisations that moves of one lane have under way.
const SESSIONS_MAX: usize = 16;

/// Where this node is with bringing one other node up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// The other was asked whether it is ready, last at that time.
    Offered { request: RequestId, at: Duration },
    /// A synchronisation is under way, which the other was told of last at that time. It began after this node was
    /// fenced for a set, and is for a certain copy.
    Running { request: RequestId, at: Duration, fenced: SetVersion, life: Actor },
    /// It came to its end; the other was told at that time.
    Ended { fenced: SetVersion, life: Actor, told: Duration },
    /// It failed: the next one begins at that time.
    Waiting { until: Duration },
}

impl Session {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Session::Running { .. })
    }
}

impl Moving {
    /// The owners that this node has to bring up to date: those that need its push, and where its copy is to go,
    /// all that stay.
    pub(super) fn receivers(&self, shared: &Shared, slice: Slice) -> Vec<NodeId> {
        let (Some(work), Some(state)) = (self.work.get(&slice), shared.slices.get(&slice)) else {
            return Vec::new();
        };
        let (replica, sets) = (&state.replica, state.replica.sets());
        // One that has lost something brings nobody up to date, and nobody does before its fence is on disk.
        if !state.is_received() || work.fenced < Some(sets.tag()) {
            return Vec::new();
        }
        let ends = replica.status().retired && !sets.newest().contains(shared.me);
        let all = ends || self.is_overruled(slice);
        let lacks = |node: &NodeId| *node != shared.me && !state.brought.contains(node);
        let staying = sets.newest().members.iter().copied().filter(lacks).filter(|_| all);
        let mut receivers: Vec<NodeId> = replica.pushes_due().chain(staying).collect();
        receivers.sort_unstable();
        receivers.dedup();
        receivers.retain(|node| shared.view.is_live(*node));
        receivers
    }

    /// Begins, repeats or begins again what others lack.
    pub(super) fn step_sessions(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        effects: &mut Effects,
    ) {
        let now = shared.now.monotonic;
        for to in self.receivers(shared, slice) {
            let under_way = self.under_way();
            let Some(work) = self.work.get_mut(&slice) else { return };
            let tag = work.fenced.unwrap_or_default();
            match work.sessions.get_mut(&to) {
                Some(Session::Offered { at, .. } | Session::Running { at, .. })
                    if now < *at + OFFER_AGAIN => {}
                // Said again, it keeps the turn that the other gave.
                Some(Session::Offered { request, at } | Session::Running { request, at, .. }) => {
                    let request = *request;
                    *at = now;
                    tell(shared, (slice, to), request, Move::Offer, effects);
                }
                Some(Session::Waiting { until }) if now < *until => {}
                Some(Session::Ended { fenced, life, told }) if *fenced == tag => {
                    if now >= *told + REPEAT {
                        *told = now;
                        let pushed = Move::Pushed { fenced: *fenced, life: *life };
                        let request = shared.draw_request();
                        tell(shared, (slice, to), request, pushed, effects);
                    }
                }
                Some(_) | None if under_way < SESSIONS_MAX => {
                    let request = shared.draw_request();
                    tell(shared, (slice, to), request, Move::Offer, effects);
                    work.sessions.insert(to, Session::Offered { request, at: now });
                }
                Some(_) | None => {}
            }
        }
    }

    /// How many synchronisations are under way.
    fn under_way(&self) -> usize {
        let sessions = self.work.values().flat_map(|work| work.sessions.values());
        sessions.filter(|session| session.is_running()).count()
    }

    /// The other is ready: what follows is for its copy of this life.
    pub(super) fn ready(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        (from, life): (NodeId, Actor),
        message: &Message,
        effects: &mut Effects,
    ) {
        let tag = shared.slices.get(&slice).map(|state| state.replica.sets().tag());
        let Some(work) = self.work.get_mut(&slice) else { return };
        let Some(fenced) = work.fenced.filter(|fenced| Some(*fenced) == tag) else { return };
        let Some(session) = work.sessions.get_mut(&from) else { return };
        let begins = match *session {
            Session::Offered { request, .. } => request == message.request,
            // What was brought went to a copy that is gone.
            Session::Ended { life: former, .. } => former != life,
            Session::Running { .. } | Session::Waiting { .. } => false,
        };
        if begins {
            let (request, at) = (message.request, shared.now.monotonic);
            *session = Session::Running { request, at, fenced, life };
            if let Some(state) = shared.slices.get_mut(&slice) {
                state.brought.remove(&from);
            }
            let now = sync::Event::Now { slice, with: from, asker: Asker::Moving };
            effects.lane(After::Written, crate::Event::Sync(now));
        }
    }

    /// A synchronisation that moves asked for has come to its end.
    pub(super) fn session_ended(
        &mut self,
        shared: &mut Shared,
        (slice, with): (Slice, NodeId),
        outcome: Result<(), SyncError>,
        effects: &mut Effects,
    ) {
        let Some(work) = self.work.get_mut(&slice) else { return };
        let Some(session) = work.sessions.get_mut(&with) else { return };
        let Session::Running { fenced, life, .. } = *session else { return };
        let now = shared.now.monotonic;
        match outcome {
            // What the other has of votes on strong keys, and this node lacks, is no part of what it brings.
            Ok(()) | Err(SyncError::Undecided { there: false, .. }) => {
                *session = Session::Ended { fenced, life, told: now };
                let pushed = Move::Pushed { fenced, life };
                let request = shared.draw_request();
                tell(shared, (slice, with), request, pushed, effects);
                let tag = shared.slices.get(&slice).map(|state| state.replica.sets().tag());
                if tag == Some(fenced) {
                    self.brought(shared, slice, with, effects);
                }
            }
            Err(_) => *session = Session::Waiting { until: now + PAUSE },
        }
        self.step(shared, slice, effects);
    }

    /// An owner has got all of this copy.
    pub(super) fn brought(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        with: NodeId,
        effects: &mut Effects,
    ) {
        if let Some(state) = shared.slices.get_mut(&slice) {
            state.brought.insert(with);
        }
        self.drive(shared, slice, moves::Event::RootsEqual { with }, effects);
    }
}

fn tell(
    shared: &mut Shared,
    (slice, to): (Slice, NodeId),
    request: RequestId,
    said: Move,
    effects: &mut Effects,
) {
    let message = shared.message(request, slice, Body::Move(said));
    // What this node says rests on its fence (invariant 17).
    let after = if mutant(Mutant::PushBeforeFence) { After::Written } else { After::Synced };
    effects.send_after(after, to, Class::Bulk, message);
}
