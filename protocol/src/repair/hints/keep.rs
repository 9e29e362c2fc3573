//! Keeping a hint for another node that coordinates.

use coterie_ring::NodeId;
use coterie_wire::peer::hint::HintFor;
use coterie_wire::peer::write::{Durability, Write, WriteAnswer};
use coterie_wire::{Body, Message, Slice};

use super::of_key::KeyHints;
use super::row::{Header, Hint};
use super::store::HintsFull;
use crate::disk::{self, Purpose};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::replica::admit::{self, Refusal};
use crate::rows::{NotResident, ReadError, Rows};

/// What was found where a hint is to be kept.
#[derive(Debug)]
pub struct Found(Result<KeyHints, NotKept>);

/// Why none is kept.
#[derive(Debug)]
enum NotKept {
    /// The message is not taken.
    Refused(Refusal),
    /// The disk is too full.
    DiskFull,
}

/// Reads what a request for a hint needs.
pub(super) fn read(
    shared: &Shared,
    message: &Message,
    write: &Write,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let slice = match admit(shared, message, write) {
        Ok(slice) => slice,
        Err(refusal) => return Ok(Found(Err(NotKept::Refused(refusal)))),
    };
    if !disk::takes(rows, Purpose::Replication) {
        return Ok(Found(Err(NotKept::DiskFull)));
    }
    let mut newest = KeyHints::default();
    if let Some(HintFor { owner, .. }) = write.hint_for {
        newest = match shared.hints.newest(rows, (slice, &write.key), owner) {
            Ok(newest) => newest,
            Err(ReadError::NotResident(missing)) => return Err(missing),
            // What is damaged is found when it is to be delivered; nothing is joined with it.
            Err(_) => KeyHints::default(),
        };
    }
    Ok(Found(Ok(newest)))
}

/// A hint is taken whatever owners its sender knows, since those to whom it is brought are looked up then. But one of an
/// older purge epoch could bring back what was purged (invariant 19), and who may have lost hints, or is about to
/// go, is not counted on (invariants 2 and 18).
fn admit(shared: &Shared, message: &Message, write: &Write) -> Result<Slice, Refusal> {
    let slice = admit::place(shared, message, &write.key)?;
    let epoch = shared.epoch(slice);
    if message.epoch < epoch {
        return Err(Refusal::EpochStale { epoch });
    }
    if shared.view.amnesiac || shared.view.has_handed_over() {
        return Err(Refusal::NotReady { known: shared.view.live_sets(slice).tag() });
    }
    Ok(slice)
}

/// Keeps a hint and says so, once it is as durable as was asked (invariant 11).
pub(super) fn handle(
    shared: &mut Shared,
    from: NodeId,
    message: Message,
    found: Found,
    effects: &mut Effects,
) {
    let (Body::Write(write), Some(slice)) = (message.body, message.slice) else { return };
    let Write { key, change, hint_for: Some(HintFor { owner, worth }), durability, .. } = *write
    else {
        return;
    };
    let after = match durability {
        Durability::AsSet => After::Durable,
        Durability::Synced => After::Synced,
    };
    let body = match found.0 {
        Err(NotKept::Refused(refusal)) => {
            admit::note(shared, from, refusal, effects);
            refusal.to_write()
        }
        Err(NotKept::DiskFull) => Body::Wrote(WriteAnswer::Full),
        Ok(newest) => {
            let header = Header { worth, replicas: slice.replicas, epoch: message.epoch };
            let hint = Hint { header, change };
            match shared.hints.keep((slice, &key), owner, hint, &newest, effects) {
                Ok(()) => Body::Wrote(WriteAnswer::Hinted),
                Err(HintsFull) => Body::Wrote(WriteAnswer::Full),
            }
        }
    };
    if body == Body::Wrote(WriteAnswer::Full) {
        shared.counters.full += 1;
    }
    let answer = admit::answer(shared, message.request, slice, body);
    effects.send_after(after, from, Class::Requests, Message { trace: message.trace, ..answer });
}
