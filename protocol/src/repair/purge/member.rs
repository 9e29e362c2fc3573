//! What every member does for a purge: it reports, confirms epochs and drops; and it heeds epochs that others
//! are at.

use coterie_crdt::{Actors, Root};
use coterie_ring::NodeId;
use coterie_wire::peer::purge::{Remains, Said};
use coterie_wire::{Message, RequestId, Slice};

use super::{remains_of, said};
use crate::digests::Tree;
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::lane::slices::store_epoch;
use crate::mutants::{Mutant, mutant};
use crate::replica;
use crate::rows::Batch;
use crate::slice::{KnownEpoch, Reception, SliceState};

/// How many actors of a slice stay unspent: keys known under older ones go on under the current one.
const ACTORS_MAX: usize = 16;

/// How far ahead of this node an epoch may be: otherwise epochs could be used up (docs/decisions/0250).
const EPOCH_JUMP: u64 = 1 << 32;

/// What a message of purges is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) slice: Slice,
    pub(super) from: NodeId,
    pub(super) request: RequestId,
    /// The epoch that it bears.
    pub(super) epoch: u64,
}

/// Whether this node's copy may take part: all of it is here, and nothing of it moves or waits for its end.
pub(super) fn takes_part(shared: &Shared, state: &SliceState) -> bool {
    state.is_received()
        && !state.replica.purge_frozen()
        && state.replica.sets().newest().contains(shared.me)
}

/// An owner reports which remains are the same here. Every member has confirmed the epoch of the proposal, so what is
/// older is refused from now on.
pub(super) fn report(
    shared: &mut Shared,
    about: About,
    proposed: &[Remains],
    roots: &[Option<Root>],
    effects: &mut Effects,
) {
    if proposed.len() != roots.len() || !settle(shared, about, effects) {
        return;
    }
    let same = proposed.iter().zip(roots);
    let same = same.map(|(proposed, root)| {
        let mine = remains_of(&proposed.key, root.as_ref());
        mine.as_ref() == Some(proposed) && shared.view.slice(&proposed.key) == Some(about.slice)
    });
    let reported = Said::Reported(same.collect());
    let answer = said(shared, about, reported);
    effects.send_after(After::Synced, about.from, Class::Bulk, answer);
}

/// An owner drops remains that are still the same: all members have confirmed the epoch.
pub(super) fn drop_remains(
    shared: &mut Shared,
    about: About,
    remains: &[Remains],
    roots: &[Option<Root>],
    effects: &mut Effects,
) {
    if remains.len() != roots.len() || !settle(shared, about, effects) {
        return;
    }
    drop_same(shared, about.slice, remains, roots, &mut effects.batch);
    let answer = said(shared, about, Said::Dropped);
    effects.send_after(After::Synced, about.from, Class::Bulk, answer);
}

/// Whether this node takes part at that very epoch; then every member has confirmed it, and what is older is
/// refused from now on.
pub(super) fn settle(shared: &mut Shared, about: About, effects: &mut Effects) -> bool {
    let takes = |state: &&SliceState| takes_part(shared, state) && state.epoch == about.epoch;
    if shared.slices.get(&about.slice).filter(takes).is_none() {
        return false;
    }
    if let Some(state) = shared.slices.get_mut(&about.slice)
        && state.epoch_min < state.epoch
    {
        state.epoch_min = state.epoch;
        state.store_epoch(&mut effects.batch);
    }
    true
}

/// Drops remains that are still the same, and takes them out of the leaves in the same batch (invariant 15).
pub(super) fn drop_same(
    shared: &mut Shared,
    slice: Slice,
    remains: &[Remains],
    roots: &[Option<Root>],
    batch: &mut Batch,
) {
    let partitioner = shared.view.decision.layout().partitioner();
    let Some(state) = shared.slices.get_mut(&slice) else { return };
    for (remains, root) in remains.iter().zip(roots) {
        let Some(root) = root else { continue };
        let same = remains_of(&remains.key, Some(root)).as_ref() == Some(remains);
        if same || mutant(Mutant::DropWithoutCompare) {
            let place = (partitioner, slice, &mut state.tree);
            replica::erase(&remains.key, place, Some(root), batch);
        }
    }
}

/// A member confirms an epoch once it keeps no older hint and has adopted it. One that cannot does not answer, and is
/// asked again.
pub(super) fn confirm(shared: &mut Shared, about: About, effects: &mut Effects) {
    if !may_confirm(shared, about.slice, about.epoch) {
        return;
    }
    if shared.epoch(about.slice) < about.epoch {
        match shared.slices.contains_key(&about.slice) {
            true => adopt(shared, about.slice, about.epoch, effects),
            false => remember(shared, about.slice, about.epoch, effects),
        }
    }
    let answer = said(shared, about, Said::Confirmed);
    effects.send_after(After::Synced, about.from, Class::Bulk, answer);
}

