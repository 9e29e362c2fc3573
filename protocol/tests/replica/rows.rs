//! What is derived from a key's rows, derived anew.

use bytes::Bytes;
use coterie_crdt::{Cells, Kind, Root, State};
use coterie_protocol::rows::address::KeyPrefix;

/// The addresses of all derived rows of a key, leaves aside.
pub(crate) fn derived(prefix: &KeyPrefix, state: &State) -> Vec<Bytes> {
    let mut rows = Vec::new();
    for (address, cell) in state.cells() {
        if let Some(score) = cell.score().filter(|_| address.kind == Kind::Scored) {
            rows.push(prefix.score(score, &address.path));
        }
        if cell.has_standing_tallies() {
            rows.push(prefix.tallied(address));
        }
        if let Some(deadline) = cell.deadline() {
            rows.push(prefix.field_deadline(deadline, &address.path));
        }
    }
    let deadline = state.root().and_then(|root| root.expiry.deadline());
    rows.extend(deadline.map(|at| prefix.deadline(at)));
    let unfinished = |root: &&Root| root.pending.is_some() || root.transfer.is_some();
    rows.extend(state.root().filter(unfinished).map(|_| prefix.unfinished()));
    rows
}
