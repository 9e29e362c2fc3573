//! What is under way for one slice whose owners change.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::{self, SetVersion, Status};
use coterie_wire::Slice;
use coterie_wire::peer::control::GivenUp;

use super::session::Session;
use super::turns::Turn;
use super::{Moving, REPEAT, announce};
use crate::effects::Effects;
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::slice::Reception;

/// The most slices that one tick looks at.
const SLICES_PER_TICK: usize = 256;

/// Volatile: all of it is found again after a restart.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// What this node is fenced for on disk, and what it asked to be told of.
    pub(super) fenced: Option<SetVersion>,
    pub(super) fence_asked: Option<SetVersion>,
    /// What owners said last, this node once it is on disk.
    pub(super) statuses: BTreeMap<NodeId, Status>,
    /// Synchronisations with those that lack what this node has.
    pub(super) sessions: BTreeMap<NodeId, Session>,
    /// Who may bring this copy up to date now.
    pub(super) turn: Option<Turn>,
    /// When this node says again how far it is; at once where it is zero.
    pub(super) repeat_at: Duration,
    /// The decision under which control was told that the move is done.
    pub(super) told_done: Option<SetVersion>,
    /// What was given up by an operator, as far as the replica knows.
    pub(super) given_up: Option<GivenUp>,
    /// What was told of how far the move is, and when.
    progress: Option<(u16, Duration)>,
}

impl Work {
    /// There is a newer owner set. Synchronisations under way go on; what they bring counts for the older one.
    pub(super) fn begin_again(&mut self) {
        self.statuses.clear();
        self.told_done = None;
        self.repeat_at = Duration::ZERO;
        self.sessions.retain(|_, session| session.is_running());
    }
}

impl Moving {
    /// Looks at what is under way, some slices at a time.
    pub(super) fn round(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let from = self.next.take();
        let first = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        let mut slices: Vec<Slice> = self
            .work
            .range((first, std::ops::Bound::Unbounded))
            .map(|(slice, _)| *slice)
            .take(SLICES_PER_TICK + 1)
            .collect();
        if slices.len() > SLICES_PER_TICK {
            self.next = slices.pop();
        }
        for slice in slices {
            self.step(shared, slice, effects);
        }
    }

    /// Does for a slice what is due.
    pub(super) fn step(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let Some(state) = shared.slices.get(&slice) else {
            self.end_work(shared, slice);
            return;
        };
        if state.reception == Reception::Dropping {
            return;
        }
        let now = shared.now.monotonic;
        if state.replica.next_deadline().is_some_and(|at| now >= at) {
            self.drive(shared, slice, moves::Event::Tick, effects);
        }
        self.step_sessions(shared, slice, effects);
        self.end_overruled(shared, slice, effects);
        let (Some(work), Some(state)) = (self.work.get_mut(&slice), shared.slices.get(&slice))
        else {
            return;
        };
        if !state.replica.purge_frozen() && !self.overruled.contains_key(&slice) {
            self.end_work(shared, slice);
            return;
        }
        let status = state.replica.status();
        if state.replica.sets().is_moving() && now >= work.repeat_at {
            work.repeat_at = now + REPEAT;
            if status.complete || status.retired {
                announce(shared, slice, effects);
            }
        }
        self.tell_progress(shared, slice, effects);
    }

    /// Nothing is under way any more.
    pub(super) fn end_work(&mut self, shared: &mut Shared, slice: Slice) {
        self.work.remove(&slice);
        if let Some(state) = shared.slices.get_mut(&slice) {
            state.brought.clear();
        }
    }

    /// Tells control, for people, how many of the new owners are complete.
    fn tell_progress(&mut self, shared: &Shared, slice: Slice, effects: &mut Effects) {
        let (Some(work), Some(state)) = (self.work.get_mut(&slice), shared.slices.get(&slice))
        else {
            return;
        };
        let (sets, now) = (state.replica.sets(), shared.now.monotonic);
        if !sets.is_moving() {
            return;
        }
        let newest = &sets.newest().members;
        let complete = |node: &&NodeId| {
            work.statuses.get(node).is_some_and(|it| it.complete && it.version == sets.tag())
        };
        let permille = newest.iter().filter(complete).count() * 1_000 / newest.len();
        let permille = u16::try_from(permille).unwrap_or(1_000);
        let told = work.progress;
        if told.is_none_or(|(told, at)| told != permille && now >= at + Duration::from_secs(1)) {
            work.progress = Some((permille, now));
            effects.control(ControlEvent::MoveProgress { slice, permille });
        }
    }
}
