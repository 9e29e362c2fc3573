//! Amnesia: a copy that may lack what it acknowledged counts nowhere until it has been synchronised with every
//! other owner.
//!
//! Owners in the same state count as sources: what one of them has lost, another acknowledged too, or nobody has.
//! Source: DESIGN §8, "Amnesia"; invariants 1, 2 and 19.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::amnesia::Reception as Said;
use coterie_wire::{Body, Incarnation, Message, RequestId, Slice};

use crate::effects::{After, Class, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::moving;
use crate::repair::sync::{self, Asker, SyncError, Told};
use crate::repair::votes::Regained;
use crate::replica::admit::{self, Refusal};
use crate::slice::Reception;

/// How often what is under way is looked at.
const TICK: Duration = Duration::from_millis(250);

/// How long an owner has to answer before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long a synchronisation that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// The most synchronisations that the receptions of one lane have under way.
const SESSIONS_MAX: usize = 16;

/// The most slices that one tick looks at.
const SLICES_PER_TICK: usize = 256;

/// What happens to receptions from within their lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// On disk: no slice of this lane lacks anything that it lost before this life of the storage.
    AllReceived {
        /// Which life.
        incarnation: Incarnation,
    },
}

/// Where this node is with one other owner of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It was asked how it is.
    Asked { request: RequestId, at: Duration },
    /// A synchronisation with it is under way; it had been fenced for a set before.
    Running { fenced: Option<SetVersion> },
    /// The next attempt begins at that time.
    Waiting { until: Duration },
}

impl Source {
    fn is_running(&self) -> bool {
        matches!(self, Source::Running { .. })
    }
}

/// The slices of a lane that are received again.
#[derive(Debug, Default)]
pub struct Amnesia {
    sources: BTreeMap<(Slice, NodeId), Source>,
    /// The life for which control was told, or is about to be, that nothing is lacking.
    told: Option<Incarnation>,
    next: Option<Slice>,
    regained: Regained,
    tick_at: Option<Duration>,
}

