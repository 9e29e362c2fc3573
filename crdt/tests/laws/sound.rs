//! Laws of single states and deltas: what must hold of each, whatever came before.

use std::collections::BTreeSet;

use coterie_crdt::digest::{dots_digest, root_digest, tallies_digest};
use coterie_crdt::{Address, COUNTED_KINDS, Cell, Cells, Context, Delta, Dot, State};

use crate::violation::{Violation, ensure};

/// A delta claims exactly what it adds or removes: a dot that nobody had, and no more than one cell for
/// each of its dots; its tallies are sound and its stamps above those observed, those it deletes included.
pub(crate) fn delta(delta: &Delta, observed: &State, known: &Context) -> Result<(), Violation> {
    let told = || format!("{delta:?}\n  on {observed:?}");
    ensure(!known.covers(&delta.context), "every delta has a dot of its own", told)?;
    let mut dots = BTreeSet::new();
    for (address, cell) in delta.cells() {
        let before = row(observed, address).and_then(Cell::time);
        for (dot, payload) in cell.dots() {
            ensure(dots.insert(*dot), "a dot lives in one cell only", told)?;
            ensure(delta.context.contains(*dot), "live dots are in the context", told)?;
            ensure(!known.contains(*dot), "a dot is minted once", told)?;
            let above = payload.time().is_none() || before < payload.time();
            ensure(above, "a stamp is above those observed", told)?;
        }
        for (_, tally) in cell.tallies() {
            ensure(tally.is_sound(address.kind.unit()), "tallies are sound", told)?;
        }
    }
    Ok(())
}

/// A swept state: its dots are in its context and in one cell each, its tallies sound, and its sums and
/// counts those of its rows.
pub(crate) fn state(state: &State) -> Result<(), Violation> {
    let told = || format!("{state:?}");
    let Some(root) = state.root() else {
        return ensure(state.cells().is_empty(), "no rows without a root", told);
    };
    let mut dots: Vec<Dot> = Vec::new();
    let (mut dots_sum, mut tallies_sum, mut tallied) = (0u128, 0u128, 0);
    for (address, cell) in rows(state) {
        let transferred = root.transfer.as_ref().filter(|transfer| transfer.has_passed(address));
        for (dot, _) in cell.dots() {
            let seen = root.context.contains(*dot)
                || transferred.is_some_and(|transfer| transfer.context.contains(*dot));
            ensure(seen, "live dots are in the context", told)?;
            ensure(!dots.contains(dot), "a dot lives in one cell only", told)?;
            dots.push(*dot);
        }
        for (_, tally) in cell.tallies() {
            ensure(tally.is_sound(address.kind.unit()), "tallies are sound", told)?;
        }
        if !address.kind.lives_in_root() {
            ensure(!cell.is_empty(), "empty cells are not stored", told)?;
            dots_sum = dots_sum.wrapping_add(dots_digest(address, cell));
            tallies_sum = tallies_sum.wrapping_add(tallies_digest(address, cell));
            tallied += u64::from(cell.has_standing_tallies());
        }
    }
    let digest = dots_sum.wrapping_add(tallies_sum).wrapping_add(root_digest(root));
    ensure(state.digest() == digest, "the digest is that of the rows", told)?;
    let rows = state.cells().len() as u64;
    let deadlined = state.cells().iter().filter(|(_, cell)| cell.has_deadline()).count() as u64;
    let counted = root.counts.rows == rows
        && root.counts.tallied == tallied
        && root.counts.deadlined == deadlined;
    ensure(counted, "counts are those of the rows", told)?;
    let derived = State::from_rows(root.clone(), state.cells().clone());
    ensure(*state == derived, "derived rows are those of the rows", told)?;
    for kind in COUNTED_KINDS {
        let live = state.cells().iter().filter(|(a, cell)| a.kind == kind && cell.is_live(kind));
        ensure(
            root.counts.live(kind) == live.count() as u64,
            "counts are those of the rows",
            told,
        )?;
    }
    Ok(())
}

/// All cells with their addresses, those in the root first.
fn rows(state: &State) -> impl Iterator<Item = (&Address, &Cell)> {
    static RESIDENTS: [Address; 2] = [Address::REGISTER, Address::EXPIRY];
    let root = state.root();
    let resident = RESIDENTS.iter().filter_map(move |a| Some((a, root?.resident(a.kind))));
    resident.chain(state.cells())
}

fn row<'a>(state: &'a State, address: &Address) -> Option<&'a Cell> {
    if address.kind.lives_in_root() {
        return Some(state.root()?.resident(address.kind));
    }
    state.cell(address)
}
