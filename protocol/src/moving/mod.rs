//! Moving ownership: slices follow the layouts in force, each copy is brought to its new owners by sync, and
//! goes when it is no longer needed.
//!
//! What is safe is decided by [`coterie_ring::moves`]; here its effects are carried out. A push is a synchronisation that
//! began after this node was fenced on disk, and that counts only for the copy which it was made to
//! ([`SliceState::life`](crate::SliceState::life)). Invariants 17 and 18.

mod adopt;
mod dropping;
mod overruled;
mod session;
mod turns;
mod waiting;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coterie_ring::moves::{self, SetVersion, Status};
use coterie_ring::{NodeId, Partition};
use coterie_wire::peer::moving::Move;
use coterie_wire::{Body, Message, Slice};

use crate::effects::{After, Class, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::repair::sync::{Asker, Told};
use crate::rows::{NotResident, Row, Rows};
use crate::view::View;

use dropping::Dropping;
use overruled::Overruled;
pub use waiting::{Cause, Wait};
use work::Work;

/// How often what is under way is looked at.
const TICK: Duration = Duration::from_millis(250);

/// How often a node repeats what others may not have heard.
const REPEAT: Duration = Duration::from_secs(2);

/// What happens to moves from within their lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Goes on with taking in the view.
    Adopt,
    /// On disk: this node refuses what is older than a set.
    Fenced {
        /// Of which slice.
        slice: Slice,
        /// The set.
        version: SetVersion,
    },
    /// On disk: how far this node is. It counts itself among those that said so.
    Said {
        /// Of which slice.
        slice: Slice,
        /// How far.
        status: Status,
    },
    /// A synchronisation with an owner that was fenced before it began, for another reason than a push, has
    /// brought all that it had.
    Received {
        /// Of which slice.
        slice: Slice,
        /// The owner.
        from: NodeId,
        /// What it was fenced for.
        fenced: SetVersion,
    },
    /// The copy is of no use any more: delete its rows.
    Drop {
        /// Of which slice.
        slice: Slice,
    },
    /// Goes on deleting rows.
    Dropping {
        /// Of which slice.
        slice: Slice,
    },
}

/// The rows that an event of moves needs.
#[derive(Debug)]
pub struct Found {
    /// Of a copy that is being deleted, the next marks in the order of deadlines.
    deadlines: Vec<Row>,
}

/// The slices of a lane whose owners change, or changed lately. Others cost nothing.
#[derive(Debug, Default)]
pub struct Moving {
    /// The view whose layout was taken in, or is being.
    seen: Option<Arc<View>>,
    /// The partition to go on with, where the view has not been taken in wholly.
    adopting: Option<Partition>,
    work: BTreeMap<Slice, Work>,
    dropping: BTreeMap<Slice, Dropping>,
    overruled: BTreeMap<Slice, Vec<Overruled>>,
    /// The slices whose rows say what is in memory of actors and reception.
    stored: BTreeSet<Slice>,
    /// Where the next round over what is under way begins, so that all get their turn.
    next: Option<Slice>,
    tick_at: Option<Duration>,
}

impl Moving {
    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(&self, event: &Event, rows: &impl Rows) -> Result<Found, NotResident> {
        let deadlines = match event {
            Event::Dropping { slice } => match self.dropping.get(slice) {
                Some(dropping) => dropping.read(rows)?,
                None => Vec::new(),
            },
            Event::Adopt
            | Event::Fenced { .. }
            | Event::Said { .. }
            | Event::Received { .. }
            | Event::Drop { .. } => Vec::new(),
        };
        Ok(Found { deadlines })
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match event {
            Event::Adopt => self.adopt(shared, effects),
            Event::Fenced { slice, version } => {
                if let Some(work) = self.work.get_mut(&slice) {
                    work.fenced = work.fenced.max(Some(version));
                }
                self.step(shared, slice, effects);
            }
            Event::Said { slice, status } => {
                let me = shared.me;
                self.heard(shared, slice, (me, status), effects);
            }
            Event::Received { slice, from, fenced } => {
                self.drive(shared, slice, moves::Event::Pushed { from, fenced }, effects);
            }
            Event::Drop { slice } => self.begin_dropping(shared, slice, effects),
            Event::Dropping { slice } => {
                self.go_on_dropping(shared, slice, &found.deadlines, effects);
            }
        }
        self.schedule(shared);
    }

