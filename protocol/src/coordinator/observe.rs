//! Coordinating: what others have is gathered, operations are evaluated, and what they change is committed.

use std::time::Duration;

use coterie_crdt::operation::{KeyOperation, OpError, Operation};
use coterie_ring::NodeId;
use coterie_wire::peer::read::ReadAnswer;
use coterie_wire::{Answered, Outcome, QuorumCount, Refused, Request, RequestId, Unavailable};

use super::confirm::{self, Basis};
use super::found::Own;
use super::read::{Gathered, Gathering};
use super::request::{About, By, Phase, UnderWay, Waiting};
use super::{Coordinator, Event, Found, evaluate, found, repair, write};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::repair::{scrub, sync};
use crate::replica::admit::may_coordinate;
use crate::rows::lazy::Recorded;

/// How long what is not to be had just now is waited for before it is asked for again.
pub(crate) const AGAIN: Duration = Duration::from_millis(50);

/// How many cells with tallies one request removes of a key that has too many.
const TALLIED_AT_ONCE: usize = 256;

impl Coordinator {
    /// Begins, or begins again, a request that this node coordinates.
    pub(super) fn coordinate(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        own: Own,
        effects: &mut Effects,
    ) {
        under_way.about.basis.begin();
        let about = &under_way.about;
        let plan = about.plan;
        // That may have changed while it waited.
        if !may_coordinate(shared, about.slice, plan.read.readiness()) {
            return self.pass_on(shared, under_way, effects);
        }
        if plan.by != By::Quorums {
            return self.hand_over(shared, &mut under_way, effects);
        }
        let state = &shared.slices[&about.slice];
        if about.writes()
            && let Err(unavailable) = write::available(&shared.view, about, state.replica.sets())
        {
            return self.end(shared, under_way, unavailable, effects);
        }
        let (wall, root) = (shared.now.wall_millis, own.root());
        let operations = &about.request.operations;
        let observes = operations.iter().any(|operation| operation.observes_over(root, wall));
        let session = &about.request.session;
        let sees = session.are_in(&own.context());
        if about.writes() && !observes && sees {
            return self.evaluate(shared, under_way, own, effects);
        }
        let contended = self.contended.has(&about.request.key, shared.now.monotonic);
        if about.writes()
            && sees
            && !contended
            && confirm::may_be_confirmed(shared, about, &own, state)
        {
            under_way.about.basis = Basis::Own;
            return self.evaluate(shared, under_way, own, effects);
        }
        let footprint = about.footprint(root, wall);
        match Gathering::new(&shared.view, state, &plan, footprint, &own, session) {
            Some(gathering) => {
                under_way.phase = Phase::Gathering(Box::new(gathering));
                self.go_on(shared, under_way, own, effects);
            }
            None => {
                let newest = state.replica.sets().newest();
                let live = |node| shared.view.is_live(node);
                let count = plan.read.count(&shared.view, newest, live);
                self.end(shared, under_way, Unavailable::Owners(count), effects);
            }
        }
    }

    /// Evaluates once enough owners have shown what they have.
    fn go_on(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        own: Own,
        effects: &mut Effects,
    ) {
        let Phase::Gathering(gathering) = &under_way.phase else {
            return self.table.put(under_way);
        };
        let slice = under_way.about.slice;
        if !may_coordinate(shared, slice, under_way.about.plan.read.readiness()) {
            return self.pass_on(shared, under_way, effects);
        }
        let epoch = shared.slices.get(&slice).map(|state| state.epoch);
        if epoch != Some(gathering.epoch) || gathering.large != own.small().is_none() {
            // What was shown before a purge is not joined with what is there after it (invariant 19); nor what was shown
            // of a small key into one that has become large.
            under_way.about.next_round();
            return self.coordinate(shared, under_way, own, effects);
        }
        match gathering.progress(&shared.view, &self.latencies, &under_way.about) {
            Gathered::Enough => self.evaluate(shared, under_way, own, effects),
            Gathered::Open | Gathered::TooFew => self.ask_more(shared, under_way, effects),
        }
    }

    /// Asks whoever else may show what it has.
    pub(super) fn ask_more(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        let (slice, plan) = (under_way.about.slice, under_way.about.plan);
        let Phase::Gathering(gathering) = &mut under_way.phase else {
            return self.table.put(under_way);
        };
        if !may_coordinate(shared, slice, plan.read.readiness()) {
            return self.pass_on(shared, under_way, effects);
        }
        if gathering.progress(&shared.view, &self.latencies, &under_way.about) == Gathered::TooFew {
            let why = too_few(shared, &under_way.about, gathering);
            return self.wait(shared, under_way, why);
        }
        gathering.ask(shared, &self.latencies, &under_way.about, effects);
        self.table.put(under_way);
    }

