//! Votes on strong keys after a loss: an owner that lost what it promised abstains until no proposal is left that
//! could count on it.
//!
//! A promise is in nobody's memory but the acceptor's, so synchronising with the other owners does not bring it back: a
//! proposal that was made before the loss could count a vote that is gone, or have one where another was promised.
//! Every message of a proposal bears the slice's purge epoch, and acceptors refuse any other than their own. So the
//! owner asks for a later epoch; once every other owner was found equal under that, none of them votes on what was
//! proposed before, and whatever they did vote for is here. Invariant 2; docs/decisions/0446.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::{BucketKind, Partition};
use coterie_wire::Slice;

use crate::effects::Effects;
use crate::lane::Shared;
use crate::repair::purge;
use crate::slice::Votes;

/// How often a later epoch is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// The most slices that one step looks at.
const SLICES_PER_STEP: usize = 256;

/// The slices of a lane whose votes are to count again.
#[derive(Debug, Default)]
pub(super) struct Regained {
    /// When a later epoch was asked for last.
    asked: BTreeMap<Slice, Duration>,
    next: Option<Slice>,
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
        if state.epoch >= *from {
            if state.others(me).all(|owner| met.contains(&owner)) {
                state.votes = Votes::Count;
                state.store_reception(&mut effects.batch);
                shared.voteless.remove(&slice);
            }
            return;
        }
        if has_strong_keys && self.asked.get(&slice).is_none_or(|at| now >= *at + ASK_AGAIN) {
            self.asked.insert(slice, now);
            purge::ask_to_renew(shared, slice, effects);
        }
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
