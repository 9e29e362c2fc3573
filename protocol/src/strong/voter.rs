//! An owner's side of strong keys: its vote.

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_ring::register::Request;
use coterie_wire::peer::strong::{RegisterReply, RegisterRequest, Vote};
use coterie_wire::peer::write::WriteAnswer;
use coterie_wire::{Body, Key, Message, RequestId, Slice};

use super::Event;
use super::row::{self, Acceptor};
use super::value::StrongValue;
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::address::KeyPrefix;
use crate::rows::{Batch, Space};

/// Answers another node's request to this node's acceptor of a key.
pub(super) fn register(
    shared: &mut Shared,
    from: NodeId,
    message: Message,
    row: Option<Bytes>,
    effects: &mut Effects,
) {
    let (request, layout, epoch) = (message.request, message.layout, message.epoch);
    let (Some(slice), Body::Register(asked)) = (message.slice, message.body) else { return };
    note(shared, from, slice, (layout, epoch), effects);
    let reply = answer(shared, slice, (from, layout, epoch), *asked, row, &mut effects.batch);
    let body = Body::Registered(Box::new(reply));
    let answer = shared.message(request, slice, body);
    effects.send_after(After::Synced, from, Class::Requests, answer);
}

/// Counts a message that does not bear the owners and the purge epoch that this node knows.
fn note(
    shared: &mut Shared,
    from: NodeId,
    slice: Slice,
    (layout, epoch): (SetVersion, u64),
    effects: &mut Effects,
) {
    if let Some(state) = shared.slices.get(&slice)
        && let Err(refusal) = admit::exactly(state, layout, epoch)
    {
        admit::note(shared, from, refusal, effects);
    }
}

/// Answers this node's own proposal.
pub(super) fn own(
    shared: &mut Shared,
    request: RequestId,
    asked: RegisterRequest,
    row: Option<Bytes>,
    effects: &mut Effects,
) {
    let Some(slice) = shared.view.slice(&asked.key) else { return };
    let Some(state) = shared.slices.get(&slice) else { return };
    let said = (shared.me, state.replica.sets().tag(), state.epoch);
    let reply = answer(shared, slice, said, asked, row, &mut effects.batch);
    let event = Event::OwnReply { request, reply: Box::new(reply) };
    effects.lane(After::Synced, crate::Event::Strong(event));
}

fn answer(
    shared: &mut Shared,
    slice: Slice,
    (from, layout, epoch): (NodeId, SetVersion, u64),
    asked: RegisterRequest,
    row: Option<Bytes>,
    batch: &mut Batch,
) -> RegisterReply {
    let me = shared.me;
    let known_slice = shared.view.slice(&asked.key) == Some(slice);
    let Some(state) = shared.slices.get(&slice).filter(|_| known_slice) else {
        return RegisterReply::NotVoting;
    };
    let known = state.replica.sets().tag();
    if layout != known {
        return RegisterReply::OtherLayout { known };
    }
    // Who has lost votes, or is no part of the live sets, must not make up a majority (invariant 2).
    if !state.votes() || !state.replica.sets().owners().contains(&me) || state.epoch != epoch {
        return RegisterReply::NotVoting;
    }
    let Ok(mut acceptor) = row::decode(row.as_ref()) else { return RegisterReply::NotVoting };
    if let Request::Accept { value, .. } = &asked.request
        && StrongValue::decode(value).is_err()
    {
        return RegisterReply::NotVoting;
    }
    let before = row::digest(&acceptor);
    let answer = acceptor.handle(from, asked.request);
    if answer.persist {
        store(shared, slice, &asked.key, before, &acceptor, batch);
    }
    RegisterReply::Reply(answer.reply)
}

/// Takes in a vote that another owner cast.
pub(super) fn late_vote(
    shared: &mut Shared,
    from: NodeId,
    message: Message,
    row: Option<Bytes>,
    effects: &mut Effects,
) {
    let (request, layout, epoch) = (message.request, message.layout, message.epoch);
    let (Some(slice), Body::Vote(late)) = (message.slice, message.body) else { return };
    note(shared, from, slice, (layout, epoch), effects);
    let answer = match shared.slices.get(&slice) {
        None => WriteAnswer::NotOwner,
        Some(_) if shared.view.slice(&late.key) != Some(slice) => WriteAnswer::NotOwner,
        Some(state) if layout != state.replica.sets().tag() => {
            WriteAnswer::OtherLayout { known: state.replica.sets().tag() }
        }
        Some(state) if epoch < state.epoch => WriteAnswer::StaleEpoch { epoch: state.epoch },
        Some(state) if epoch > state.epoch => WriteAnswer::EpochAhead { epoch: state.epoch },
        Some(_) => match vote_row(row.as_ref(), late.vote) {
            Err(row::DamagedRow) => WriteAnswer::Damaged,
            Ok(learned) => {
                if let Some((before, acceptor)) = learned {
                    store(shared, slice, &late.key, before, &acceptor, &mut effects.batch);
                }
                WriteAnswer::Stored
            }
        },
    };
    let reply = shared.message(request, slice, Body::Wrote(answer));
    effects.send_after(After::Synced, from, Class::Bulk, reply);
}

/// What an acceptor's row becomes by a late vote, with the key's digest before it; `None` where it stays.
///
/// # Errors
/// [`row::DamagedRow`]
pub fn vote_row(
    row: Option<&Bytes>,
    vote: Vote,
) -> Result<Option<(u128, Acceptor)>, row::DamagedRow> {
    let mut acceptor = row::decode(row)?;
    if StrongValue::decode(&vote.value).is_err() {
        return Ok(None);
    }
    let before = row::digest(&acceptor);
    Ok(acceptor.learn(vote).then_some((before, acceptor)))
}

/// Writes an acceptor of a key of one of this lane's slices, whose digest was `before`.
///
/// # Panics
/// If the lane does not own the slice.
pub fn store(
    shared: &mut Shared,
    slice: Slice,
    key: &Key,
    before: u128,
    acceptor: &Acceptor,
    batch: &mut Batch,
) {
    let partitioner = shared.view.decision.layout().partitioner();
    let prefix = KeyPrefix::new(slice.partition, key);
    batch.put(Space::Rows, prefix.root(), row::encode(acceptor));
    let state = shared.slices.get_mut(&slice).expect("the caller found it");
    state.tree.replace(partitioner, slice, key, (before, row::digest(acceptor)), batch);
}