impl Amnesia {
    /// Control has another picture of the cluster.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.tell_received(shared, effects);
        self.schedule(shared);
    }

    /// Takes in what another owner says.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: &Message,
        said: Said,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        match said {
            Said::Ask => answer(shared, (slice, from), message.request, effects),
            Said::Source { fenced } => {
                self.answered(shared, (slice, from), message, fenced, effects);
                if fenced.is_some() {
                    self.regained.received(shared, (slice, from), message, effects);
                }
            }
        }
        self.schedule(shared);
    }

    /// An owner has said at which epoch it is, and which set it is fenced for.
    fn answered(
        &mut self,
        shared: &mut Shared,
        (slice, from): (Slice, NodeId),
        message: &Message,
        fenced: Option<SetVersion>,
        effects: &mut Effects,
    ) {
        let is_running = self.is_running(slice);
        let Some(source) = self.sources.get_mut(&(slice, from)) else { return };
        let asked = matches!(source, Source::Asked { request, .. } if *request == message.request);
        let Some(state) = shared.slices.get(&slice).filter(|_| asked) else { return };
        if message.epoch > state.epoch {
            // What remains here of deleted keys may have been purged there: none of it may come back.
            // (Invariant 19.) A copy that is empty has adopted the epoch before this was read.
            self.sources.retain(|(of, _), _| *of != slice);
            effects.lane(After::Written, moving::Event::Drop { slice }.into());
            return;
        }
        if is_running {
            *source = Source::Waiting { until: shared.now.monotonic };
            return;
        }
        *source = Source::Running { fenced };
        let now = sync::Event::Now { slice, with: from, asker: Asker::Amnesia };
        effects.lane(After::Written, crate::Event::Sync(now));
    }

    /// What a synchronisation has come to.
    pub fn told(&mut self, shared: &mut Shared, told: &Told, effects: &mut Effects) {
        if let Told::Slice { slice, with, asker: Asker::Amnesia, outcome, .. } = told {
            self.session_ended(shared, (*slice, *with), *outcome, effects);
        }
        self.schedule(shared);
    }

    fn session_ended(
        &mut self,
        shared: &mut Shared,
        (slice, with): (Slice, NodeId),
        outcome: Result<(), SyncError>,
        effects: &mut Effects,
    ) {
        let Some(source) = self.sources.get_mut(&(slice, with)) else { return };
        let Source::Running { fenced } = *source else { return };
        // Votes on strong keys may wait for a majority that votes, of which this node may be one: they are not received,
        // but learned, before it votes again (docs/decisions/0451).
        let joined = matches!(outcome, Ok(()) | Err(SyncError::Undecided { .. }));
        if !joined {
            *source = Source::Waiting { until: shared.now.monotonic + PAUSE };
            return;
        }
        self.sources.remove(&(slice, with));
        let Some(mut reception) = shared.slices.get(&slice).map(|it| it.reception.clone()) else {
            return;
        };
        match &mut reception {
            Reception::Amnesiac { synchronised } | Reception::Afresh { synchronised } => {
                synchronised.push(with);
            }
            Reception::Whole | Reception::Dropping => return,
        }
        shared.receive(slice, reception, &mut effects.batch);
        let brought = matches!(outcome, Ok(()) | Err(SyncError::Undecided { here: false, .. }));
        if let Some(fenced) = fenced.filter(|_| brought) {
            // It had refused what is older before this began: that is a push.
            let received = moving::Event::Received { slice, from: with, fenced };
            effects.lane(After::Synced, received.into());
        }
        self.step(shared, slice, effects);
    }

    /// Takes an event of its own in.
    pub fn event(&mut self, shared: &mut Shared, event: Event, effects: &mut Effects) {
        let Event::AllReceived { incarnation } = event;
        if incarnation == shared.view.incarnation {
            effects.control(ControlEvent::Received { lane: shared.lane, incarnation });
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        if self.tick_at.is_none_or(|at| shared.now.monotonic < at) {
            return;
        }
        self.tick_at = None;
        let from = self.next.take();
        let unreceived = &shared.unreceived;
        let first = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        let rest = unreceived.range((first, std::ops::Bound::Unbounded)).copied();
        let mut slices: Vec<Slice> = rest.take(SLICES_PER_TICK + 1).collect();
        if slices.len() > SLICES_PER_TICK {
            self.next = slices.pop();
        }
        for slice in slices {
            self.step(shared, slice, effects);
        }
        self.tell_received(shared, effects);
        self.regained.step(shared, effects);
        self.schedule(shared);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.tick_at
    }

    fn schedule(&mut self, shared: &Shared) {
        let repairs = !shared.unreceived.is_empty() || !shared.voteless.is_empty();
        let waits = repairs || self.owes(shared);
        if !waits {
            self.tick_at = None;
        } else if self.tick_at.is_none() {
            self.tick_at = Some(shared.now.monotonic + TICK);
        }
    }

    /// Does for a slice what is due.
    fn step(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let Some(state) = shared.slices.get(&slice) else { return };
        let Some(synchronised) = state.reception.synchronised() else { return };
        let lacking: Vec<NodeId> =
            state.others(shared.me).filter(|owner| !synchronised.contains(owner)).collect();
        self.sources.retain(|(of, owner), _| *of != slice || lacking.contains(owner));
        if lacking.is_empty() {
            shared.receive(slice, Reception::Whole, &mut effects.batch);
            self.tell_received(shared, effects);
            return;
        }
        if self.is_running(slice) {
            return;
        }
        for owner in lacking {
            let under_way = self.sources.values().filter(|source| source.is_running()).count();
            let due = match self.sources.get(&(slice, owner)) {
                None => true,
                Some(Source::Asked { at, .. }) => now >= *at + ASK_AGAIN,
                Some(Source::Waiting { until }) => now >= *until,
                Some(Source::Running { .. }) => false,
            };
            if due && under_way < SESSIONS_MAX && shared.view.is_live(owner) {
                let request = shared.draw_request();
                let ask = shared.message(request, slice, Body::Reception(Said::Ask));
                effects.send(owner, Class::Bulk, ask);
                self.sources.insert((slice, owner), Source::Asked { request, at: now });
            }
        }
    }

    /// Whether an owner brings what is lacking of a slice. Others wait until it has: most of what they have is the same.
    fn is_running(&self, slice: Slice) -> bool {
        let of_slice = self.sources.range((slice, NodeId(0))..=(slice, NodeId(u128::MAX)));
        of_slice.map(|(_, source)| source).any(Source::is_running)
    }

    /// Whether control waits to be told that nothing is lacking.
    fn owes(&self, shared: &Shared) -> bool {
        shared.view.amnesiac && self.told != Some(shared.view.incarnation)
    }

    /// Tells control when nothing is lacking any more, once that is on disk.
    fn tell_received(&mut self, shared: &Shared, effects: &mut Effects) {
        if self.owes(shared) && shared.unreceived.is_empty() {
            let incarnation = shared.view.incarnation;
            self.told = Some(incarnation);
            let event = crate::Event::Amnesia(Event::AllReceived { incarnation });
            effects.lane(After::Synced, event);
        }
    }
}

/// Answers an owner that has lost something: with what this node is fenced for, once that is on disk.
fn answer(
    shared: &mut Shared,
    (slice, to): (Slice, NodeId),
    request: RequestId,
    effects: &mut Effects,
) {
    let body = match shared.slices.get(&slice) {
        None => {
            admit::note(shared, to, Refusal::NotOwner, effects);
            Body::Refused(PeerRefusal::NotOwner)
        }
        Some(state) if state.reception == Reception::Dropping => return,
        // What was said before is on disk when this is sent.
        Some(state) => {
            let fenced = Some(state.replica.sets().tag()).filter(|_| state.is_received());
            Body::Reception(Said::Source { fenced })
        }
    };
    effects.send_after(After::Synced, to, Class::Bulk, shared.message(request, slice, body));
}
