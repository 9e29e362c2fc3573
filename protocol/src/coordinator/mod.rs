//! A request's life: evaluated once, stored at enough owners, answered truthfully.

mod counting;
mod evaluate;
mod explain;
mod forward;
mod found;
mod memory;
mod read;
mod repair;
mod request;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_crdt::Cells;
use coterie_ring::NodeId;
use coterie_ring::moves::WriteAnswer as Given;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::read::ReadAnswer;
use coterie_wire::peer::write::{Change, Durability, WriteAnswer};
use coterie_wire::{
    Body, Message, Outcome, Refused, Request, RequestId, Response, Slice, Unavailable,
};
use smallvec::SmallVec;

use crate::effects::{After, Class, ClientId, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::origin::Origin;
use crate::replica::{self, Stored};
use crate::rows::{NotResident, Rows};
use crate::{linearizable, strong};

use explain::Answers;
use forward::Forwarding;
pub use found::Found;
use memory::{Memory, Seen};
use read::{Gathered, Gathering};
use request::{By, Phase, Plan, Table, UnderWay};
use write::{Progress, Writing};

/// What happens to the coordinator from within its lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// This node's own copy of a write is as durable as was asked.
    Stored {
        /// Of which request.
        request: RequestId,
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
    /// What was forwarded, by the client's id, which the messages about it bear.
    forwarded: BTreeMap<RequestId, RequestId>,
}

/// Where a request goes.
enum Route {
    /// This node coordinates it.
    Here(Slice, Plan),
    /// Another node does.
    Away(Slice, Plan),
    /// It is answered at once.
    Refused(Refused),
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
        match self.route(shared, request) {
            Route::Here(slice, plan) if plan.by == By::Quorums => {
                found::read(slice, &request.key, &request.operations, rows)
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
                Some(under_way) => {
                    let request = &under_way.request;
                    found::read(under_way.slice, &request.key, &request.operations, rows)
                }
                None => Ok(Found::Nothing),
            },
            Body::Forwarded(_)
            | Body::Vote(_)
            | Body::Sync(_)
            | Body::Hint(_)
            | Body::Write(_)
            | Body::Wrote(_)
            | Body::Read(_)
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
            Event::Internal { request } => self.read_request(shared, request, rows),
            Event::Stored { .. } => Ok(Found::Nothing),
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
            Body::Write(_)
            | Body::Read(_)
            | Body::Query(_)
            | Body::Queried(_)
            | Body::Register(_)
            | Body::Registered(_)
            | Body::Vote(_)
            | Body::Sync(_)
            | Body::Hint(_)
            | Body::Control(_) => {}
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
            Event::Stored { request } => {
                self.on_write(shared, request, effects, |writing, shared| {
                    writing.give(shared.me, Given::Stored);
                });
            }
        }
    }

    /// A node that was asked cannot be reached.
    pub fn unreachable(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        let Some((id, mut under_way)) = self.take_about(request) else { return };
        under_way.answers.note(to, "unreachable");
        match &mut under_way.phase {
            // It may have arrived: it is never coordinated again (invariant 3).
            Phase::Forwarding(forwarding) if forwarding.to == to => {
                self.forward_lost(shared, under_way, effects);
            }
            Phase::Gathering(gathering) => {
                gathering.refuse(to);
                self.ask_more(shared, id, under_way, effects);
            }
            Phase::Forwarding(_) | Phase::Writing(_) => self.table.put(id, under_way),
        }
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, _shared: &mut Shared, _effects: &mut Effects) {}

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        self.memory.forget(now);
        for id in self.table.due(now) {
            let Some(mut under_way) = self.table.take(id) else { continue };
            let is_over = !under_way.origins.is_empty() && under_way.deadline <= now;
            match &mut under_way.phase {
                Phase::Forwarding(_) => self.forward_lost(shared, under_way, effects),
                Phase::Gathering(_) if is_over => {
                    let outcome = under_way.too_few_answers(shared);
                    self.respond(shared, &mut under_way, outcome, effects);
                }
                Phase::Gathering(_) => self.ask_more(shared, id, under_way, effects),
                Phase::Writing(writing) => {
                    if is_over {
                        let outcome = writing.unknown(&shared.view, &under_way.plan);
                        self.respond(shared, &mut under_way, outcome, effects);
                    }
                    self.write_on(shared, id, under_way, effects);
                }
            }
        }
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.table.next_deadline()
    }

    /// Where a request goes, as far as its bucket and this node's slices say.
    fn route(&self, shared: &Shared, request: &Request) -> Route {
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
        let slice =
            Slice { partition: shared.view.partition(&request.key), replicas: policy.replicas };
        let readiness = plan.read.readiness();
        let may = shared.slices.get(&slice).is_some_and(|state| {
            state.is_received() && !shared.view.amnesiac && state.replica.may_coordinate(readiness)
        });
        if may { Route::Here(slice, plan) } else { Route::Away(slice, plan) }
    }

    fn begin(
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
        let (here, slice, plan) = match self.route(shared, &request) {
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
        let writes = request.operations.iter().any(|operation| operation.writes());
        let under_way = match self.memory.get(&request.key, request.id) {
            Some(Seen::Answered(outcome)) => return end(shared, (**outcome).clone(), effects),
            Some(Seen::UnderWay(id)) => Some(*id),
            None => self.forwarded.get(&request.id).copied(),
        };
        if let Some(id) = under_way {
            return match self.table.take(id) {
                Some(mut under_way) if under_way.request.key == request.key => {
                    under_way.origins.push(origin);
                    self.table.put(id, under_way);
                }
                Some(other) => {
                    self.table.put(id, other);
                    end(shared, Outcome::Refused(Refused::Busy), effects);
                }
                None => {}
            };
        }
        if self.table.len() >= shared.settings.requests_max {
            return end(shared, Outcome::Refused(Refused::Busy), effects);
        }
        let (id, _) = Table::parse(shared.draw_request());
        if writes {
            self.memory.begin(&request.key, request.id, id);
        }
        let mut under_way = UnderWay {
            slice,
            plan,
            origins: SmallVec::from_iter([origin]),
            deadline: shared.now.monotonic + request.time_left,
            round: 0,
            answers: Answers::new(request.explain),
            phase: Phase::Forwarding(Forwarding { to: shared.me, refused: Vec::new() }),
            request,
        };
        let outcome = match (here, found) {
            (false, _) => return self.forward(shared, id, under_way, effects),
            (true, Found::Own(own)) => {
                return self.coordinate(shared, id, under_way, *own, effects);
            }
            (true, Found::Damaged) => Outcome::Unavailable(Unavailable::Damaged),
            (true, Found::TooMany | Found::Nothing) => {
                Outcome::Refused(Refused::TooLarge { bytes_max: 0 })
            }
        };
        self.respond(shared, &mut under_way, outcome, effects);
    }

    /// Begins a request that this node coordinates.
    fn coordinate(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        own: Stored,
        effects: &mut Effects,
    ) {
        let (slice, plan) = (under_way.slice, under_way.plan);
        let wall = shared.now.wall_millis;
        let root = own.state.root();
        let operations = &under_way.request.operations;
        let observes = operations.iter().any(|operation| operation.observes_over(root, wall));
        let Some(state) = shared.slices.get(&slice) else {
            let outcome = Outcome::Unavailable(Unavailable::Nobody);
            return self.respond(shared, &mut under_way, outcome, effects);
        };
        if under_way.writes()
            && let Err(unavailable) = write::available(&shared.view, &plan, state.replica.sets())
        {
            let outcome = Outcome::Unavailable(unavailable);
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        if under_way.writes() && !observes {
            return self.evaluate(shared, id, under_way, own, effects);
        }
        let footprint = found::footprint(operations, root, wall);
        match Gathering::new(&shared.view, state, &plan, footprint, &own.state) {
            Some(gathering) => {
                under_way.phase = Phase::Gathering(Box::new(gathering));
                self.go_on(shared, id, under_way, own, effects);
            }
            None => {
                let sets = state.replica.sets();
                let count =
                    plan.read.count(&shared.view, sets.newest(), |node| shared.view.is_live(node));
                let outcome = Outcome::Unavailable(Unavailable::Owners(count));
                self.respond(shared, &mut under_way, outcome, effects);
            }
        }
    }

    /// Evaluates once enough owners have shown what they have.
    fn go_on(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        own: Stored,
        effects: &mut Effects,
    ) {
        let Phase::Gathering(gathering) = &under_way.phase else {
            return self.table.put(id, under_way);
        };
        if shared.slices.get(&under_way.slice).is_none_or(|state| state.epoch != gathering.epoch) {
            // What was shown before a purge is not joined with what is there after it (invariant 19).
            under_way.round += 1;
            return self.coordinate(shared, id, under_way, own, effects);
        }
        match gathering.progress(&shared.view, &under_way.plan) {
            Gathered::Enough => self.evaluate(shared, id, under_way, own, effects),
            Gathered::Open | Gathered::TooFew => self.ask_more(shared, id, under_way, effects),
        }
    }

    fn ask_more(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let Phase::Gathering(gathering) = &mut under_way.phase else {
            return self.table.put(id, under_way);
        };
        if gathering.progress(&shared.view, &under_way.plan) == Gathered::TooFew {
            let outcome = under_way.too_few_answers(shared);
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        let before = std::mem::replace(
            &mut under_way.phase,
            Phase::Forwarding(Forwarding { to: shared.me, refused: Vec::new() }),
        );
        if let Phase::Gathering(mut gathering) = before {
            gathering.ask(shared, id, &under_way, effects);
            under_way.phase = Phase::Gathering(gathering);
        }
        self.table.put(id, under_way);
    }

    /// Evaluates, and commits what is changed.
    fn evaluate(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        mut own: Stored,
        effects: &mut Effects,
    ) {
        let slice = under_way.slice;
        let mut joined = None;
        let mut shown = vec![shared.me];
        if let Phase::Gathering(gathering) = &under_way.phase {
            shown = gathering.shown_by(shared.me);
            joined = gathering.joined(&own.state);
            if let Some(joined) = &joined {
                repair::repair(shared, &under_way, gathering, joined, &mut own, effects);
            }
            if !gathering.footprint.derived.is_empty() {
                // All of the key was shown and is now in the rows: only they tell its counts and orders.
                joined = None;
            }
        }
        let (request, context) = (&under_way.request, found::context(&own.state));
        let evaluated = match &joined {
            Some(joined) => evaluate::evaluate(shared, slice, request, &context, joined, effects),
            None => evaluate::evaluate(shared, slice, request, &context, &own.state, effects),
        };
        if evaluated.delta.is_empty() {
            let outcome = Outcome::Done(Box::new(evaluated.answered(shown)));
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        let change = Change::Delta(evaluated.delta.clone());
        replica::apply(shared, slice, &request.key, &mut own, &change, effects);
        let state = &shared.slices[&slice];
        let (sets, epoch) = (state.replica.sets().clone(), state.epoch);
        let hints_at = under_way.deadline;
        let answered = evaluated.answered(Vec::new());
        let durability = match under_way.plan.synced {
            true => Durability::Synced,
            false => Durability::AsSet,
        };
        let writing = Writing::new(sets, change, epoch, durability, answered, hints_at);
        writing.send(shared, id, &under_way, effects);
        let after = match durability {
            _ if mutant(Mutant::AckBeforeSync) => After::Written,
            Durability::AsSet => After::Durable,
            Durability::Synced => After::Synced,
        };
        effects.lane(after, crate::Event::Coordinator(Event::Stored { request: id }));
        under_way.phase = Phase::Writing(Box::new(writing));
        self.table.put(id, under_way);
    }

    fn forward(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let refused = match &under_way.phase {
            Phase::Forwarding(forwarding) => forwarding.refused.clone(),
            Phase::Gathering(_) | Phase::Writing(_) => Vec::new(),
        };
        let Some(to) = forward::target(&shared.view, under_way.slice, &refused) else {
            let outcome = Outcome::Unavailable(Unavailable::Nobody);
            return self.respond(shared, &mut under_way, outcome, effects);
        };
        let time_left = under_way.deadline.saturating_sub(shared.now.monotonic);
        let request = Request { time_left, ..under_way.request.clone() };
        let about = request.id;
        let body = Body::Forward(Box::new(request));
        let mut message = shared.message(about, under_way.slice, body);
        message.time_left = Some(time_left);
        message.trace = under_way.trace();
        effects.send(to, Class::Requests, message);
        self.forwarded.insert(about, id);
        under_way.phase = Phase::Forwarding(Forwarding { to, refused });
        self.table.put(id, under_way);
    }

    /// Takes out what a message of this id is about.
    fn take_about(&mut self, about: RequestId) -> Option<(RequestId, UnderWay)> {
        if let Some(id) = self.forwarded.get(&about).copied() {
            return self.table.take(id).map(|under_way| (id, under_way));
        }
        self.table.take_current(about)
    }

    fn forwarded(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        about: RequestId,
        response: Response,
        effects: &mut Effects,
    ) {
        let Some((id, mut under_way)) = self.take_about(about) else { return };
        match &under_way.phase {
            Phase::Forwarding(forwarding) if forwarding.to == from => {
                self.respond(shared, &mut under_way, response.outcome, effects);
            }
            Phase::Forwarding(_) | Phase::Gathering(_) | Phase::Writing(_) => {
                self.table.put(id, under_way);
            }
        }
    }

    /// What was forwarded may have been coordinated, and nothing is heard of it.
    fn forward_lost(
        &mut self,
        shared: &mut Shared,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let sets = shared.view.live_sets(under_way.slice);
        let plan = under_way.plan;
        let outcome = if under_way.writes() {
            let count = plan.write.count(&shared.view, sets.newest(), |_| false);
            Outcome::Unknown { count, changed: Default::default() }
        } else {
            let count = plan.read.count(&shared.view, sets.newest(), |_| false);
            Outcome::Unavailable(Unavailable::Answers(count))
        };
        self.respond(shared, &mut under_way, outcome, effects);
    }

    fn refused(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        about: RequestId,
        refusal: PeerRefusal,
        effects: &mut Effects,
    ) {
        let Some((id, mut under_way)) = self.take_about(about) else { return };
        if let PeerRefusal::OtherLayout { known } = refusal {
            effects.control(ControlEvent::LayoutBehind { peer: from, known });
        }
        under_way.answers.note(from, "refused");
        match &mut under_way.phase {
            // It said that it has not begun: another owner may.
            Phase::Forwarding(forwarding) if forwarding.to == from => {
                forwarding.refused.push(from);
                self.forward(shared, id, under_way, effects);
            }
            Phase::Gathering(gathering) => {
                gathering.refuse(from);
                self.ask_more(shared, id, under_way, effects);
            }
            Phase::Writing(writing) => {
                writing.give(from, Given::Failed);
                self.write_on(shared, id, under_way, effects);
            }
            Phase::Forwarding(_) => self.table.put(id, under_way),
        }
    }

    fn wrote(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        about: RequestId,
        answer: WriteAnswer,
        effects: &mut Effects,
    ) {
        if self.table.current(about).is_none() {
            return;
        }
        let (id, _) = Table::parse(about);
        self.on_write(shared, id, effects, |writing, _| writing.take(from, answer));
    }

    fn on_write(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        effects: &mut Effects,
        take: impl FnOnce(&mut Writing, &Shared),
    ) {
        let Some(mut under_way) = self.table.take(id) else { return };
        if let Phase::Writing(writing) = &mut under_way.phase {
            take(writing, shared);
        }
        self.write_on(shared, id, under_way, effects);
    }

    /// Answers once enough hold the write, and goes on until all owners do, or hints are kept for them.
    fn write_on(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let Phase::Writing(writing) = &under_way.phase else {
            return self.table.put(id, under_way);
        };
        let is_answered = under_way.origins.is_empty();
        let is_settled = writing.is_settled();
        let enough = writing.progress(&shared.view, &under_way.plan) == Progress::Enough;
        if !is_answered && enough {
            let outcome = writing.done();
            self.respond(shared, &mut under_way, outcome, effects);
        }
        if !(is_settled && under_way.origins.is_empty())
            && shared.now.monotonic < under_way.deadline
        {
            self.table.put(id, under_way);
        }
    }

    fn shown(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        about: RequestId,
        answer: ReadAnswer,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some((id, mut under_way)) = self.table.take_current(about) else { return };
        if let Phase::Gathering(gathering) = &mut under_way.phase {
            gathering.take(from, answer);
        }
        match found {
            Found::Own(own) => self.go_on(shared, id, under_way, *own, effects),
            Found::Nothing | Found::Damaged | Found::TooMany => {
                let outcome = Outcome::Unavailable(Unavailable::Damaged);
                self.respond(shared, &mut under_way, outcome, effects);
            }
        }
    }

    /// Answers all who wait.
    fn respond(
        &mut self,
        shared: &Shared,
        under_way: &mut UnderWay,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let (key, id) = (&under_way.request.key, under_way.request.id);
        self.forwarded.remove(&id);
        if under_way.writes() {
            match &outcome {
                Outcome::Done(_) | Outcome::Unknown { .. } => {
                    let until = shared.now.monotonic + shared.settings.remember_requests;
                    self.memory.answered(key, id, &outcome, until);
                }
                Outcome::Refused(_) | Outcome::Unavailable(_) => self.memory.undone(key, id),
            }
        }
        for origin in std::mem::take(&mut under_way.origins) {
            origin.answer(shared, id, outcome.clone(), After::Written, effects);
        }
    }
}

impl UnderWay {
    /// Names the client's request in traces.
    #[expect(clippy::cast_possible_truncation, reason = "half of a random number is as random")]
    fn trace(&self) -> u64 {
        self.request.id.0 as u64
    }

    /// Nothing was written, as too few showed what they have.
    fn too_few_answers(&self, shared: &Shared) -> Outcome {
        let view = &shared.view;
        let count = match &self.phase {
            Phase::Gathering(gathering) => {
                let shown = gathering.shown_by(shared.me);
                self.plan.read.count(view, &gathering.set, |node| shown.contains(&node))
            }
            Phase::Forwarding(_) | Phase::Writing(_) => {
                self.plan.read.count(view, view.live_sets(self.slice).newest(), |_| false)
            }
        };
        Outcome::Unavailable(Unavailable::Answers(count))
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
