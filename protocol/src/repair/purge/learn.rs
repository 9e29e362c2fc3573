//! How a member learns the purge epochs of slices that it does not own.
//!
//! A round asks those who are members. Whoever becomes one later, or has lost what it knew, could keep hints under an epoch
//! that is over, and all owners would refuse them for ever. So it stands in for owners only once one of them has told it
//! the epoch, under the same decision: every round that this owner takes part in from then on waits for this
//! node's word. (Invariants 18 and 19.)
//!
//! Likewise, who has begun to own a slice knows an epoch, but not that every member has confirmed it. It is told by an owner
//! that does; until then it takes what is older, too (docs/decisions/0450).

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::{Quorum, SetVersion};
use coterie_wire::peer::purge::Said;
use coterie_wire::{Incarnation, Slice};

use super::member::{About, heed_settled, remember};
use super::said;
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::Space;
use crate::rows::address::{self, SliceRow};
use crate::slice::SliceState;

/// The most owners that one event asks.
const ASKED_PER_EVENT: usize = 256;

/// How long owners have to answer before they are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// As [`ASK_AGAIN`], of an owner that asks others whether every member has confirmed the epoch that it is at: while a round
/// is under way they have not.
const ASK_SETTLED_AGAIN: Duration = Duration::from_secs(10);

/// How often it asks after [`ASK_AGAIN`] first.
const ASKED_SOON: u32 = 5;

/// Which epochs are still to be learned.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// Slices whose owners have not answered, and owned ones where it is not known whether every member has confirmed
    /// the epoch.
    unknown: BTreeSet<Slice>,
    /// The next to be asked about; none where all were, until it is time to ask again.
    next: Option<Slice>,
    again_at: Duration,
    /// When others are next asked about slices that this node owns.
    settled_at: Duration,
    /// How often they were since there was another picture of the cluster.
    asked_settled: u32,
    /// The decision under which it was found out which are unknown.
    decided: Option<SetVersion>,
    /// The life of the storage that began with a loss and has forgotten what it knew.
    forgot: Option<Incarnation>,
}

impl Learning {
    /// Control has another picture of the cluster: there may be other slices, and other owners.
    pub(super) fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let life = shared.view.incarnation;
        if shared.view.amnesiac && self.forgot != Some(life) {
            (self.forgot, self.decided) = (Some(life), None);
            for slice in std::mem::take(&mut shared.epochs).into_keys() {
                let row = address::slice_row(slice, SliceRow::Epoch);
                effects.batch.delete(Space::Control, row);
            }
        }
        let (layout, decided) = (shared.view.decision.layout(), shared.view.decision.version());
        (self.again_at, self.settled_at) = (shared.now.monotonic, shared.now.monotonic);
        self.asked_settled = 0;
        if self.decided == Some(decided) {
            return;
        }
        self.decided = Some(decided);
        self.unknown.clear();
        if layout.member_index(shared.me).is_some() {
            for partition in layout.partitioner().partitions().filter(|it| shared.is_mine(*it)) {
                let slices = (1..=layout.snapshot().replicas())
                    .map(|replicas| Slice { partition, replicas })
                    .filter(|slice| is_unknown(shared, slice));
                self.unknown.extend(slices);
            }
        }
        self.next = self.unknown.first().copied();
        self.go_on(shared, effects);
    }

    /// Asks about the next slices.
    pub(super) fn go_on(&mut self, shared: &mut Shared, effects: &mut Effects) {
        if self.next.is_none() && shared.now.monotonic >= self.again_at {
            self.unknown.retain(|slice| is_unknown(shared, slice));
            if shared.now.monotonic >= self.settled_at {
                self.asked_settled = self.asked_settled.saturating_add(1);
                let soon = self.asked_settled <= ASKED_SOON;
                let pause = if soon { ASK_AGAIN } else { ASK_SETTLED_AGAIN };
                self.settled_at = shared.now.monotonic + pause;
                let unsettled = |state: &&SliceState| state.epoch_min < state.epoch;
                let owned = shared.slices.values().filter(unsettled);
                self.unknown.extend(owned.map(|state| state.slice));
            }
            self.next = self.unknown.first().copied();
        }
        let Some(next) = self.next.take() else { return };
        let mut asked = 0;
        for slice in self.unknown.range((Bound::Included(next), Bound::Unbounded)).copied() {
            if asked == ASKED_PER_EVENT {
                self.next = Some(slice);
                return;
            }
            asked += usize::from(ask(shared, slice, effects));
        }
        self.again_at = shared.now.monotonic + ASK_AGAIN;
    }
}

fn is_unknown(shared: &Shared, slice: &Slice) -> bool {
    !shared.slices.contains_key(slice) && !shared.epochs.contains_key(slice)
}

/// Asks one of the owners, another one each time, if any is alive.
fn ask(shared: &mut Shared, slice: Slice, effects: &mut Effects) -> bool {
    let owners = shared.view.live_sets(slice).owners();
    let others = owners.into_iter().filter(|owner| *owner != shared.me);
    let live: Vec<NodeId> = others.filter(|owner| shared.view.is_live(*owner)).collect();
    let chosen = usize::try_from(shared.random()).unwrap_or(0).checked_rem(live.len());
    let Some(owner) = chosen.map(|chosen| live[chosen]) else { return false };
    let request = shared.draw_request();
    let about = About { slice, from: owner, request, epoch: 0 };
    effects.send(owner, Class::Bulk, said(shared, about, Said::Ask));
    true
}

/// An owner tells the epoch, if it has not lost what it knew, nor has yet to be brought the slice: then it may be at an
/// epoch that is long over.
pub(super) fn answer(shared: &Shared, about: About, effects: &mut Effects) {
    let counts = |state: &SliceState| {
        let (replica, retired) = (&state.replica, state.replica.status().retired);
        admit::counts(shared, state) && (retired || replica.may_coordinate(Quorum::Majority))
    };
    if shared.slices.get(&about.slice).is_some_and(counts) {
        effects.send(about.from, Class::Bulk, said(shared, about, Said::Told));
    }
}

/// An owner has told the epoch, and which one every member has confirmed.
pub(super) fn told(shared: &mut Shared, about: About, settled: u64, effects: &mut Effects) {
    let older = about.epoch.checked_sub(1);
    let keeps_older = older.is_some_and(|older| shared.hints.has_any(about.slice, older));
    if is_unknown(shared, &about.slice) && !keeps_older {
        remember(shared, about.slice, about.epoch, effects);
    }
    heed_settled(shared, about.slice, settled, effects);
}
