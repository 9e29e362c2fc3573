//! Votes on strong keys after a loss: an owner that lost what it promised abstains until no proposal is left that
//! could count on it.
//!
//! A promise is in nobody's memory but the acceptor's, so synchronising with the other owners does not bring it back: a
//! proposal that was made before the loss could count a vote that is gone, or have one where another was promised.
//! Every message of a proposal bears the slice's purge epoch, and acceptors refuse any other than their own. So the
//! owner has all go on to a later epoch; once it has what every other owner has under that, none of them votes on what was
//! proposed before, and whatever they did vote for is here. That they have all of its own votes is not asked for: what
//! keeps them from taking them in may be a decision that waits for this very owner. Invariant 2; docs/decisions/0446 and
//! 0451.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_ring::{BucketKind, NodeId, Partition};
use coterie_wire::peer::amnesia::Reception as Said;
use coterie_wire::{Body, Message, RequestId, Slice};

use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::repair::{purge, sync};
use crate::slice::Votes;

/// How often a later epoch is asked for, or what others have.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The most slices that one step looks at.
const SLICES_PER_STEP: usize = 256;

/// The slices of a lane whose votes are to count again.
#[derive(Debug, Default)]
pub(super) struct Regained {
    asked: BTreeMap<Slice, Asked>,
    next: Option<Slice>,
}

/// What was asked for last, of one slice.
#[derive(Debug)]
struct Asked {
    at: Duration,
    /// Names what the other owners were asked; drawn anew each time.
    request: RequestId,
    /// Those that have answered that they are received, and at the epoch of this node.
    received: BTreeSet<NodeId>,
}

impl Regained {
    /// Does what is due.
    pub(super) fn step(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let from = self.next.take();
        let rest = shared.voteless.range(from.unwrap_or(FIRST)..).copied();
        let mut slices: Vec<Slice> = rest.take(SLICES_PER_STEP + 1).collect();
        if slices.len() > SLICES_PER_STEP {
            self.next = slices.pop();
        }
        for slice in slices {
            self.look_at(shared, slice, effects);
        }
        self.asked.retain(|slice, _| shared.voteless.contains(slice));
    }

    fn look_at(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let (me, now) = (shared.me, shared.now.monotonic);
        let has_strong_keys = has_strong_keys(shared, slice);
        let Some(state) = shared.slices.get_mut(&slice) else {
            shared.voteless.remove(&slice);
            return;
        };
        let Votes::Lost { from, met } = &state.votes else {
            shared.voteless.remove(&slice);
            return;
        };
        let (is_later, moves) = (state.epoch >= *from, state.replica.purge_frozen());
        let lacks = |owner: &NodeId| !is_later || !met.contains(owner);
        let lacking: Vec<NodeId> = state.others(me).filter(lacks).collect();
        if is_later && lacking.is_empty() {
            state.votes = Votes::Count;
            state.store_reception(&mut effects.batch);
            shared.voteless.remove(&slice);
            return;
        }
        let due = self.asked.get(&slice).is_none_or(|asked| now >= asked.at + ASK_AGAIN);
        if !has_strong_keys || !due {
            return;
        }
        let request = shared.draw_request();
        self.asked.insert(slice, Asked { at: now, request, received: BTreeSet::new() });
        if !is_later && !moves {
            return purge::ask_to_renew(shared, slice, effects);
        }
        for with in lacking {
            // It bears the epoch here, which the other goes on to.
            let ask = shared.message(request, slice, Body::Reception(Said::Ask));
            effects.send_after(After::Synced, with, Class::Bulk, ask);
            if is_later {
                let dirty = sync::Event::Dirty { slice, with };
                effects.lane(After::Written, crate::Event::Sync(dirty));
            }
        }
    }

    /// Another owner has answered that it has received the slice.
    ///
    /// Nothing is purged while owners change, and the move may wait for a vote of this node's. So it goes on to a later epoch by
    /// itself once all other owners have said that they are at the same as this node is: then none of them falls two behind.
    pub(super) fn received(
        &mut self,
        shared: &mut Shared,
        (slice, from): (Slice, NodeId),
        message: &Message,
        effects: &mut Effects,
    ) {
        let Some(state) = shared.slices.get(&slice) else { return };
        let Some(asked) = self.asked.get_mut(&slice) else { return };
        let Votes::Lost { from: first, .. } = &state.votes else { return };
        if asked.request != message.request
            || message.epoch != state.epoch
            || !state.is_received()
            || !state.replica.purge_frozen()
            || state.epoch >= *first
        {
            return;
        }
        asked.received.insert(from);
        if !state.others(shared.me).all(|owner| asked.received.contains(&owner)) {
            return;
        }
        let Some(next) = state.epoch.checked_add(1) else { return };
        purge::adopt(shared, slice, next, effects);
        self.asked.remove(&slice);
        self.look_at(shared, slice, effects);
    }
}

/// The first of all slices.
const FIRST: Slice = Slice { partition: Partition(0), replicas: 0 };

/// Whether keys of a slice may be strong ones. Of others nobody votes.
fn has_strong_keys(shared: &Shared, slice: Slice) -> bool {
    let mut buckets = shared.view.decision.layout().snapshot().buckets();
    buckets
        .any(|(_, policy)| policy.kind == BucketKind::Strong && policy.replicas == slice.replicas)
}
