//! Transfers: all of a replica's cells in chunks, with writes, deltas, partial states, deletions and sweeps
//! in between, come to what joining whole states comes to.

use std::cell::Cell;

use coterie_crdt::encoding::{decode_partial, decode_root, encode_partial, encode_root};
use coterie_crdt::mutants::{Mutant, with_mutant};
use coterie_crdt::operation::{OpError, Reply, SetKind};
use coterie_crdt::{
    Address, Cells, Clock, Delta, Direction, Dot, Footprint, Partial, Root, State, TransferError,
    abandon_transfer, begin_transfer, complete_transfer, join_transferred, sweep,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::actions::Action;
use crate::random::{actions, check};
use crate::replica::{Replica, evaluate, swept};
use crate::sound;
use crate::violation::{Violation, ensure};

const ACTORS: usize = 4;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// An actor runs one of the actions.
    Operate { actor: usize, action: usize },
    /// An actor receives a delta, maybe once more.
    Deliver { actor: usize, delta: usize },
    /// An actor takes in what another has of one of the actions' footprints, or of the whole key.
    JoinPartial { actor: usize, from: usize, action: Option<usize> },
    /// An actor takes in all of another's state at once.
    Join { actor: usize, from: usize },
    /// An actor sweeps some rows of a pending delete.
    Sweep { actor: usize, rows: usize },
    /// An actor begins to take in another's state, or goes on with what it has begun: so many rows are
    /// sent, and joined so many at a time.
    Transfer { actor: usize, from: usize, sent: usize, joined: usize },
    /// An actor gives a transfer up, or a part of it.
    Abandon { actor: usize, rows: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let actor = || 0..ACTORS;
    let any = || 0..1_000usize;
    let step = prop_oneof![
        4 => (actor(), any()).prop_map(|(actor, action)| Step::Operate { actor, action }),
        2 => (actor(), any()).prop_map(|(actor, delta)| Step::Deliver { actor, delta }),
        1 => (actor(), actor(), prop::option::of(any()))
            .prop_map(|(actor, from, action)| Step::JoinPartial { actor, from, action }),
        1 => (actor(), actor()).prop_map(|(actor, from)| Step::Join { actor, from }),
        1 => (actor(), 1..3usize).prop_map(|(actor, rows)| Step::Sweep { actor, rows }),
        8 => (actor(), actor(), 0..4usize, 1..4usize)
            .prop_map(|(actor, from, sent, joined)| Step::Transfer { actor, from, sent, joined }),
        1 => (actor(), 1..3usize).prop_map(|(actor, rows)| Step::Abandon { actor, rows }),
    ];
    prop::collection::vec(step, 40..100)
}

/// A delta that only removes, its event dot, and the dots that it removed where it was made.
struct Removal {
    event: Dot,
    removed: Vec<Dot>,
}

#[derive(Default)]
struct World {
    replicas: [Replica; ACTORS],
    /// From whom each actor's transfer is.
    from: [usize; ACTORS],
    deltas: Vec<Delta>,
    removals: Vec<Removal>,
    full: State,
    /// How many transfers were completed.
    completed: usize,
}

fn live(state: &State) -> Vec<(Address, Dot)> {
    let root = state.root().cloned().unwrap_or_default();
    let residents = [Address::REGISTER, Address::EXPIRY];
    let residents = residents.map(|address| (root.resident(address.kind).clone(), address));
    let rows = state.cells().iter().map(|(address, cell)| (cell.clone(), address.clone()));
    let rows = residents.into_iter().chain(rows);
    let dots = rows.flat_map(|(cell, address)| {
        let dots: Vec<Dot> = cell.dots().iter().map(|(dot, _)| *dot).collect();
        dots.into_iter().map(move |dot| (address.clone(), dot))
    });
    dots.collect()
}

/// The next chunk that a replica sends, of so many rows.
fn chunk(from: &State, after: Option<&Address>, rows: usize) -> (Partial, Address) {
    let rest = Footprint::between(after, &Address::EXPIRY);
    let mut addresses = rest.ranges.iter().flat_map(|range| from.scan(range, Direction::Forward));
    let upto = addresses.nth(rows).map_or(Address::EXPIRY, |(address, _)| address.clone());
    let partial = Partial::extract(from, &Footprint::between(after, &upto));
    let sent = decode_partial(&encode_partial(&partial).into());
    assert_eq!(sent.as_ref(), Ok(&partial), "chunks can be sent");
    (partial, upto)
}

fn cursor(state: &State) -> Option<Address> {
    state.root()?.transfer.as_ref()?.cursor.clone()
}

impl World {
    fn operate(&mut self, actor: usize, action: Action, late: bool) {
        let replica = &mut self.replicas[actor];
        let before = swept(&replica.state).into_owned();
        let operation = action.operation(&before);
        let evaluated = evaluate(&operation, &before, actor, &mut replica.clock, late);
        let Ok((_, delta)) = evaluated else { return };
        if delta.is_empty() {
            return;
        }
        replica.state.join_delta(&delta);
        let after = live(&swept(&replica.state));
        let seen = self.full.root().map(|root| root.context.clone()).unwrap_or_default();
        let minted: Vec<Dot> =
            delta.context.cloud().iter().copied().chain(vector_dots(&delta)).collect();
        let minted: Vec<Dot> = minted.into_iter().filter(|dot| !seen.contains(*dot)).collect();
        if let [event] = minted[..]
            && !after.iter().any(|(_, dot)| *dot == event)
        {
            let removed = live(&before).into_iter().filter(|dot| !after.contains(dot));
            let removed = removed.map(|(_, dot)| dot).collect();
            self.removals.push(Removal { event, removed });
        }
        self.full.join_delta(&delta);
        self.deltas.push(delta);
    }

    fn transfer(&mut self, actor: usize, from: usize, sent: usize, joined: usize) {
        let state = &mut self.replicas[actor].state;
        if state.root().is_none_or(|root| root.transfer.is_none()) {
            let sender = &self.replicas[from].state;
            let context = sender.root().map(|root| root.context.clone()).unwrap_or_default();
            let state = &mut self.replicas[actor].state;
            state.apply(begin_transfer(state, &context));
            self.from[actor] = from;
            return;
        }
        if cursor(state) == Some(Address::EXPIRY) {
            state.apply(complete_transfer(state));
            self.completed += 1;
            return;
        }
        let (chunk, upto) = chunk(
            &self.replicas[self.from[actor]].state,
            cursor(&self.replicas[actor].state).as_ref(),
            sent,
        );
        let state = &mut self.replicas[actor].state;
        while cursor(state).as_ref() != Some(&upto) {
            let changes = join_transferred(state, &chunk, &upto, joined).expect("it is next");
            assert!(changes.cells.len() <= joined, "a chunk and the root");
            state.apply(changes);
        }
    }

    fn step(&mut self, step: Step, actions: &[Action], late: bool) -> usize {
        let action = |n: usize| actions[n % actions.len()];
        match step {
            Step::Operate { actor, action: n } => {
                self.operate(actor, action(n), late);
                actor
            }
            Step::Deliver { actor, delta } => {
                if let Some(delta) = self.deltas.get(delta % self.deltas.len().max(1)) {
                    self.replicas[actor].state.join_delta(delta);
                }
                actor
            }
            Step::JoinPartial { actor, from, action: n } => {
                let from = &self.replicas[from].state;
                let footprint = n.map(|n| action(n).operation(from).footprint());
                let footprint = footprint.unwrap_or_else(Footprint::whole);
                let partial = Partial::extract(from, &footprint);
                self.replicas[actor].state.join_partial(&partial);
                actor
            }
            Step::Join { actor, from } => {
                let from = self.replicas[from].state.clone();
                self.replicas[actor].state.join(&from);
                actor
            }
            Step::Sweep { actor, rows } => {
                let state = &mut self.replicas[actor].state;
                state.apply(sweep(state, rows));
                actor
            }
            Step::Transfer { actor, from, sent, joined } => {
                self.transfer(actor, from, sent, joined);
                actor
            }
            Step::Abandon { actor, rows } => {
                let state = &mut self.replicas[actor].state;
                state.apply(abandon_transfer(state, rows));
                actor
            }
        }
    }

    /// What must hold of every replica at any time.
    fn laws(&self, actor: usize) -> Result<(), Violation> {
        let state = &*swept(&self.replicas[actor].state);
        sound::state(state)?;
        let told = || format!("{state:?}\n  full {:?}", self.full);
        if let Some(root) = state.root() {
            let decoded = decode_root(&encode_root(root).into());
            ensure(decoded.as_ref() == Ok(root), "roots can be stored", told)?;
            self.removed_stays_removed(root, state)?;
        }
        let full = swept(&self.full);
        let mut taught = full.clone().into_owned();
        taught.join(state);
        taught.sweep();
        ensure(taught == *full, "what a replica says of itself is no news", told)?;
        let mut learnt = state.clone();
        abandon_all(&mut learnt, 2);
        learnt.join(&full);
        learnt.sweep();
        ensure(learnt == *full, "nothing is hidden from a replica", told)
    }

    /// No cell shows what was removed, if its replica claims to have seen the removal there.
    fn removed_stays_removed(&self, root: &Root, state: &State) -> Result<(), Violation> {
        for (address, dot) in live(state) {
            let transferred = root.transfer.as_ref().filter(|t| t.has_passed(&address));
            let knows = |event: Dot| {
                root.context.contains(event)
                    || transferred.is_some_and(|transfer| transfer.context.contains(event))
            };
            let mut removals = self.removals.iter();
            let removed = removals.any(|r| knows(r.event) && r.removed.contains(&dot));
            ensure(!removed, "removed stays removed", || {
                format!("{dot} at {address:?}: {state:?}")
            })?;
        }
        Ok(())
    }

    /// Everyone receives every delta.
    fn converge_by_deltas(&mut self) {
        for actor in 0..ACTORS {
            let state = &mut self.replicas[actor].state;
            let (first, second) = self.deltas.split_at(self.deltas.len() / 2);
            second.iter().for_each(|delta| state.join_delta(delta));
            abandon_all(state, actor + 1);
            first.iter().for_each(|delta| state.join_delta(delta));
        }
        self.all_are_full();
    }

    /// Everyone takes in everyone's state, in chunks; what was begun is gone on with first.
    fn converge_by_transfers(&mut self) {
        for from in 0..ACTORS {
            for actor in 0..ACTORS {
                let before = self.completed;
                while self.completed == before {
                    self.transfer(actor, from, from, actor + 1);
                }
                self.laws(actor).unwrap_or_else(|violation| panic!("{violation}"));
            }
        }
        // A transfer that was under way took the place of one.
        for from in 0..ACTORS {
            for actor in 0..ACTORS {
                let before = self.completed;
                while self.completed == before {
                    self.transfer(actor, from, 1 + from, 3);
                }
            }
        }
        self.all_are_full();
    }

    fn all_are_full(&mut self) {
        let full = swept(&self.full).into_owned();
        for replica in &mut self.replicas {
            replica.state.sweep();
            assert_eq!(replica.state, full);
            assert_eq!(replica.state.digest(), full.digest());
        }
    }
}

fn vector_dots(delta: &Delta) -> impl Iterator<Item = Dot> {
    let vector = delta.context.vector().iter();
    vector.flat_map(|&(actor, upto)| (1..=upto).map(move |n| Dot::new(actor, n)))
}

fn abandon_all(state: &mut State, rows: usize) {
    while state.root().is_some_and(|root| root.transfer.is_some()) {
        state.apply(abandon_transfer(state, rows));
    }
}

fn run(steps: &[Step], actions: &[Action], by_deltas: bool) {
    let mut world = World::default();
    for (index, step) in steps.iter().enumerate() {
        let late = 3 * index > 2 * steps.len();
        let actor = world.step(*step, actions, late);
        world.laws(actor).unwrap_or_else(|violation| panic!("{violation}"));
    }
    if by_deltas { world.converge_by_deltas() } else { world.converge_by_transfers() }
}

#[test]
fn transfers_come_to_what_whole_joins_come_to() {
    let groups = actions();
    check(&(0..groups.len(), steps(), any::<bool>()), |(group, steps, by_deltas)| {
        run(&steps, &groups[group], by_deltas);
    });
}

#[test]
fn a_chunk_that_is_old_or_not_next_is_refused() {
    let mut world = World::default();
    let add = |element| Action::Add(SetKind::AddWins, element);
    world.operate(0, add(0), false);
    let (old, end) = chunk(&world.replicas[0].state, None, 9);
    let refused = |state: &State, chunk: &Partial, upto: &Address| {
        join_transferred(state, chunk, upto, 9).expect_err("refused")
    };
    let receiver = &world.replicas[1].state;
    assert_eq!(refused(receiver, &old, &end), TransferError::NotUnderWay);
    world.operate(0, add(1), false);
    world.operate(0, add(2), false);
    world.transfer(1, 0, 0, 1);
    let receiver = world.replicas[1].state.clone();
    assert_eq!(refused(&receiver, &old, &end), TransferError::TooOld);
    let (first, upto) = chunk(&world.replicas[0].state, None, 0);
    assert_eq!(refused(&receiver, &first, &end), TransferError::NotNext);
    let (last, _) = chunk(&world.replicas[0].state, Some(&upto), 9);
    assert_eq!(refused(&receiver, &last, &end), TransferError::NotNext);
    world.transfer(1, 0, 0, 1);
    let receiver = &world.replicas[1].state;
    assert_eq!(refused(receiver, &first, &upto), TransferError::NotNext);
    assert!(join_transferred(receiver, &last, &end, 9).is_ok());
}

/// It would name the transfer's dots by no context, and leave them.
#[test]
fn a_key_is_not_deleted_in_the_middle_of_a_transfer() {
    let mut world = World::default();
    for element in 0..3 {
        world.operate(0, Action::Add(SetKind::AddWins, element), false);
    }
    for _ in 0..2 {
        world.transfer(1, 0, 0, 1);
    }
    let state = &world.replicas[1].state;
    let operation = Action::Delete.operation(state);
    let evaluated = |cells: &State| {
        let evaluated = evaluate(&operation, cells, 1, &mut Clock::new(), false);
        evaluated.map(|(reply, _)| reply)
    };
    let on_partials = |cells: &State| {
        let footprint = operation.footprint();
        let mut partial = Partial::extract(&world.replicas[0].state, &footprint);
        partial.join(&Partial::extract(cells, &footprint)).expect("one footprint");
        let evaluated = evaluate(&operation, &partial, 1, &mut Clock::new(), false);
        evaluated.map(|(reply, _)| reply)
    };
    assert_eq!(evaluated(state), Err(OpError::NeedsWholeKey));
    assert_eq!(on_partials(state), Err(OpError::NeedsWholeKey));
    let mut given_up = state.clone();
    abandon_all(&mut given_up, 1);
    assert_eq!(evaluated(&given_up), Ok(Reply::flag(true)));
}

/// What the receiver's own context holds is dead then, what only the transfer's does is not.
#[test]
fn a_delete_that_did_not_see_what_a_transfer_brought_is_counted_by_its_sweep() {
    let mut world = World::default();
    let add = |element| Action::Add(SetKind::AddWins, element);
    world.operate(0, add(0), false);
    world.operate(0, add(1), false);
    for _ in 0..2 {
        world.transfer(2, 0, 0, 1);
    }
    world.operate(1, add(2), false);
    world.operate(1, Action::Delete, false);
    let state = &mut world.replicas[2].state;
    state.join_delta(&world.deltas[3]);
    assert!(state.root().expect("begun").is_counting());
    world.laws(2).unwrap_or_else(|violation| panic!("{violation}"));
    world.converge_by_transfers();
}

/// Historical bug 5, in transfers.
#[test]
fn contexts_claimed_with_the_first_chunk() {
    let (groups, histories) = (actions(), Cell::new(0));
    let seed = 2;
    // What is found need not be made shorter.
    let config = Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    let caught = with_mutant(Mutant::ContextClaimedTooEarly, || {
        TestRunner::new(config).run(&(0..groups.len(), steps()), |(group, steps)| {
            histories.update(|histories| histories + 1);
            run(&steps, &groups[group], true);
            Ok(())
        })
    });
    assert!(caught.is_err());
    eprintln!("ContextClaimedTooEarly: caught after {} histories, seed {seed}", histories.get());
}
