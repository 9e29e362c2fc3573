//! Exhaustive search: every history up to a number of events, each checked as it is reached.
//!
//! A history is a sequence of events. Each is an operation by one of three actors, whose replica has
//! received its own earlier deltas, those it had received before, and any others of the deltas there
//! are: reordered, and without those that they depend on. Histories that differ only in the order of
//! neighbouring independent events, in the numbering of actors or in that of elements count once:
//! independent events come in order of actors (the lexicographic normal form of a trace), actors are
//! numbered in order of their first event, elements in that of their first use. Operations that change
//! nothing make no event.

use coterie_crdt::operation::{OpError, Reply};
use coterie_crdt::{Cells, Context, Delta, State};

use crate::actions::inserted_as_asked;
use crate::convergence;
use crate::model::{Effect, Events, Model, View, members};
use crate::partial;
use crate::replica::{Replica, evaluate, now, swept};
use crate::sound;
use crate::subject::{Move, Subject};
use crate::violation::{Violation, ensure};

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// All histories of up to so many events at least.
    pub(crate) complete: usize,
    /// Then longer ones, in a fixed order, until so many histories are checked in all.
    pub(crate) histories: u64,
}

/// What a search has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// All histories of up to so many events were checked.
    pub(crate) complete: usize,
    /// Histories checked.
    pub(crate) histories: u64,
    /// Readings compared with the model.
    pub(crate) readings: u64,
    /// Evaluations on joined partial states compared with those on joined states.
    pub(crate) partials: u64,
    /// Those that were refused, as only whole keys can tell what exists.
    pub(crate) refused: u64,
    /// Histories in which whoever received an event had received what it depends on.
    pub(crate) causal: u64,
}

/// A history so far.
#[derive(Clone, Debug, Default)]
struct Node {
    replicas: [Replica; 3],
    /// All deltas joined.
    full: State,
    elements: u8,
    actors: usize,
    causal: bool,
}

/// A search under way.
pub(crate) struct Search<'s> {
    subject: &'s Subject,
    size: Size,
    /// Of which length histories are checked now.
    length: usize,
    pub(crate) counts: Counts,
    model: Model,
    deltas: Vec<Delta>,
    moves: Vec<Move>,
}

