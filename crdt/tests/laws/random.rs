//! Long random histories: more actors and elements, several operations in flight, time that moves.

use std::fmt::Debug;

use coterie_crdt::operation::{FlagKind, ListEnd, Operation, SetKind};
use coterie_crdt::{Cells, Delta, Footprint, Partial, State, sweep};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::actions::Action;
use crate::model::{Model, members};
use crate::replica::{DEADLINE, Replica, evaluate, now, swept};
use crate::sound;

const ACTORS: usize = 5;
const ELEMENTS: u8 = 6;
/// The model has room for so many writes.
const WRITES_MAX: usize = 120;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An actor runs one of the actions.
    Operate { actor: usize, action: usize },
    /// An actor receives a delta, maybe once more.
    Deliver { actor: usize, delta: usize },
    /// An actor takes in all of another's state.
    Join { actor: usize, from: usize },
    /// An actor takes in what another has of one of the actions' footprints.
    JoinPartial { actor: usize, from: usize, action: usize },
    /// An actor sweeps some rows of a pending delete.
    Sweep { actor: usize, rows: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (actor, from) = (0..ACTORS, 0..ACTORS);
    let any = 0..1_000usize;
    let step = prop_oneof![
        4 => (actor.clone(), any.clone())
            .prop_map(|(actor, action)| Step::Operate { actor, action }),
        4 => (actor.clone(), any.clone())
            .prop_map(|(actor, delta)| Step::Deliver { actor, delta }),
        1 => (actor.clone(), from.clone()).prop_map(|(actor, from)| Step::Join { actor, from }),
        1 => (actor.clone(), from, any)
            .prop_map(|(actor, from, action)| Step::JoinPartial { actor, from, action }),
        1 => (actor, 1..3usize).prop_map(|(actor, rows)| Step::Sweep { actor, rows }),
    ];
    prop::collection::vec(step, 60..120)
}

