//! A replica of a history: a real state, the clock that mints for it, and what it received.

use std::borrow::Cow;

use coterie_crdt::operation::{OpError, Operation, Reply};
use coterie_crdt::{Actor, Actors, Cells, Clock, Delta, Mint, Root, State};

use crate::model::Events;

/// Wall clocks of the actors: two that tie, and one behind.
pub(crate) const WALL_MILLIS: [u64; 5] = [1_000, 1_000, 900, 950, 1_000];
/// How much later a late operation runs: past [`DEADLINE`].
const LATE_MILLIS: u64 = 4_000;
/// When keys expire that are told to.
pub(crate) const DEADLINE: u64 = 2_000;

/// The wall clock of an actor, before or after [`DEADLINE`].
pub(crate) fn now(actor: usize, late: bool) -> u64 {
    WALL_MILLIS[actor] + if late { LATE_MILLIS } else { 0 }
}

/// What an evaluation gives.
pub(crate) type Evaluated = Result<(Reply, Delta), OpError>;

/// One replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) state: State,
    pub(crate) clock: Clock,
    pub(crate) received: Events,
}

/// The id under which an actor mints.
pub(crate) fn actor_id(actor: usize) -> Actor {
    Actor(actor as u64 + 1)
}

/// Evaluates an operation on any cells, as an actor would that has just these.
pub(crate) fn evaluate(
    operation: &Operation,
    cells: &impl Cells,
    actor: usize,
    clock: &mut Clock,
    late: bool,
) -> Evaluated {
    let known = cells.root().map(Root::minted).unwrap_or_default();
    let next = Actors::new(actor_id(actor)).next_dot(&known).expect("sequences are small");
    operation.evaluate(cells, &mut Mint::new(next, clock, now(actor, late), 7))
}

/// The state with its pending delete swept.
pub(crate) fn swept(state: &State) -> Cow<'_, State> {
    if state.root().is_none_or(|root| root.pending.is_none()) {
        return Cow::Borrowed(state);
    }
    let mut state = state.clone();
    state.sweep();
    Cow::Owned(state)
}