impl<'s> Search<'s> {
    pub(crate) fn new(subject: &'s Subject, size: Size) -> Self {
        Search {
            subject,
            size,
            length: 0,
            counts: Counts::default(),
            model: Model::default(),
            deltas: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// Checks all histories of 1, 2, 3, … events in turn, so that what is found first is short.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.length = 1;
        while !self.is_full() {
            self.extend(&Node { causal: true, ..Node::default() })?;
            if !self.is_full() {
                self.counts.complete = self.length;
            }
            self.length += 1;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.length > self.size.complete && self.counts.histories >= self.size.histories
    }

    fn extend(&mut self, node: &Node) -> Result<(), Violation> {
        let all: Events = (1 << self.deltas.len()) - 1;
        for actor in 0..(node.actors + 1).min(3) {
            let had = node.replicas[actor].received;
            let unseen = all & !had;
            // Every subset of what it has not received, the empty one last.
            let mut receives = unseen;
            loop {
                if self.in_normal_form(actor, had | receives) {
                    self.at_replica(node, actor, receives)?;
                }
                if receives == 0 || self.is_full() {
                    break;
                }
                receives = (receives - 1) & unseen;
            }
        }
        Ok(())
    }

    /// Whether an event by `actor` that received `received` has no independent earlier event of a
    /// greater actor before it that it could swap places with.
    fn in_normal_form(&self, actor: usize, received: Events) -> bool {
        for (index, event) in self.model.events.iter().enumerate().rev() {
            if event.actor == actor || received & (1 << index) != 0 {
                return true;
            }
            if event.actor > actor {
                return false;
            }
        }
        true
    }

    fn at_replica(&mut self, node: &Node, actor: usize, receives: Events) -> Result<(), Violation> {
        let mut replica = node.replicas[actor].clone();
        for event in members(receives.into()) {
            replica.state.join_delta(&self.deltas[event]);
        }
        replica.received |= receives;
        let view = self.model.view(replica.received);
        let last = self.model.events.len() + 1 == self.length;
        if last && receives != 0 {
            self.readings(&swept(&replica.state), &view)?;
        }
        for index in 0..self.subject.moves.len() {
            let Move { action, late } = self.subject.moves[index];
            let elements = node.elements | action.elements();
            if elements == 2 || (action.elements() == 2 && node.elements == 0) || self.is_full() {
                continue;
            }
            self.moves.push(Move { action, late });
            let mark = self.model.mark();
            let events = self.model.events.len();
            self.step(node, &replica, &view, actor, last)
                .map_err(|violation| self.told(violation))?;
            if self.model.events.len() > events {
                self.model.undo(mark);
                self.deltas.pop();
            }
            self.moves.pop();
        }
        Ok(())
    }

    /// Evaluates the last move at a replica, and checks or extends the history that it makes.
    fn step(
        &mut self,
        node: &Node,
        replica: &Replica,
        view: &View,
        actor: usize,
        last: bool,
    ) -> Result<(), Violation> {
        let Move { action, late } = *self.moves.last().expect("pushed");
        let time = now(actor, late);
        let seen = self.model.seen(view, time);
        let (reply, effects) = action.meaning(&self.model, &seen, time);
        if effects.is_empty() && !last {
            return Ok(());
        }
        let base = swept(&replica.state);
        let operation = action.operation(&base);
        let mut clock = replica.clock.clone();
        let evaluated = evaluate(&operation, &*base, actor, &mut clock, late);
        let told = || format!("{evaluated:?}, the model {reply:?}");
        let found = evaluated.as_ref().map(|(reply, _)| reply);
        ensure(same(found, reply.as_ref()), "operations answer as the model", told)?;
        let Ok((_, delta)) = &evaluated else { return Ok(()) };
        ensure(delta.is_empty() == effects.is_empty(), "an event changes something", told)?;
        if last {
            let others = [1, 2].map(|step| &node.replicas[(actor + step) % 3].state);
            for other in others {
                let compared = partial::evaluates_as_whole(
                    self.subject,
                    action,
                    &replica.state,
                    other,
                    actor,
                    &replica.clock,
                    late,
                )?;
                self.counts.partials += 1;
                self.counts.refused += u64::from(!compared);
            }
        }
        if effects.is_empty() {
            return Ok(());
        }
        let known = node.full.root().map_or_else(Context::new, |root| root.context.clone());
        sound::delta(delta, &base, &known)?;
        self.record(actor, replica.received, time, &effects, delta);

        let after = self.model.view(replica.received | 1 << (self.deltas.len() - 1));
        let asked = inserted_as_asked(action, &self.model, &seen, &after);
        ensure(asked, "elements are inserted where they were asked for", || format!("{delta:?}"))?;

        let mut full = node.full.clone();
        full.join_delta(delta);
        let causal = node.causal && self.is_causal(replica.received);
        let mut own = Replica { clock, ..replica.clone() };
        // A sweep is a job that may come late: go on without it wherever that is allowed.
        if own.state.root().is_some_and(|root| root.pending.is_some()) {
            let unswept = evaluate(&operation, &own.state, actor, &mut replica.clock.clone(), late);
            let agrees = unswept_agrees(&unswept, &evaluated, &own.state);
            ensure(agrees, "evaluating before the sweep is as after it", || {
                format!("{unswept:?} and {evaluated:?} on {:?}", own.state)
            })?;
            if unswept.is_err() {
                own.state.sweep();
            }
        }
        own.state.join_delta(delta);
        own.received |= 1 << (self.deltas.len() - 1);
        if last {
            return self.end(node, actor, &own, &swept(&full), causal);
        }
        let mut next = Node {
            full,
            causal,
            elements: node.elements | action.elements(),
            actors: node.actors.max(actor + 1),
            replicas: node.replicas.clone(),
        };
        next.replicas[actor] = own;
        self.extend(&next)
    }

    fn record(
        &mut self,
        actor: usize,
        received: Events,
        time: u64,
        effects: &[Effect],
        delta: &Delta,
    ) {
        self.model.record(actor, received, time, effects);
        self.model.stamp_as(delta);
        self.deltas.push(delta.clone());
    }

    fn is_causal(&self, received: Events) -> bool {
        let events = members(received.into()).map(|event| &self.model.events[event]);
        events.fold(0, |past, event| past | event.received) & !received == 0
    }

    /// Checks a history at its end, where one replica's last event is the last of all.
    fn end(
        &mut self,
        node: &Node,
        actor: usize,
        own: &Replica,
        full: &State,
        causal: bool,
    ) -> Result<(), Violation> {
        self.counts.histories += 1;
        let state = swept(&own.state);
        sound::state(&state)?;
        let view = self.model.view(own.received);
        self.readings(&state, &view)?;
        sound::state(full)?;
        let all = (1 << self.deltas.len()) - 1;
        if own.received != all {
            let all = self.model.view(all);
            self.readings(full, &all)?;
        }
        if causal {
            self.counts.causal += 1;
            (self.subject.published)(&self.model, &self.moves)?;
        }
        let mut states = [0, 1, 2].map(|actor| &node.replicas[actor].state);
        states[actor] = &own.state;
        convergence::of_deltas(&self.deltas, full)?;
        convergence::of_states(states, actor, full)?;
        let Move { action, .. } = *self.moves.last().expect("pushed");
        let footprint = action.operation(&own.state).footprint();
        partial::mixed(&footprint, states, actor, &self.deltas, full)?;
        partial::renewed(states[actor], states[(actor + 1) % 3], &self.deltas, full)
    }

    /// Compares what a swept state shows with the model.
    fn readings(&mut self, state: &State, view: &View) -> Result<(), Violation> {
        for Move { action, late } in &self.subject.reads {
            let time = now(0, *late);
            let seen = self.model.seen(view, time);
            let (expected, _) = action.meaning(&self.model, &seen, time);
            let mut clock = coterie_crdt::Clock::new();
            let found = evaluate(&action.operation(state), state, 0, &mut clock, *late);
            self.counts.readings += 1;
            let found = found.map(|(reply, _)| reply);
            ensure(same(found.as_ref(), expected.as_ref()), "states read as the model", || {
                format!("{action:?}: {found:?}, the model {expected:?}\n  in {state:?}")
            })?;
        }
        Ok(())
    }

    fn told(&self, violation: Violation) -> Violation {
        if violation.detail.contains("history:") {
            return violation;
        }
        let mut detail = violation.detail + "\n  history:";
        for (index, Move { action, late }) in self.moves.iter().enumerate() {
            detail += &format!("\n    {index}: {action:?}{}", if *late { ", late" } else { "" });
            if let Some(event) = self.model.events.get(index) {
                let received: Vec<usize> = members(event.received.into()).collect();
                detail += &format!(" by actor {} having received {received:?}", event.actor);
            }
        }
        Violation { detail, ..violation }
    }
}

/// Equal, contexts for clients aside.
pub(crate) fn same(found: Result<&Reply, &OpError>, expected: Result<&Reply, &OpError>) -> bool {
    match (found, expected) {
        (Ok(Reply::Siblings(found, _)), Ok(Reply::Siblings(expected, _))) => found == expected,
        (found, expected) => found == expected,
    }
}

/// Before its pending delete is swept, a key answers the same or, while it is counting, not at all.
fn unswept_agrees(
    unswept: &crate::replica::Evaluated,
    swept: &crate::replica::Evaluated,
    state: &State,
) -> bool {
    match (unswept, swept) {
        (Ok((unswept, _)), Ok((swept, _))) => unswept == swept,
        (Err(OpError::Counting), _) => state.root().is_some_and(|root| root.is_counting()),
        (unswept, swept) => unswept == swept,
    }
}
