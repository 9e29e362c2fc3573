//! An owner's side of a listing: it shows which keys it has.

use coterie_ring::NodeId;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::listing::{Listing, ShowKeys};
use coterie_wire::{Body, Message};

use super::{Found, chunk};
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::{NotResident, Rows};

/// Reads what another owner asks to be shown.
pub(super) fn read(
    shared: &Shared,
    from: NodeId,
    message: &Message,
    show: &ShowKeys,
    rows: &impl Rows,
) -> Result<Found, NotResident> {
    let Ok(state) = admit::listing(shared, from, message, show) else { return Ok(Found::Nothing) };
    let (partition, wall) = (state.slice.partition, shared.now.wall_millis);
    chunk::read(partition, &show.bucket, (&show.from, show.keys_max), wall, rows)
}

/// Shows another owner which keys this one has.
pub(super) fn show(
    shared: &mut Shared,
    from: NodeId,
    message: &Message,
    show: &ShowKeys,
    found: Found,
    effects: &mut Effects,
) {
    let (id, Some(slice)) = (message.request, message.slice) else { return };
    let refusal = admit::listing(shared, from, message, show).err();
    let body = match (refusal, found) {
        (None, Found::Keys(own)) => Body::Listing(Box::new(Listing::Shown(own.show()))),
        // What it has not read it cannot show; another owner may.
        (None, Found::Nothing | Found::Damaged) => Body::Refused(PeerRefusal::NotReceived),
        (Some(refusal), _) => {
            admit::note(shared, from, refusal, effects);
            Body::Refused(refusal.to_peer())
        }
    };
    let answer = admit::answer(shared, id, slice, body);
    effects.send(from, Class::Requests, Message { trace: message.trace, ..answer });
}
