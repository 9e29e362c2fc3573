//! Laws of join: whatever the order, grouping and repetition, the same state.

use coterie_crdt::encoding::{encode_cell, encode_root};
use coterie_crdt::{Cells, Delta, State};

use crate::replica::swept;
use crate::violation::{Violation, ensure};

/// Deltas in reverse and repeated, and joined into one and into two before they are applied, give the
/// state that they give one by one.
pub(crate) fn of_deltas(deltas: &[Delta], full: &State) -> Result<(), Violation> {
    let told = || format!("{deltas:?}");
    let mut reversed = State::new();
    for delta in deltas.iter().rev() {
        reversed.join_delta(delta);
    }
    let repeated = &deltas[deltas.len() / 2];
    reversed.join_delta(repeated);
    ensure(*swept(&reversed) == *full, "deltas join in any order and repeated", told)?;
    let joined = |deltas: &[Delta]| {
        let mut joined = Delta::new();
        deltas.iter().rev().for_each(|delta| joined.join(delta));
        joined
    };
    let mut grouped = State::new();
    grouped.join_delta(&joined(deltas));
    ensure(*swept(&grouped) == *full, "joined deltas are as their parts", told)?;
    let (first, second) = deltas.split_at(deltas.len() / 2);
    let mut split = State::new();
    split.join_delta(&joined(second));
    split.join_delta(&joined(first));
    ensure(*swept(&split) == *full, "deltas join in any grouping", told)
}

/// States join associatively, commutatively, idempotently and only upwards, all of them to the state
/// that all deltas give; equal states have equal digests and bytes, others have others.
pub(crate) fn of_states(states: [&State; 3], actor: usize, full: &State) -> Result<(), Violation> {
    let told = || format!("{states:?}\n  full {full:?}");
    let join = |left: &State, right: &State| {
        let mut joined = left.clone();
        joined.join(right);
        joined.sweep();
        joined
    };
    let [a, b, c] = states;
    let (ab, ba, bc) = (join(a, b), join(b, a), join(b, c));
    ensure(ab == ba, "join is commutative", || format!("{ab:?}\n  and {ba:?}"))?;
    ensure(join(&ab, c) == join(a, &bc), "join is associative", told)?;
    ensure(join(c, &ab) == *full, "joined states are as all deltas", told)?;
    let own = swept(states[actor]);
    ensure(join(states[actor], states[actor]) == *own, "join is idempotent", told)?;
    ensure(join(full, &own) == *full, "join is inflationary", told)?;
    for other in [&ab, &bc, &*own] {
        let equal = other == full;
        ensure((other.digest() == full.digest()) == equal, "digests tell states apart", told)?;
        ensure(same_bytes(other, full) == equal, "bytes tell states apart", told)?;
    }
    Ok(())
}

fn same_bytes(left: &State, right: &State) -> bool {
    let bytes = |state: &State| state.root().map(encode_root);
    let cells = |state: &State| {
        let encoded = |(address, cell): (_, _)| (Clone::clone(address), encode_cell(cell));
        state.cells().iter().map(encoded).collect::<Vec<_>>()
    };
    bytes(left) == bytes(right) && cells(left) == cells(right)
}
