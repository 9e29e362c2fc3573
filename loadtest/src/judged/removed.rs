//! What the checkers cannot see without dots: that what was removed is gone.

use coterie_check::{Action, BucketKind, Cell, KeyHistory, Operation};

/// An element that was added once, acknowledged, then removed, acknowledged, is gone: where both were at levels whose
/// owners intersect, so that the removal has observed the add. How many such there were.
pub(crate) fn removed_stays_removed(key: &KeyHistory) -> Result<u64, String> {
    let replicas = key.bucket.replicas;
    let intersect = |one: &Operation, other: &Operation| {
        let owners =
            one.level.owners_min(replicas).saturating_add(other.level.owners_min(replicas));
        key.bucket.kind == BucketKind::Strict && owners > replicas
    };
    let mut count = 0;
    for add in key.operations.iter().filter(|operation| operation.is_done()) {
        let Action::Add { element } = &add.action else { continue };
        let removal = key.operations.iter().find(|it| {
            let removes = match &it.action {
                Action::Remove { element: removed } => removed == element,
                Action::Delete => true,
                _ => false,
            };
            removes && it.is_done() && add.precedes(it) && intersect(add, it)
        });
        let Some(removal) = removal else { continue };
        count += 1;
        let element = Cell::Element(element.clone());
        let holds = |state: &&coterie_check::FinalState| {
            state.cells.iter().any(|live| live.cell == element)
        };
        if let Some(state) = key.finals.iter().find(holds) {
            return Err(format!("{element} is back at owner {}: {add}; {removal}", state.owner.0));
        }
    }
    Ok(count)
}
