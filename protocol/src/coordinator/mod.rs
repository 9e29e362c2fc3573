//! A request's life: evaluated once, but for some assignments that owners do not confirm, stored at enough owners, answered truthfully.

mod admission;
mod answer;
mod confirm;
mod contended;
mod counting;
mod evaluate;
mod explain;
mod fallback;
mod forward;
mod found;
mod handed;
mod latency;
mod memory;
mod observe;
mod parts;
mod promised;
mod read;
mod repair;
mod request;
mod store;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::{Body, Key, Message, Request, RequestId, Slice};

use crate::effects::{After, ClientId, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::origin::Origin;
use crate::rows::{NotResident, Rows};

use admission::{Route, route};
use contended::Contended;
pub(crate) use counting::Quota;
pub use found::Found;
pub(crate) use handed::Handed;
use latency::Latencies;
use memory::Memory;
pub(crate) use observe::AGAIN;
use request::{By, Phase, Table};

/// What happens to the coordinator from within its lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// This node's own copy of a write is as durable as was asked.
    Stored {
        /// Of which request.
        request: RequestId,
        /// The number of the batch that it is in, which the lane fills in.
        committed: u64,
    },
    /// The next part of what a request changes is to be committed.
    Commit {
        /// Of which.
        request: RequestId,
    },
    /// A request goes on, or begins again, on rows read anew.
    Again {
        /// Which.
        request: RequestId,
    },
    /// No owner of a request's key can be reached: this node coordinates on the hints it keeps.
    StandIn {
        /// Which.
        request: RequestId,
    },
    /// A write is older than the purge epoch of its slice: what it changed is read anew.
    Renew {
        /// Which.
        request: RequestId,
    },
    /// Nobody keeps a hint for an owner that lacks a write: it has to be synchronised.
    Dirty {
        /// Of which slice.
        slice: Slice,
        /// The owner.
        owner: NodeId,
    },
    /// A request of this lane itself, as a part of another, which goes on afterwards.
    Part {
        /// Of which.
        of: RequestId,
        /// What is asked.
        request: Box<Request>,
    },
    /// A listing of this lane looks at a key.
    Item {
        /// Which listing, and which key of it.
        origin: Origin,
        /// What is asked.
        request: Box<Request>,
    },
    /// A request of this lane itself, for which nobody waits: whoever wants its effect looks for it.
    Internal {
        /// What is asked.
        request: Box<Request>,
    },
}

/// The requests that a lane coordinates or has forwarded.
#[derive(Debug, Default)]
pub struct Coordinator {
    table: Table,
    memory: Memory,
    latencies: Latencies,
    contended: Contended,
    /// What was forwarded, by the client's id, which the messages about it bear.
    forwarded: BTreeMap<RequestId, RequestId>,
    /// Keys whose changes are being committed part by part: nothing else is evaluated to change them.
    committing: BTreeSet<Key>,
}

