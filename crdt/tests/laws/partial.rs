//! Laws of partial states: over a footprint they evaluate as whole states would, and joining them
//! never makes an unseen add look removed.

use coterie_crdt::operation::OpError;
use coterie_crdt::{Cells, Clock, Delta, Footprint, Partial, State};

use crate::actions::Action;
use crate::replica::{Evaluated, evaluate, now, swept};
use crate::subject::Subject;
use crate::violation::{Violation, ensure};

/// Evaluates on two replicas' partial states joined and on the replicas joined: the same reply, and
/// deltas that do the same. `false` where the partial states could not tell what exists.
pub(crate) fn evaluates_as_whole(
    subject: &Subject,
    action: Action,
    mine: &State,
    theirs: &State,
    actor: usize,
    clock: &Clock,
    late: bool,
) -> Result<bool, Violation> {
    let mut whole = mine.clone();
    whole.join(theirs);
    whole.sweep();
    let operation = action.operation(&whole);
    let footprint = operation.footprint_over(mine.root(), now(actor, late));
    if !footprint.derived.is_empty() {
        return Ok(true);
    }
    let on_whole = evaluate(&operation, &whole, actor, &mut clock.clone(), late);
    let mut partial = joined(mine, theirs, &footprint);
    let mut on_partial = evaluate(&operation, &partial, actor, &mut clock.clone(), late);
    if on_partial == Err(OpError::NeedsTallies) {
        // That the key has expired, only the other replica knew.
        partial = joined(mine, theirs, &footprint.and(Footprint::tallied()));
        on_partial = evaluate(&operation, &partial, actor, &mut clock.clone(), late);
    }
    if on_partial == Err(OpError::NeedsWholeKey) {
        let expires = partial.root().is_some_and(|root| !root.expiry.is_empty());
        let allowed = subject.several_kinds || action.asks_what_exists() || expires;
        return ensure(allowed, "one type's operations evaluate on partial states", || {
            format!("{action:?} on {partial:?}")
        })
        .map(|()| false);
    }
    let agree = on_partial == on_whole || do_the_same(&on_partial, &on_whole, &whole);
    ensure(agree, "partial states evaluate as whole ones", || {
        format!("{action:?}: {on_partial:?}\n  and {on_whole:?}\n  on {partial:?}\n  and {whole:?}")
    })?;
    Ok(true)
}

fn joined(mine: &State, theirs: &State, footprint: &Footprint) -> Partial {
    let mut partial = Partial::extract(mine, footprint);
    partial.join(&Partial::extract(theirs, footprint)).expect("one footprint");
    partial
}

/// A delete that could not know that there are no rows claims more, to the same effect.
fn do_the_same(on_partial: &Evaluated, on_whole: &Evaluated, whole: &State) -> bool {
    let (Ok((reply, delta)), Ok((whole_reply, whole_delta))) = (on_partial, on_whole) else {
        return false;
    };
    let after = |delta: &Delta| {
        let mut after = whole.clone();
        after.join_delta(delta);
        after.sweep();
        after
    };
    reply == whole_reply && after(delta) == after(whole_delta)
}

/// A replica that takes in a partial state and only then all deltas is as any other.
pub(crate) fn mixed(
    footprint: &Footprint,
    states: [&State; 3],
    actor: usize,
    deltas: &[Delta],
    full: &State,
) -> Result<(), Violation> {
    let footprints = [footprint, &Footprint::whole()];
    let from = states[actor];
    for (step, footprint) in footprints.into_iter().enumerate() {
        let before = states[(actor + 1 + step) % 3];
        let mut mixed = before.clone();
        mixed.join_partial(&Partial::extract(from, footprint));
        tells_apart(&swept(before), &swept(&mixed))?;
        deltas.iter().rev().for_each(|delta| mixed.join_delta(delta));
        mixed.sweep();
        ensure(mixed == *full, "partial states hide no add", || {
            format!("{mixed:?}\n  not {full:?}\n  by {footprint:?} of {from:?}")
        })?;
    }
    Ok(())
}

/// What a replica has by now of what a delta changed brings all that the delta does, and nothing but what the replica
/// has.
pub(crate) fn renewed(
    from: &State,
    before: &State,
    deltas: &[Delta],
    full: &State,
) -> Result<(), Violation> {
    let after = |state: &State, deltas: &[&Delta]| {
        let mut after = state.clone();
        deltas.iter().for_each(|delta| after.join_delta(delta));
        after.sweep();
        after
    };
    let own = after(from, &[]);
    let joined = |delta: &&Delta| delta.whole.is_none() && after(from, &[delta]) == own;
    for delta in deltas.iter().filter(joined) {
        let cells = delta.cells().iter().map(|(address, _)| address.clone());
        let renewed = delta.renewed(&Partial::extract(from, &Footprint::cells(cells)));
        let told = || format!("{renewed:?}\n  of {delta:?}\n  at {from:?}\n  into {before:?}");
        let nothing_new = after(from, &[&renewed]) == own;
        ensure(nothing_new, "what is renewed is nothing new to whom it is of", told)?;
        let all = after(before, &[&renewed, delta]) == after(before, &[&renewed]);
        ensure(all, "what is renewed brings all of what it was", told)?;
        let rest: Vec<&Delta> = std::iter::once(&renewed).chain(deltas).collect();
        ensure(after(before, &rest) == *full, "what is renewed hides no add", told)?;
    }
    Ok(())
}

/// A partial state may change cells and leave the context as it is: digests cover both.
fn tells_apart(before: &State, after: &State) -> Result<(), Violation> {
    let told = || format!("{before:?}\n  and {after:?}");
    let equal = before == after;
    ensure((before.digest() == after.digest()) == equal, "digests tell states apart", told)
}