/// Whether this node can promise that nothing older than `epoch` comes from it any more.
pub(super) fn may_confirm(shared: &Shared, slice: Slice, epoch: u64) -> bool {
    let known = shared.epoch(slice);
    let near = known == epoch || known.checked_add(1) == Some(epoch);
    let here = match shared.slices.get(&slice) {
        Some(state) => near && takes_part(shared, state),
        None => known <= epoch && epoch - known <= EPOCH_JUMP,
    };
    let older = epoch.checked_sub(1).is_some_and(|older| shared.hints.has_any(slice, older));
    here && (!older || mutant(Mutant::PurgeWithHints))
}

/// An owner adopts an epoch: what is read from now on bears it, and new keys start under a new actor, which spends
/// none (DESIGN §4, "Minting").
pub(crate) fn adopt(shared: &mut Shared, slice: Slice, epoch: u64, effects: &mut Effects) {
    let actor = shared.draw_actor();
    let Some(state) = shared.slices.get_mut(&slice) else { return };
    // What is older is refused once every member has confirmed it, and not before: see `settle`.
    state.epoch = epoch;
    if !mutant(Mutant::DotReuseAfterPurge) {
        let mut unspent = state.actors.unspent().to_vec();
        unspent.push(actor);
        let kept = unspent.split_off(unspent.len().saturating_sub(ACTORS_MAX));
        state.actors = Actors::stored(kept).expect("at least the new one is kept");
    }
    state.store_epoch(&mut effects.batch);
    state.store_actors(&mut effects.batch);
}

/// A member that does not own the slice remembers its epoch, for the hints that it may come to keep.
pub(super) fn remember(shared: &mut Shared, slice: Slice, epoch: u64, effects: &mut Effects) {
    let settled = shared.settled(slice);
    shared.epochs.insert(slice, KnownEpoch { epoch, settled });
    store_epoch(slice, (epoch, settled), &mut effects.batch);
}

/// Another member knows that every member has confirmed an epoch: what is older is refused from now on.
///
/// Only so, and from rounds that this node takes part in, is that known. What a copy begins at is an epoch that some
/// have confirmed: a hint of an earlier one may be kept yet, that was counted (invariant 18).
pub(super) fn heed_settled(shared: &mut Shared, slice: Slice, settled: u64, effects: &mut Effects) {
    if settled <= shared.settled(slice) || settled > shared.epoch(slice) {
        return;
    }
    if let Some(state) = shared.slices.get_mut(&slice) {
        state.epoch_min = settled;
        state.store_epoch(&mut effects.batch);
    } else if let Some(known) = shared.epochs.get_mut(&slice) {
        known.settled = settled;
        store_epoch(slice, (known.epoch, settled), &mut effects.batch);
    }
}

/// A message bears a later epoch than this node is at.
///
/// One epoch ahead is a round under way: no key is dropped before this node has confirmed, so its copy is good, also where
/// it lacks something: what it had confirmed was synced, and is known unless the storage went back. So
/// is an empty copy, at whatever epoch. A copy that is further behind has missed rounds: it is of a backup, counts nowhere,
/// and is received afresh if the other owners are ahead of it, too (invariant 19).
pub(crate) fn heed(shared: &mut Shared, from: NodeId, message: &Message, effects: &mut Effects) {
    let Some(slice) = message.slice else { return };
    let known = shared.epoch(slice);
    let ahead = message.epoch.saturating_sub(known);
    // A node that the cluster has removed is asked for no confirmation: what it still has of the slice stays older.
    let is_member = |node| shared.view.decision.layout().member_index(node).is_some();
    if ahead == 0 || ahead > EPOCH_JUMP || !is_member(from) || !is_member(shared.me) {
        return;
    }
    let Some(state) = shared.slices.get(&slice) else {
        // Without hints there is nothing here that could be older. Where the epoch is not known it is to be learned from
        // one who knows this node as a member.
        let known = shared.epochs.contains_key(&slice);
        if known && !shared.hints.has_any(slice, message.epoch - 1) {
            remember(shared, slice, message.epoch, effects);
        }
        return;
    };
    let is_empty = state.tree == Tree::default();
    let remembers = !shared.view.went_back;
    match &state.reception {
        Reception::Dropping => {}
        _ if is_empty => adopt(shared, slice, message.epoch, effects),
        Reception::Whole | Reception::Afresh { .. } if ahead == 1 => {
            adopt(shared, slice, message.epoch, effects);
        }
        Reception::Amnesiac { .. } if ahead == 1 && remembers => {
            adopt(shared, slice, message.epoch, effects);
        }
        Reception::Whole => {
            let nothing = Reception::Amnesiac { synchronised: Vec::new() };
            shared.receive(slice, nothing, &mut effects.batch);
        }
        Reception::Amnesiac { .. } | Reception::Afresh { .. } => {}
    }
}