    /// Begins a request again after a while.
    pub(super) fn wait(&mut self, shared: &Shared, mut under_way: Box<UnderWay>, why: Unavailable) {
        under_way.about.next_round();
        let until = shared.now.monotonic + AGAIN;
        under_way.phase = Phase::Waiting(Waiting { until, why });
        self.table.put(under_way);
    }

    /// An owner showed what it has.
    pub(super) fn shown(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: RequestId,
        answer: ReadAnswer,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take_current(message) else { return };
        let about = &mut under_way.about;
        if let Phase::Gathering(gathering) = &mut under_way.phase {
            if let Some(at) = gathering.asked_at(from) {
                self.latencies.took(from, shared.now.monotonic.saturating_sub(at));
            }
            let word = gathering.take(from, answer);
            about.answers.note(from, word);
            if gathering.is_synchronising(from) {
                let (key, asker) = (about.request.key.clone(), sync::Asker::Coordinator(about.id));
                let event = sync::Event::Key { key, with: from, asker };
                effects.lane(After::Written, crate::Event::Sync(event));
            }
        }
        self.with_rows(shared, under_way, found, effects);
    }

    /// A request goes on with this node's rows at hand.
    pub(super) fn with_rows(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        found: Found,
        effects: &mut Effects,
    ) {
        let own = match (found, under_way.gathered.take()) {
            (Found::Own(own), _) => *own,
            (Found::Gathered, Some(recorded)) => Own::Large(*recorded),
            (Found::More(page), Some(mut recorded)) => {
                recorded.take(*page);
                return self.gather_more(shared, under_way, *recorded, effects);
            }
            (Found::Hints(hints), _) => return self.stand_in(shared, under_way, &hints, effects),
            (Found::Full, _) => {
                let outcome = Outcome::Refused(Refused::DiskFull);
                return self.respond(shared, &mut under_way, outcome, effects);
            }
            (Found::Damaged, _) => {
                scrub::damaged(under_way.about.slice, &under_way.about.request.key, effects);
                return self.end(shared, under_way, Unavailable::Damaged, effects);
            }
            (Found::Changed | Found::More(_) | Found::Gathered | Found::Nothing, _) => {
                return self.wait(shared, under_way, Unavailable::Nobody);
            }
            (Found::TooMany, _) => {
                let refused = Refused::TooLarge { bytes_max: found::GATHERED_BYTES_MAX };
                let outcome = Outcome::Refused(refused);
                return self.respond(shared, &mut under_way, outcome, effects);
            }
        };
        match &under_way.phase {
            Phase::Waiting(_) => self.coordinate(shared, under_way, own, effects),
            Phase::Forwarding(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::Writing(_) => {
                self.go_on(shared, under_way, own, effects);
            }
        }
    }

    /// Evaluates, and commits what is changed.
    fn evaluate(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        own: Own,
        effects: &mut Effects,
    ) {
        if under_way.about.writes() && self.committing.contains(&under_way.about.request.key) {
            return self.wait(shared, under_way, Unavailable::Nobody);
        }
        let mut own = own;
        if let Own::Large(recorded) = own {
            if recorded.is_missing() {
                return self.gather_more(shared, under_way, recorded, effects);
            }
            own = Own::Large(recorded);
        }
        let about = &mut under_way.about;
        let mut joined = None;
        let (mut shown, mut fallbacks) = (vec![shared.me], Vec::new());
        if let Phase::Gathering(gathering) = &under_way.phase {
            shown = gathering.shown_by(shared.me);
            fallbacks = gathering.shown_by_fallbacks();
            if let Own::Small(stored) = &mut own {
                joined = gathering.joined(&stored.state);
                if let Some(joined) = &joined {
                    repair::repair(shared, about, gathering, joined, stored, effects);
                }
            }
            if !gathering.footprint.derived.is_empty() {
                // All of the key was shown and is now in the rows: only they tell its counts and orders.
                joined = None;
            }
        }
        about.answers.saw(&own);
        let context = own.context();
        let upheld = match (&joined, own.small()) {
            (Some(joined), _) => confirm::uphold(shared, about, &context, joined, effects),
            (None, Some(own)) => confirm::uphold(shared, about, &context, own, effects),
            (None, None) => None,
        };
        if let Some(upheld) = upheld {
            return self.commit(shared, under_way, own, upheld, effects);
        }
        let evaluated = match (&joined, &own) {
            (Some(joined), _) => evaluate::evaluate(shared, about, &context, joined, effects),
            (None, Own::Small(stored)) => {
                evaluate::evaluate(shared, about, &context, &stored.state, effects)
            }
            (None, Own::Large(recorded)) => {
                evaluate::evaluate(shared, about, &context, recorded, effects)
            }
        };
        if let Own::Large(recorded) = own {
            if recorded.is_missing() {
                // It looked for more than when it was read: time has passed.
                return self.gather_more(shared, under_way, recorded, effects);
            }
            own = Own::Large(recorded);
        }
        if let Some(error) = evaluated.replies.iter().find_map(|reply| reply.as_ref().err())
            && evaluated.delta.is_empty()
            && under_way.about.deadline > shared.now.monotonic + AGAIN
        {
            let needs_whole = matches!(error, OpError::NeedsWholeKey | OpError::NeedsTallies);
            if needs_whole && !under_way.about.whole {
                under_way.about.whole = true;
                return self.begin_again(under_way, effects);
            }
            if *error == OpError::Counting {
                // A sweep is under way.
                return self.wait(shared, under_way, Unavailable::Nobody);
            }
            if *error == OpError::Damaged {
                scrub::damaged(under_way.about.slice, &under_way.about.request.key, effects);
                return self.end(shared, under_way, Unavailable::Damaged, effects);
            }
            if matches!(error, OpError::TooManyTallies { .. }) {
                return self.remove_tallied(shared, under_way, effects);
            }
        }
        if evaluated.delta.is_empty() {
            let answered = Answered { fallbacks, ..evaluated.answered(shown) };
            let outcome = Outcome::Done(Box::new(answered));
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        self.commit(shared, under_way, own, evaluated, effects);
    }

    /// Begins a request again on rows read anew.
    fn begin_again(&mut self, mut under_way: Box<UnderWay>, effects: &mut Effects) {
        let about = &mut under_way.about;
        about.next_round();
        let again = Event::Again { request: about.id };
        effects.lane(After::Written, crate::Event::Coordinator(again));
        under_way.phase = Phase::asleep();
        self.table.put(under_way);
    }

    /// A key has more tallies than one delta takes back: some of them are removed by a request of their own, after which
    /// this one begins again.
    fn remove_tallied(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        let about = &mut under_way.about;
        about.next_round();
        let operation = KeyOperation::RemoveTallied(TALLIED_AT_ONCE);
        let request = Request {
            id: shared.draw_request(),
            operations: vec![Operation::Key(operation)],
            time_left: about.deadline.saturating_sub(shared.now.monotonic),
            explain: false,
            ..about.request.clone()
        };
        let event = Event::Part { of: about.id, request: Box::new(request) };
        effects.lane(After::Written, crate::Event::Coordinator(event));
        under_way.phase = Phase::asleep();
        self.table.put(under_way);
    }

    /// Gathers rows that are more than one event reads, event by event. Where the key is changed meanwhile, that begins
    /// again: what is evaluated is one state.
    fn gather_more(
        &mut self,
        shared: &Shared,
        mut under_way: Box<UnderWay>,
        recorded: Recorded,
        effects: &mut Effects,
    ) {
        if recorded.bytes() as u64 > found::GATHERED_BYTES_MAX {
            let refused = Refused::TooLarge { bytes_max: found::GATHERED_BYTES_MAX };
            return self.respond(shared, &mut under_way, Outcome::Refused(refused), effects);
        }
        under_way.gathered = Some(Box::new(recorded));
        let again = Event::Again { request: under_way.about.id };
        effects.lane(After::Written, crate::Event::Coordinator(again));
        self.table.put(under_way);
    }

    /// Nothing was stored, because of who could be reached.
    pub(super) fn end(
        &mut self,
        shared: &Shared,
        mut under_way: Box<UnderWay>,
        why: Unavailable,
        effects: &mut Effects,
    ) {
        self.respond(shared, &mut under_way, Outcome::Unavailable(why), effects);
    }
}

/// Why a request cannot be evaluated.
pub(super) fn too_few(shared: &Shared, about: &About, gathering: &Gathering) -> Unavailable {
    if gathering.lacks() {
        return Unavailable::Session;
    }
    let shown = gathering.shown_by(shared.me);
    let count: QuorumCount =
        about.plan.read.count(&shared.view, &gathering.set, |node| shown.contains(&node));
    Unavailable::Answers(count)
}
