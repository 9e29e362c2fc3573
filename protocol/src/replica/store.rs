//! Storing: what other nodes send enters the rows, and is acknowledged once it is durable.

use std::time::Duration;

use coterie_crdt::{Cells, Root};
use coterie_ring::NodeId;
use coterie_ring::moves::Quorum;
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::{Body, Message, RequestId, Slice};

use super::{Finding, Stored, admit, apply};
use crate::disk::{self, Purpose};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::rows::address::KeyPrefix;
use crate::rows::{ReadError, Rows};

/// The most cells that one event joins; what carries or covers more is joined in chunks.
pub(super) const CELLS_MAX: usize = 480;

/// What a write finds here.
pub(super) fn find(
    shared: &Shared,
    from: NodeId,
    message: &Message,
    write: &Write,
    rows: &impl Rows,
) -> Result<Finding, ReadError> {
    if message.time_left == Some(Duration::ZERO) {
        return Ok(Finding::NotStored(WriteAnswer::Expired));
    }
    let slice = match admit::write(shared, from, message, &write.key) {
        Ok(state) => state.slice,
        Err(refusal) => return Ok(Finding::Refused(refusal)),
    };
    if !disk::takes(rows, Purpose::Replication) {
        return Ok(Finding::NotStored(WriteAnswer::Full));
    }
    let prefix = KeyPrefix::new(slice.partition, &write.key);
    let carried = match &write.change {
        Change::Delta(delta) => delta.cells().len(),
        Change::Partial(partial) | Change::Whole(partial) => partial.cells().len(),
    };
    if carried > CELLS_MAX {
        return Ok(Finding::Join);
    }
    match Stored::fetch_to_join(rows, &prefix, &write.change, CELLS_MAX) {
        Ok(stored) => Ok(Finding::Store(Box::new(stored))),
        Err(ReadError::TooMany) => Ok(Finding::Join),
        Err(error) => Err(error),
    }
}

/// Joins a write in and acknowledges it.
pub(super) fn store(
    shared: &mut Shared,
    from: NodeId,
    about: (RequestId, Slice),
    write: &Write,
    stored: &mut Stored,
    effects: &mut Effects,
) {
    let applied = apply(shared, about.1, &write.key, stored, &write.change, effects);
    let same = is_same(shared, about.1, write, stored, applied.digest.1);
    acknowledge(shared, from, about, (write.durability, same), effects);
}

/// Whether the key, whose digest is `now`, has come to what the sender expects, and that counts as if it had been read here:
/// sums that wait for a sweep say nothing (invariants 2, 17).
fn is_same(shared: &Shared, slice: Slice, write: &Write, stored: &Stored, now: u128) -> bool {
    let counting = || stored.state.root().is_some_and(Root::is_counting);
    let answers = || {
        let state = shared.slices.get(&slice);
        state.is_some_and(|state| {
            admit::answers(shared, state, state.replica.sets().tag(), Quorum::All).is_ok()
        })
    };
    write.expects == Some(now) && !counting() && answers()
}

/// Acknowledges what was joined by this event, and by those before it, once it is as durable as was asked
/// (invariant 11).
pub(super) fn acknowledge(
    shared: &Shared,
    from: NodeId,
    about: (RequestId, Slice),
    (durability, same): (Durability, bool),
    effects: &mut Effects,
) {
    let (request, slice) = about;
    let counts = shared.slices.get(&slice).is_some_and(|state| admit::counts(shared, state));
    let answer = match counts {
        true if same => WriteAnswer::StoredSame,
        true => WriteAnswer::Stored,
        false => WriteAnswer::NotReceived,
    };
    let after = match durability {
        Durability::AsSet => After::Durable,
        Durability::Synced => After::Synced,
    };
    let message = shared.message(request, slice, Body::Wrote(answer));
    effects.send_after(after, from, Class::Requests, message);
}

/// Counts a write that was not stored.
pub(super) fn count(shared: &mut Shared, answer: WriteAnswer) {
    match answer {
        WriteAnswer::Full => shared.counters.full += 1,
        WriteAnswer::Expired => shared.counters.expired += 1,
        WriteAnswer::Stored
        | WriteAnswer::StoredSame
        | WriteAnswer::NotReceived
        | WriteAnswer::Hinted
        | WriteAnswer::Retired
        | WriteAnswer::OtherLayout { .. }
        | WriteAnswer::StaleEpoch { .. }
        | WriteAnswer::EpochAhead { .. }
        | WriteAnswer::NotOwner
        | WriteAnswer::Damaged => {}
    }
}