impl Coordinator {
    /// Reads what a client's request needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_request(
        &self,
        shared: &Shared,
        request: &Request,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match route(shared, request) {
            Route::Here(slice, plan) if plan.by == By::Quorums => {
                found::read(shared, slice, request, rows)
            }
            Route::Here(..) | Route::Away(..) | Route::Refused(_) => Ok(Found::Nothing),
        }
    }

    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        shared: &Shared,
        _from: NodeId,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match &message.body {
            Body::Forward(request) => self.read_request(shared, request, rows),
            Body::Shown(_) => match self.table.current(message.request) {
                Some(under_way) => found::read_for(shared, under_way, rows),
                None => Ok(Found::Nothing),
            },
            Body::Read(read) => match message.slice {
                Some(slice) => found::read_hints(shared, slice, &read.key, rows),
                None => Ok(Found::Nothing),
            },
            Body::Forwarded(_)
            | Body::Vote(_)
            | Body::Sync(_)
            | Body::Hint(_)
            | Body::Move(_)
            | Body::Reception(_)
            | Body::Purge(_)
            | Body::Listing(_)
            | Body::Write(_)
            | Body::Wrote(_)
            | Body::Query(_)
            | Body::Queried(_)
            | Body::Register(_)
            | Body::Registered(_)
            | Body::Control(_)
            | Body::Refused(_) => Ok(Found::Nothing),
        }
    }

    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match event {
            Event::Internal { request }
            | Event::Part { request, .. }
            | Event::Item { request, .. } => self.read_request(shared, request, rows),
            Event::Again { request } => match self.table.get(*request) {
                Some(under_way) => found::read_for(shared, under_way, rows),
                None => Ok(Found::Nothing),
            },
            Event::StandIn { request } => match self.table.get(*request) {
                Some(under_way) => {
                    let about = &under_way.about;
                    found::read_hints(shared, about.slice, &about.request.key, rows)
                }
                None => Ok(Found::Nothing),
            },
            Event::Renew { request } => match self.table.change(*request) {
                Some((about, change)) => found::read_changed(about, change, rows),
                None => Ok(Found::Nothing),
            },
            Event::Commit { request } => match self.table.part(*request) {
                Some((about, part)) => found::read_changed(about, part, rows),
                None => Ok(Found::Nothing),
            },
            Event::Stored { .. } | Event::Dirty { .. } => Ok(Found::Nothing),
        }
    }

    /// Begins a client's request.
    pub fn request(
        &mut self,
        shared: &mut Shared,
        client: ClientId,
        request: Request,
        found: Found,
        effects: &mut Effects,
    ) {
        self.begin(shared, Origin::Client(client), request, found, effects);
    }

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        found: Found,
        effects: &mut Effects,
    ) {
        let id = message.request;
        match message.body {
            Body::Forward(request) => {
                // Without a slice the answer would not find the lane that asked.
                if let Some(slice) = message.slice {
                    let origin = Origin::Peer { node: from, slice };
                    self.begin(shared, origin, *request, found, effects);
                }
            }
            Body::Forwarded(response) => self.forwarded(shared, from, id, *response, effects),
            Body::Wrote(answer) => self.wrote(shared, from, id, answer, effects),
            Body::Shown(answer) => self.shown(shared, from, id, answer, found, effects),
            Body::Refused(refusal) => self.refused(shared, from, id, refusal, effects),
            Body::Read(ref read) => {
                self.show_hints(shared, (from, &message), read, &found, effects);
            }
            Body::Write(_)
            | Body::Query(_)
            | Body::Queried(_)
            | Body::Register(_)
            | Body::Registered(_)
            | Body::Vote(_)
            | Body::Sync(_)
            | Body::Hint(_)
            | Body::Move(_)
            | Body::Reception(_)
            | Body::Purge(_)
            | Body::Listing(_)
            | Body::Control(_) => {}
        }
    }

    /// A peer has not taken a message.
    fn refused(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: RequestId,
        refusal: PeerRefusal,
        effects: &mut Effects,
    ) {
        if let PeerRefusal::OtherLayout { known } = refusal {
            effects.control(ControlEvent::LayoutBehind { peer: from, known });
        }
        if self.forwarded.contains_key(&message) {
            return self.forward_refused(shared, from, message, effects);
        }
        self.not_taken(shared, from, message, "refused", effects);
    }

    /// A message about a request was not taken, or was lost.
    fn not_taken(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        message: RequestId,
        word: &'static str,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take_current(message) else { return };
        under_way.about.answers.note(to, word);
        match &mut under_way.phase {
            Phase::Gathering(gathering) => {
                gathering.refuse(to);
                self.ask_more(shared, under_way, effects);
            }
            Phase::Writing(writing) => {
                writing.failed(to, shared.now.monotonic);
                self.write_on(shared, under_way, effects);
            }
            Phase::Forwarding(_) | Phase::Waiting(_) | Phase::Committing(_) => {
                self.table.put(under_way);
            }
        }
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
            Event::Internal { request } => {
                self.begin(shared, Origin::Job, *request, found, effects);
            }
            Event::Part { of, request } => {
                self.begin(shared, Origin::Request(of), *request, found, effects);
            }
            Event::Item { origin, request } => {
                self.begin(shared, origin, *request, found, effects);
            }
            Event::Stored { request, committed } => {
                shared.durable = shared.durable.max(committed);
                self.stored(shared, request, effects);
            }
            Event::Renew { request } => self.renew(shared, request, found, effects),
            Event::Commit { request } => self.commit_part(shared, request, found, effects),
            Event::Again { request } | Event::StandIn { request } => {
                if let Some(under_way) = self.table.take(request) {
                    self.with_rows(shared, under_way, found, effects);
                }
            }
            Event::Dirty { slice, owner } => {
                if let Some(state) = shared.slices.get_mut(&slice) {
                    state.mark_dirty(owner, &mut effects.batch);
                }
            }
        }
    }

    /// The key of a request was synchronised with an owner, or could not be.
    pub fn key_synchronised(
        &mut self,
        request: RequestId,
        with: NodeId,
        is_done: bool,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take(request) else { return };
        if let Phase::Gathering(gathering) = &mut under_way.phase {
            gathering.synchronised(with, is_done);
            let again = Event::Again { request };
            effects.lane(After::Written, crate::Event::Coordinator(again));
        }
        self.table.put(under_way);
    }

    /// A node that was asked cannot be reached.
    pub fn unreachable(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        if let Some(forwarded) = self.take_forwarded(to, request) {
            return self.forward_lost(shared, forwarded, to, effects);
        }
        self.not_taken(shared, to, request, "unreachable", effects);
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        for id in self.table.ids() {
            let Some(mut under_way) = self.table.take(id) else { continue };
            match &mut under_way.phase {
                Phase::Gathering(_) => self.ask_more(shared, under_way, effects),
                Phase::Writing(writing) => {
                    writing.hurry(&shared.view, shared.now.monotonic);
                    self.write_on(shared, under_way, effects);
                }
                Phase::Forwarding(_) | Phase::Waiting(_) | Phase::Committing(_) => {
                    self.table.put(under_way);
                }
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        self.memory.forget(now);
        for id in self.table.due(now) {
            let Some(under_way) = self.table.take(id) else { continue };
            let is_over = !under_way.origins.is_empty() && under_way.about.deadline <= now;
            match &under_way.phase {
                Phase::Forwarding(_) => self.forward_late(shared, under_way, effects),
                Phase::Gathering(gathering) if is_over => {
                    let why = observe::too_few(shared, &under_way.about, gathering);
                    self.end(shared, under_way, why, effects);
                }
                Phase::Gathering(_) => self.ask_more(shared, under_way, effects),
                Phase::Waiting(waiting) if is_over => {
                    let why = waiting.why;
                    self.end(shared, under_way, why, effects);
                }
                Phase::Waiting(_) => {
                    let again = Event::Again { request: id };
                    effects.lane(After::Written, crate::Event::Coordinator(again));
                    self.table.put_asleep(under_way);
                }
                Phase::Writing(_) => self.write_on(shared, under_way, effects),
                Phase::Committing(_) => self.table.put(under_way),
            }
        }
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.table.next_deadline()
    }
}
