//! Coordinating: what others have is gathered, operations are evaluated, and what they change is committed.

use std::time::Duration;

use coterie_crdt::Cells;
use coterie_ring::NodeId;
use coterie_wire::peer::read::ReadAnswer;
use coterie_wire::{Outcome, QuorumCount, Refused, RequestId, Unavailable};

use super::read::{Gathered, Gathering};
use super::request::{About, Phase, UnderWay, Waiting};
use super::{Coordinator, Found, evaluate, found, repair, write};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::repair::sync;
use crate::replica::Stored;

/// How long what is not to be had just now is waited for before it is asked for again.
const AGAIN: Duration = Duration::from_millis(50);

impl Coordinator {
    /// Begins, or begins again, a request that this node coordinates.
    pub(super) fn coordinate(
        &mut self,
        shared: &mut Shared,
        mut under_way: UnderWay,
        own: Stored,
        effects: &mut Effects,
    ) {
        let about = &under_way.about;
        let plan = about.plan;
        let Some(state) = shared.slices.get(&about.slice) else {
            return self.end(shared, under_way, Unavailable::Nobody, effects);
        };
        if about.writes()
            && let Err(unavailable) = write::available(&shared.view, about, state.replica.sets())
        {
            return self.end(shared, under_way, unavailable, effects);
        }
        let (wall, root) = (shared.now.wall_millis, own.state.root());
        let operations = &about.request.operations;
        let observes = operations.iter().any(|operation| operation.observes_over(root, wall));
        let session = &about.request.session;
        let sees = found::context(&own.state).covers(&session.dots);
        if about.writes() && !observes && sees {
            return self.evaluate(shared, under_way, own, effects);
        }
        let footprint = found::footprint(operations, root, wall);
        match Gathering::new(&shared.view, state, &plan, footprint, &own.state, session) {
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
        mut under_way: UnderWay,
        own: Stored,
        effects: &mut Effects,
    ) {
        let Phase::Gathering(gathering) = &under_way.phase else {
            return self.table.put(under_way);
        };
        let epoch = shared.slices.get(&under_way.about.slice).map(|state| state.epoch);
        if epoch != Some(gathering.epoch) {
            // What was shown before a purge is not joined with what is there after it (invariant 19).
            under_way.about.next_round();
            return self.coordinate(shared, under_way, own, effects);
        }
        match gathering.progress(&shared.view, &self.latencies) {
            Gathered::Enough => self.evaluate(shared, under_way, own, effects),
            Gathered::Open | Gathered::TooFew => self.ask_more(shared, under_way, effects),
        }
    }

    /// Asks whoever else may show what it has.
    pub(super) fn ask_more(
        &mut self,
        shared: &mut Shared,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let Phase::Gathering(gathering) = &mut under_way.phase else {
            return self.table.put(under_way);
        };
        if gathering.progress(&shared.view, &self.latencies) == Gathered::TooFew {
            let why = too_few(shared, &under_way.about, gathering);
            return self.wait(shared, under_way, why);
        }
        gathering.ask(shared, &self.latencies, &under_way.about, effects);
        self.table.put(under_way);
    }

    /// Begins a request again after a while.
    fn wait(&mut self, shared: &Shared, mut under_way: UnderWay, why: Unavailable) {
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
            let word = gathering.take(from, answer, false);
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
        mut under_way: UnderWay,
        found: Found,
        effects: &mut Effects,
    ) {
        match (&under_way.phase, found) {
            (Phase::Waiting(_), Found::Own(own)) => {
                self.coordinate(shared, under_way, *own, effects);
            }
            (_, Found::Own(own)) => self.go_on(shared, under_way, *own, effects),
            (_, Found::Damaged) => self.end(shared, under_way, Unavailable::Damaged, effects),
            (_, Found::TooMany | Found::Nothing) => {
                let outcome = Outcome::Refused(Refused::TooLarge { bytes_max: 0 });
                self.respond(shared, &mut under_way, outcome, effects);
            }
        }
    }

    /// Evaluates, and commits what is changed.
    fn evaluate(
        &mut self,
        shared: &mut Shared,
        mut under_way: UnderWay,
        mut own: Stored,
        effects: &mut Effects,
    ) {
        let about = &mut under_way.about;
        let mut joined = None;
        let mut shown = vec![shared.me];
        if let Phase::Gathering(gathering) = &under_way.phase {
            shown = gathering.shown_by(shared.me);
            joined = gathering.joined(&own.state);
            if let Some(joined) = &joined {
                repair::repair(shared, about, gathering, joined, &mut own, effects);
            }
            if !gathering.footprint.derived.is_empty() {
                // All of the key was shown and is now in the rows: only they tell its counts and orders.
                joined = None;
            }
        }
        about.answers.saw(&own);
        let context = found::context(&own.state);
        let evaluated = match &joined {
            Some(joined) => evaluate::evaluate(shared, about, &context, joined, effects),
            None => evaluate::evaluate(shared, about, &context, &own.state, effects),
        };
        if evaluated.delta.is_empty() {
            let outcome = Outcome::Done(Box::new(evaluated.answered(shown)));
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        self.commit(shared, under_way, own, evaluated, effects);
    }

    /// Nothing was stored, because of who could be reached.
    pub(super) fn end(
        &mut self,
        shared: &Shared,
        mut under_way: UnderWay,
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
