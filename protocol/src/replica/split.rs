//! Splitting a delta that is larger than one event may touch.

use std::collections::BTreeSet;

use coterie_crdt::{Address, Cell, Context, Delta, Dot};

/// Dots of a context that are listed one by one at most: an honest delta has about as many as cells.
const DOTS_MAX: u64 = 1 << 20;

/// Deltas of at most `cells_max` cells that come to `delta`, in whatever order they are joined; `None` where
/// no operation makes such a delta.
///
/// Each names the dots it adds and all that the whole removes: a dot that is dead may be known to be before its cell
/// is reached, but one that lives must not (invariant 5).
///
/// # Panics
/// If `cells_max` is 0.
#[must_use]
pub fn split(delta: &Delta, cells_max: usize) -> Option<Vec<Delta>> {
    if delta.cells().len() <= cells_max {
        return Some(vec![delta.clone()]);
    }
    let live = |cells: &[&(Address, Cell)]| -> BTreeSet<Dot> {
        cells.iter().flat_map(|(_, cell)| cell.dots()).map(|(dot, _)| *dot).collect()
    };
    let mut cells: Vec<&(Address, Cell)> = delta.cells().iter().collect();
    let removed = without(&delta.context, &live(&cells))?;
    // In the order in which they were minted: if a crash leaves some only, their dots are one behind the other, and the
    // context has no gap that would never close.
    cells.sort_by_key(|(_, cell)| cell.dots().last().map(|(dot, _)| *dot));
    let chunks = cells.chunks_mut(cells_max).enumerate().map(|(at, cells)| {
        let mut context = removed.clone();
        context.extend(live(cells));
        let whole = if at == 0 { delta.whole.clone() } else { None };
        cells.sort_by_key(|(address, _)| address);
        Delta::from_parts(context, whole, cells.iter().map(|cell| (*cell).clone()))
    });
    chunks.collect()
}

/// The dots of `context` but for some; `None` where too many would have to be listed.
fn without(context: &Context, dots: &BTreeSet<Dot>) -> Option<Context> {
    let mut vector = Vec::new();
    let mut cloud: Vec<Dot> = Vec::new();
    for &(actor, upto) in context.vector() {
        let gone = dots.range(Dot::new(actor, 1)..).next();
        let first = gone.filter(|dot| dot.actor == actor && dot.sequence <= upto);
        let below = first.map_or(upto, |dot| dot.sequence - 1);
        if below > 0 {
            vector.push((actor, below));
        }
        if upto - below > DOTS_MAX {
            return None;
        }
        cloud.extend((below + 1..=upto).map(|sequence| Dot::new(actor, sequence)));
    }
    cloud.extend(context.cloud());
    cloud.retain(|dot| !dots.contains(dot));
    cloud.sort_unstable();
    Context::from_parts(vector, cloud)
}
