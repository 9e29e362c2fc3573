//! Bugs that these laws found, each with the shortest history that shows it.

use coterie_crdt::operation::{FlagKind, OpError, Reply, SetKind};
use coterie_crdt::{Clock, Delta, Kind, Partial, State};

use crate::actions::Action;
use crate::replica::{DEADLINE, evaluate};

/// What an actor does to its replica, early.
fn run(state: &mut State, actor: usize, action: Action) -> (Reply, Delta) {
    let operation = action.operation(state);
    let evaluated = evaluate(&operation, state, actor, &mut Clock::new(), false);
    let (reply, delta) = evaluated.expect("evaluates");
    state.join_delta(&delta);
    (reply, delta)
}

fn on_partials(states: [&State; 2], action: Action) -> Result<Reply, OpError> {
    let operation = action.operation(states[0]);
    let [mut mine, theirs] = states.map(|state| Partial::extract(state, &operation.footprint()));
    mine.join(&theirs).expect("one footprint");
    evaluate(&operation, &mine, 2, &mut Clock::new(), false).map(|(reply, _)| reply)
}

/// A root without a dot was taken for empty, and tallies that a partial state had brought were lost.
#[test]
fn a_counter_that_was_reset_joins_into_an_empty_state() {
    let mut reset = State::new();
    run(&mut reset, 0, Action::Increment(1));
    run(&mut reset, 0, Action::GetDelete);
    let mut joined = State::new();
    joined.join(&reset);
    assert_eq!(joined, reset);
}

/// Where partial states could not tell whether the key was there, its expiry went to the next one.
#[test]
fn a_key_does_not_inherit_an_expiry_where_only_partial_states_are_at_hand() {
    let (mut empty, mut other) = (State::new(), State::new());
    run(&mut empty, 0, Action::Add(SetKind::AddWins, 0));
    run(&mut empty, 0, Action::ExpireAt(DEADLINE));
    run(&mut empty, 0, Action::Remove(SetKind::AddWins, 0));
    run(&mut other, 1, Action::Add(SetKind::AddWins, 1));
    let add = Action::Add(SetKind::AddWins, 0);
    assert_eq!(on_partials([&empty, &other], add), Err(OpError::NeedsWholeKey));
    run(&mut empty, 0, add);
    assert_eq!(run(&mut empty, 0, Action::ExpireTime).0, Reply::Integer(-1));
}

/// `SET` over another type deleted first, and stamped its value below the one deleted.
#[test]
fn a_write_after_a_delete_in_one_delta_is_stamped_above_what_it_deleted() {
    let mut state = State::new();
    let (_, added) = run(&mut State::new(), 1, Action::Add(SetKind::AddWins, 0));
    let (_, first) = run(&mut state, 0, Action::Set(0));
    state.join_delta(&added);
    // The third actor's clock is behind.
    let (_, second) = run(&mut state, 2, Action::Set(1));
    let time = |delta: &Delta| {
        let register = delta.cells().iter().find(|(address, _)| address.kind == Kind::Register);
        register.and_then(|(_, cell)| cell.time())
    };
    assert!(second.whole.is_some());
    assert!(time(&second) > time(&first));
}

/// Two cells that are not live join into one that is, which counts did not allow for.
#[test]
fn a_flag_that_only_the_joined_states_show_is_there_for_partial_states_too() {
    let (mut disabled, mut enabled) = (State::new(), State::new());
    let kind = FlagKind::DisableWins;
    let (_, disable) = run(&mut disabled, 0, Action::Disable(kind));
    enabled.join_delta(&disable);
    let (_, enable) = run(&mut enabled, 1, Action::Enable(kind));
    // It has the enabling and, from another actor, a disabling that the other replica saw replaced.
    let mut late = State::new();
    let (_, disable_too) = run(&mut late, 2, Action::Disable(kind));
    late.join_delta(&enable);
    let mut without = State::new();
    without.join_delta(&disable_too);
    run(&mut without, 0, Action::Enable(kind));
    run(&mut without, 0, Action::Delete);
    let mut joined = late.clone();
    joined.join(&without);
    joined.sweep();
    assert_eq!(run(&mut joined, 0, Action::Exists).0, Reply::flag(true));
    assert_eq!(run(&mut late, 0, Action::Exists).0, Reply::flag(false));
    assert_eq!(run(&mut without, 0, Action::Exists).0, Reply::flag(false));
    assert_eq!(on_partials([&late, &without], Action::Exists), Err(OpError::NeedsWholeKey));
}

/// Equal replicas' counts were raised though they were exact.
#[test]
fn a_disabled_flag_is_not_there_for_partial_states_of_equal_replicas() {
    let mut disabled = State::new();
    run(&mut disabled, 0, Action::Disable(FlagKind::DisableWins));
    assert_eq!(on_partials([&disabled, &disabled], Action::Delete), Ok(Reply::flag(false)));
}

/// `SET` on partial states deleted what might be there, expiry included, where there was nothing else.
#[test]
fn a_set_that_may_have_to_delete_other_types_does_not_guess_what_becomes_of_the_expiry() {
    let mut state = State::new();
    run(&mut state, 0, Action::Add(SetKind::AddWins, 0));
    run(&mut state, 0, Action::ExpireAt(DEADLINE));
    let stale = state.clone();
    run(&mut state, 0, Action::SetKeepingExpiry(0));
    assert_eq!(on_partials([&stale, &state], Action::Set(0)), Err(OpError::NeedsWholeKey));
    assert_eq!(run(&mut state, 1, Action::Set(0)).0, Reply::Done);
}