    /// Takes in what another owner says.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: &Message,
        said: Move,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        let known = shared.slices.get(&slice).map(|state| state.replica.sets().tag());
        if known.is_some_and(|known| message.layout > known) {
            effects.control(ControlEvent::LayoutBehind { peer: from, known: message.layout });
        }
        match said {
            Move::Status(status) => self.heard(shared, slice, (from, status), effects),
            Move::Offer => {
                self.offered(shared, slice, (from, message.request), message.layout, effects)
            }
            Move::Ready { life } => self.ready(shared, slice, (from, life), message, effects),
            Move::Pushed { fenced, life } => {
                let mine = shared.slices.get(&slice).filter(|state| {
                    let received = state.reception != crate::Reception::Dropping;
                    received && (state.life() == life || mutant(Mutant::PushToFormerCopy))
                });
                let is_mine = mine.is_some();
                self.end_turn(shared, slice, from, effects);
                if is_mine {
                    self.drive(shared, slice, moves::Event::Pushed { from, fenced }, effects);
                } else {
                    // The copy that it was made to is gone: the sender begins again.
                    let offer = (from, message.request);
                    self.offered(shared, slice, offer, message.layout, effects);
                }
            }
        }
        self.schedule(shared);
    }

    /// What a synchronisation has come to.
    pub fn told(&mut self, shared: &mut Shared, told: &Told, effects: &mut Effects) {
        match told {
            Told::Slice { slice, with, asker: Asker::Moving, outcome, .. } => {
                self.session_ended(shared, (*slice, *with), *outcome, effects);
            }
            Told::RootsEqual { slice, with, .. } if self.work.contains_key(slice) => {
                self.brought(shared, *slice, *with, effects);
            }
            Told::Slice { .. } | Told::Key { .. } | Told::RootsEqual { .. } => {}
        }
        self.schedule(shared);
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        if self.tick_at.is_none_or(|at| shared.now.monotonic < at) {
            return;
        }
        self.tick_at = None;
        self.round(shared, effects);
        self.schedule(shared);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tick_at
    }

    fn schedule(&mut self, shared: &Shared) {
        if self.work.is_empty() {
            self.tick_at = None;
        } else if self.tick_at.is_none() {
            self.tick_at = Some(shared.now.monotonic + TICK);
        }
    }

    /// Hands one event to a slice's replica and does what it asks for.
    ///
    /// What it stores is in this event's batch, and whatever is said on the strength of it waits until that is on
    /// disk, whatever the node's `sync` setting.
    fn drive(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        event: moves::Event,
        effects: &mut Effects,
    ) {
        let Some(state) = shared.slices.get_mut(&slice) else { return };
        let before = state.replica.sets().tag();
        let mut asked = Vec::new();
        state.replica.handle(event, shared.now.monotonic, &mut asked);
        let tag = state.replica.sets().tag();
        let work = self.work.entry(slice).or_default();
        if before != tag {
            work.begin_again();
            state.brought.clear();
        }
        let (mut delete, mut says) = (false, false);
        for effect in asked {
            match effect {
                moves::Effect::Persist => state.store_replica(&mut effects.batch),
                // Found again from what is due, once the fence is on disk.
                moves::Effect::Push { .. } => {}
                moves::Effect::Announce => says = true,
                moves::Effect::Excused { pushers } => {
                    let pushers = pushers.into_vec();
                    effects.control(ControlEvent::Excused { slice, pushers });
                }
                moves::Effect::Delete => delete = true,
            }
        }
        if work.fence_asked != Some(tag) {
            work.fence_asked = Some(tag);
            let after =
                if mutant(Mutant::PushBeforeFence) { After::Written } else { After::Synced };
            effects.lane(after, Event::Fenced { slice, version: tag }.into());
        }
        if says {
            work.repeat_at = shared.now.monotonic + REPEAT;
            announce(shared, slice, effects);
        }
        if delete && !self.is_overruled(slice) {
            effects.lane(After::Written, Event::Drop { slice }.into());
        }
    }

    /// An owner, which may be this node, has said how far it is.
    fn heard(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        (from, status): (NodeId, Status),
        effects: &mut Effects,
    ) {
        let Some(work) = self.work.get_mut(&slice) else { return };
        let owners = shared.slices.get(&slice).map(|state| state.replica.sets().owners());
        if owners.is_none_or(|owners| !owners.contains(&from)) {
            return;
        }
        let known = work.statuses.entry(from).or_insert(status);
        if status.version >= known.version {
            *known = status;
        }
        self.drive(shared, slice, moves::Event::Status { from, status }, effects);
        self.tell_done(shared, slice, effects);
    }

    /// Tells control when all owners have said that the move is done.
    fn tell_done(&mut self, shared: &Shared, slice: Slice, effects: &mut Effects) {
        let (Some(work), Some(state)) = (self.work.get_mut(&slice), shared.slices.get(&slice))
        else {
            return;
        };
        let sets = state.replica.sets();
        // What control was told is forgotten with every decision, though the sets may be the same after it.
        let decided = shared.view.decision.version();
        let statuses: Vec<_> = work.statuses.iter().map(|(by, status)| (*by, *status)).collect();
        if sets.is_moving() && work.told_done != Some(decided) && sets.is_done(&statuses) {
            work.told_done = Some(decided);
            effects.control(ControlEvent::MoveDone { slice, version: sets.tag() });
        }
    }
}

impl From<Event> for crate::Event {
    fn from(event: Event) -> Self {
        crate::Event::Moving(event)
    }
}

/// Tells all owners how far this node is, and itself, once that is on disk.
fn announce(shared: &mut Shared, slice: Slice, effects: &mut Effects) {
    let Some(state) = shared.slices.get(&slice) else { return };
    let status = state.replica.status();
    let others: Vec<NodeId> = state.others(shared.me).collect();
    for to in others {
        let request = shared.draw_request();
        let message = shared.message(request, slice, Body::Move(Move::Status(status)));
        effects.send_after(After::Synced, to, Class::Bulk, message);
    }
    effects.lane(After::Synced, Event::Said { slice, status }.into());
}