/// Runs `check` on random values of a strategy, from a fixed seed.
pub(crate) fn check<S: Strategy>(strategy: &S, check: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let cases = if std::env::var_os("COTERIE_PROOF").is_some() { 5_000 } else { 100 };
    let seed = 2;
    eprintln!("{cases} random histories, seed {seed}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(strategy, |value| {
        check(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// All actions of all types, by type; the last group works on any.
pub(crate) fn actions() -> Vec<Vec<Action>> {
    use Action as A;
    let each = |of: &dyn Fn(u8) -> Vec<Action>| (0..ELEMENTS).flat_map(of).collect::<Vec<_>>();
    let mut groups = vec![
        vec![
            A::Increment(1),
            A::Increment(-3),
            A::IncrementByTenths(5),
            A::SetNumber,
            A::Set(0),
            A::PutBlindly(1),
            A::PutOverSiblings(0),
            A::GetDelete,
        ],
        each(&|n| vec![A::FieldSet(n, 2), A::FieldIncrement(n, 4), A::FieldRemove(n)]),
        each(&|n| {
            let until = [A::FieldSetUntil(n, DEADLINE), A::FieldExpireAt(n, DEADLINE)];
            let others = [A::FieldSet(n, 2), A::FieldIncrement(n, 4), A::FieldPersist(n)];
            [&until[..], &others, &[A::FieldRemove(n), A::FieldRemoveExpired(n)]].concat()
        }),
        [0, 1, 2, 3]
            .into_iter()
            .flat_map(|n| [A::NestedSet(n, 2), A::NestedIncrement(n, 2), A::NestedRemove(n)])
            .chain([A::SubmapRemove, A::FieldSet(0, 0), A::FieldIncrement(0, 1)])
            .collect(),
        each(&|n| vec![A::ScoreSet(n, n.into()), A::ScoreIncrement(n, 3), A::ScoreRemove(n)]),
        each(&|n| {
            vec![A::Push(ListEnd::Left, n), A::Push(ListEnd::Right, n), A::InsertAfter(0, n)]
        })
        .into_iter()
        .chain([A::Pop(ListEnd::Left), A::Pop(ListEnd::Right), A::SetFirst(5)])
        .collect(),
        each(&|n| vec![A::SketchAdd(n), A::SketchMerge(n, 30 + n)]),
    ];
    for kind in [SetKind::AddWins, SetKind::RemoveWins] {
        groups.push(each(&|n| vec![A::Add(kind, n), A::AddBoth(kind), A::Remove(kind, n)]));
    }
    groups.push(each(&|n| vec![A::Add(SetKind::GrowOnly, n)]));
    for kind in [FlagKind::EnableWins, FlagKind::DisableWins] {
        groups.push(vec![A::Enable(kind), A::Disable(kind)]);
    }
    for group in &mut groups {
        group.extend([A::Delete, A::ExpireAt(DEADLINE), A::Persist]);
    }
    let all = groups.concat();
    groups.push(all);
    groups
}

/// All that a reader may ask.
fn reads() -> Vec<Action> {
    use Action as A;
    let mut reads = vec![
        A::Exists,
        A::Type,
        A::ExpireTime,
        A::Get,
        A::GetSiblings,
        A::Fields,
        A::CountFields,
        A::FieldExpireTimes,
        A::Nested,
        A::Ranked,
        A::CountScored,
        A::Elements,
        A::ListLength,
        A::Registers,
        A::ReadFlag(FlagKind::EnableWins),
        A::ReadFlag(FlagKind::DisableWins),
    ];
    for kind in [SetKind::AddWins, SetKind::RemoveWins, SetKind::GrowOnly] {
        reads.extend([A::Members(kind), A::CountMembers(kind)]);
    }
    reads
}

/// Replicas under way, and with them the model for as long as that can follow.
struct World {
    replicas: [Replica; ACTORS],
    deltas: Vec<Delta>,
    full: State,
    model: Option<Model>,
}

impl World {
    fn new(model: Option<Model>) -> Self {
        World { replicas: Default::default(), deltas: Vec::new(), full: State::new(), model }
    }

    fn operate(&mut self, actor: usize, action: Action, late: bool) {
        let room = self.model.as_ref().is_none_or(|model| model.writes.len() < WRITES_MAX);
        let replica = &mut self.replicas[actor];
        if !room || self.deltas.len() == 63 {
            return;
        }
        let base = swept(&replica.state);
        let operation = action.operation(&base);
        let evaluated = evaluate(&operation, &*base, actor, &mut replica.clock, late);
        let time = now(actor, late);
        let meaning = self.model.as_ref().map(|model| {
            let seen = model.seen(&model.view(replica.received), time);
            action.meaning(model, &seen, time)
        });
        if let Some((expected, _)) = &meaning {
            let found = evaluated.as_ref().map(|(reply, _)| reply);
            let same = crate::search::same(found, expected.as_ref());
            assert!(same, "{action:?} answers {found:?}, the model {expected:?}");
        }
        let Ok((_, delta)) = evaluated else { return };
        if delta.is_empty() {
            return;
        }
        if let (Some(model), Some((_, effects))) = (&mut self.model, meaning) {
            model.record(actor, replica.received, time, &effects);
            model.stamp_as(&delta);
        }
        replica.state.join_delta(&delta);
        replica.received |= 1 << self.deltas.len();
        self.full.join_delta(&delta);
        self.deltas.push(delta);
    }

    fn step(&mut self, step: Step, actions: &[Action], late: bool) {
        let action = |n: usize| actions[n % actions.len()];
        match step {
            Step::Operate { actor, action: n } => self.operate(actor, action(n), late),
            Step::Deliver { actor, delta } if !self.deltas.is_empty() => {
                let delta = delta % self.deltas.len();
                self.replicas[actor].state.join_delta(&self.deltas[delta]);
                self.replicas[actor].received |= 1 << delta;
            }
            Step::Deliver { .. } => {}
            Step::Join { actor, from } => {
                let Replica { state, received, .. } = self.replicas[from].clone();
                self.replicas[actor].state.join(&state);
                self.replicas[actor].received |= received;
            }
            Step::JoinPartial { actor, from, action: n } => {
                // What it then knows is no set of events.
                if self.model.is_none() {
                    let operation: Operation = action(n).operation(&self.replicas[from].state);
                    let footprint: Footprint = operation.footprint();
                    let partial = Partial::extract(&self.replicas[from].state, &footprint);
                    self.replicas[actor].state.join_partial(&partial);
                }
            }
            Step::Sweep { actor, rows } => {
                let state = &mut self.replicas[actor].state;
                let before = state.digest();
                let counting = state.root().is_some_and(|root| root.is_counting());
                state.apply(sweep(state, rows));
                assert!(counting || before == state.digest(), "sweeping changes no sum");
            }
        }
        for replica in &self.replicas {
            sound::state(&swept(&replica.state)).unwrap_or_else(|violation| panic!("{violation}"));
        }
    }

    fn read_as_model(&self, reads: &[Action], late: bool) {
        let Some(model) = &self.model else { return };
        for replica in &self.replicas {
            let state = swept(&replica.state);
            let time = now(0, late);
            let seen = model.seen(&model.view(replica.received), time);
            for read in reads {
                let (expected, _) = read.meaning(model, &seen, time);
                let mut clock = coterie_crdt::Clock::new();
                let found = evaluate(&read.operation(&state), &*state, 0, &mut clock, late);
                let found = found.map(|(reply, _)| reply);
                let same = crate::search::same(found.as_ref(), expected.as_ref());
                assert!(same, "{read:?}: {found:?}, the model {expected:?}");
            }
        }
    }

    /// Everyone receives everything, each in an order of its own.
    fn converge(&mut self) {
        let full = swept(&self.full).into_owned();
        sound::state(&full).unwrap_or_else(|violation| panic!("{violation}"));
        let deltas = self.deltas.len();
        for (actor, replica) in self.replicas.iter_mut().enumerate() {
            for step in 0..deltas {
                let delta =
                    if actor % 2 == 0 { (step + actor) % deltas } else { deltas - 1 - step };
                replica.state.join_delta(&self.deltas[delta]);
            }
            replica.state.sweep();
            assert_eq!(replica.state, full, "actor {actor} is as all deltas");
            assert_eq!(replica.state.digest(), full.digest());
        }
    }
}

fn run(steps: &[Step], actions: &[Action], model: Option<Model>) {
    let mut world = World::new(model);
    let reads = reads();
    for (index, step) in steps.iter().enumerate() {
        let late = 3 * index > 2 * steps.len();
        world.step(*step, actions, late);
        if index % 16 == 15 {
            world.read_as_model(&reads, late);
        }
    }
    world.read_as_model(&reads, true);
    world.converge();
}

#[test]
fn every_type_reads_as_the_model_and_converges() {
    let groups = actions();
    check(&(0..groups.len(), steps()), |(group, steps)| {
        run(&steps, &groups[group], Some(Model::default()));
    });
}

#[test]
fn replicas_that_exchange_partial_states_converge() {
    let groups = actions();
    check(&(0..groups.len(), steps()), |(group, steps)| run(&steps, &groups[group], None));
}

/// What was received is what the sets of the model say: the helper that the rest stands on.
#[test]
fn members_of_a_set_are_its_bits() {
    assert_eq!(members(0).count(), 0);
    assert_eq!(members(1 << 127 | 0b101).collect::<Vec<_>>(), [0, 2, 127]);
}
