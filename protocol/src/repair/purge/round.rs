//! A round of purge as its leader sees it. All of it is in memory: who takes over begins with the epoch that
//! there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_crdt::Root;
use coterie_ring::NodeId;
use coterie_wire::peer::purge::{Remains, Said};
use coterie_wire::{RequestId, Slice};

use super::member::{About, adopt, drop_same, may_confirm, settle, takes_part};
use super::{Event, Purges, members, remains_of, said};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::slice::SliceState;

/// How often a leader asks again those that have not answered.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How long a round may take before its leader gives it up. The epoch that was adopted stays.
const ROUND_MAX: Duration = Duration::from_secs(120);

/// The most rounds that one lane leads at a time.
const ROUNDS_MAX: usize = 8;

/// A round that has begun so long ago gives way to a renewal: what it waits for may be a member that confirms
/// nothing for an hour, and an owner that does not vote waits for the renewal.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(4);

/// One round.
#[derive(Debug)]
pub(super) struct Round {
    /// The epoch that it is in.
    epoch: u64,
    phase: Phase,
    /// Names its messages; answers to those of an earlier phase are of no use.
    request: RequestId,
    began: Duration,
    asked: Duration,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// All members are to confirm the epoch that there is: a round before was given up.
    Levelling { confirmed: BTreeSet<NodeId> },
    /// This node reads what it has of the keys found.
    Reading,
    /// The owners are to report.
    Proposed { remains: Vec<Remains>, reports: BTreeMap<NodeId, Vec<bool>> },
    /// All members are to confirm the new epoch.
    Adopting { remains: Vec<Remains>, confirmed: BTreeSet<NodeId> },
    /// The owners are to drop what is still the same; this one does in the same way.
    Dropping { remains: Vec<Remains>, dropped: BTreeSet<NodeId>, pass: u8 },
}

impl Round {
    /// What is to be dropped.
    pub(super) fn remains(&self) -> &[Remains] {
        match &self.phase {
            Phase::Dropping { remains, .. } => remains,
            Phase::Levelling { .. }
            | Phase::Reading
            | Phase::Proposed { .. }
            | Phase::Adopting { .. } => &[],
        }
    }
}

/// Who leads the purges of a slice: the first live owner does, and another one takes over.
fn leader(shared: &Shared, state: &SliceState) -> Option<NodeId> {
    let owners = &state.replica.sets().newest().members;
    owners.iter().find(|owner| shared.view.is_live(**owner)).copied()
}

/// Whether this node leads the purges of a slice.
pub(super) fn leads(shared: &Shared, slice: Slice) -> bool {
    let Some(state) = shared.slices.get(&slice) else { return false };
    takes_part(shared, state) && leader(shared, state) == Some(shared.me)
}

/// Asks for a later epoch of a slice that this node owns.
pub(crate) fn ask_to_renew(shared: &mut Shared, slice: Slice, effects: &mut Effects) {
    let Some(state) = shared.slices.get(&slice) else { return };
    let (leader, epoch) = (leader(shared, state), state.epoch);
    if leader == Some(shared.me) {
        effects.lane(After::Written, Event::Renew { slice }.into());
    } else if let Some(from) = leader {
        let about = About { slice, from, request: shared.draw_request(), epoch };
        let renew = said(shared, about, Said::Renew);
        effects.send(from, Class::Bulk, renew);
    }
}

impl Purges {
    /// Begins rounds, asks again, and gives up what takes too long or may not go on.
    pub(super) fn step_rounds(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let slices: Vec<Slice> = self.rounds.keys().copied().collect();
        for slice in slices {
            let round = &self.rounds[&slice];
            let epoch = shared.slices.get(&slice).map(|state| state.epoch);
            if epoch != Some(round.epoch) || !leads(shared, slice) || now > round.began + ROUND_MAX
            {
                self.end(shared, slice);
            } else if now >= round.asked + ASK_AGAIN {
                self.go_on(shared, slice, effects);
                self.ask(shared, slice, effects);
            }
        }
        self.renewals.retain(|slice| leads(shared, *slice));
        // A member that is down could not confirm; a renewal needs the owners only.
        let all_live = members(shared).all(|member| shared.view.is_live(member));
        if !all_live && self.renewals.is_empty() {
            return;
        }
        let unsettled = |state: &SliceState| state.epoch_min < state.epoch;
        let unsettled: Vec<Slice> = shared
            .slices
            .iter()
            .filter(|(_, state)| unsettled(state))
            .map(|(slice, _)| *slice)
            .collect();
        let renewals = self.renewals.iter().copied();
        let mut due: Vec<Slice> =
            self.candidates.slices().chain(unsettled).chain(renewals).collect();
        due.sort_by_key(|slice| self.ended.get(slice).copied());
        for slice in due {
            let rested = |at: &Duration| now >= *at + shared.settings.purge_pause;
            let due = all_live && self.ended.get(&slice).is_none_or(rested);
            if (due || self.renewals.contains(&slice))
                && !self.rounds.contains_key(&slice)
                && leads(shared, slice)
                && self.make_room(shared, slice)
            {
                self.begin(shared, slice, effects);
            }
        }
    }

    /// Whether another round may begin. One that is given up stays at the epoch that was adopted.
    fn make_room(&mut self, shared: &Shared, slice: Slice) -> bool {
        if self.rounds.len() < ROUNDS_MAX {
            return true;
        }
        if !self.renewals.contains(&slice) {
            return false;
        }
        let oldest = self.rounds.iter().min_by_key(|(_, round)| round.began);
        let gives_way = |round: &Round| shared.now.monotonic >= round.began + GIVES_WAY_AFTER;
        let Some(other) = oldest.filter(|(_, round)| gives_way(round)).map(|(slice, _)| *slice)
        else {
            return false;
        };
        self.end(shared, other);
        true
    }

    fn begin(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let Some(state) = shared.slices.get(&slice) else { return };
        let (mut epoch, settled) = (state.epoch, state.epoch_min == state.epoch);
        let phase = if !settled {
            Phase::Levelling { confirmed: BTreeSet::new() }
        } else if self.renewals.remove(&slice) {
            // Nothing is dropped, so nothing has to be reported first.
            let Some(next) = epoch.checked_add(1) else { return };
            epoch = next;
            adopt(shared, slice, epoch, effects);
            Phase::Adopting { remains: Vec::new(), confirmed: BTreeSet::new() }
        } else {
            Phase::Reading
        };
        let now = shared.now.monotonic;
        let request = shared.draw_request();
        let reads = matches!(phase, Phase::Reading);
        self.rounds.insert(slice, Round { epoch, phase, request, began: now, asked: now });
        if reads {
            effects.lane(After::Written, Event::Propose { slice }.into());
        } else {
            self.ask(shared, slice, effects);
            self.go_on(shared, slice, effects);
        }
    }

    /// A slice is to go on to a later epoch.
    pub(super) fn renew(&mut self, shared: &Shared, slice: Slice) {
        let waits =
            |round: &Round| matches!(round.phase, Phase::Levelling { .. } | Phase::Adopting { .. });
        if leads(shared, slice) && self.rounds.get(&slice).is_none_or(waits) {
            self.renewals.insert(slice);
        }
    }

    fn end(&mut self, shared: &Shared, slice: Slice) {
        self.rounds.remove(&slice);
        self.ended.retain(|slice, _| shared.slices.contains_key(slice));
        self.ended.insert(slice, shared.now.monotonic);
    }

    /// Proposes what remains here, now that it was read. On disk before anybody is told.
    pub(super) fn propose(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        roots: &[Option<Root>],
        effects: &mut Effects,
    ) {
        let Some(round) = self.rounds.get_mut(&slice) else { return };
        let keys = self.candidates.take_of(slice);
        if !matches!(round.phase, Phase::Reading) {
            return;
        }
        // A key that was found since the rows were read waits for another round.
        let remains = keys.iter().zip(roots).filter_map(|(k, root)| remains_of(k, root.as_ref()));
        let remains: Vec<Remains> = remains.collect();
        if remains.is_empty() {
            return self.end(shared, slice);
        }
        round.phase = match mutant(Mutant::PurgeByClock) {
            true => Phase::Dropping { remains, dropped: BTreeSet::new(), pass: 0 },
            false => Phase::Proposed { remains, reports: BTreeMap::new() },
        };
        round.request = shared.draw_request();
        self.ask(shared, slice, effects);
        self.go_on(shared, slice, effects);
    }

    /// Asks those that have not answered.
    fn ask(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let Some(round) = self.rounds.get_mut(&slice) else { return };
        round.asked = shared.now.monotonic;
        let (me, request, epoch) = (shared.me, round.request, round.epoch);
        let others = |nodes: Vec<NodeId>| nodes.into_iter().filter(move |node| *node != me);
        let owners = owners(shared, slice);
        let (asked, what): (Vec<NodeId>, Said) = match &round.phase {
            Phase::Levelling { confirmed } | Phase::Adopting { confirmed, .. } => {
                let lacks = |node: &NodeId| !confirmed.contains(node);
                (others(members(shared).collect()).filter(lacks).collect(), Said::Adopt)
            }
            Phase::Reading => return,
            Phase::Proposed { remains, reports } => {
                let lacks = |node: &NodeId| !reports.contains_key(node);
                (others(owners).filter(lacks).collect(), Said::Propose(remains.clone()))
            }
            Phase::Dropping { remains, dropped, .. } => {
                if !dropped.contains(&me) {
                    effects.lane(After::Written, Event::Drop { slice }.into());
                }
                let lacks = |node: &NodeId| !dropped.contains(node);
                (others(owners).filter(lacks).collect(), Said::Drop(remains.clone()))
            }
        };
        for to in asked {
            let about = About { slice, from: to, request, epoch };
            // What this node says of itself is on disk first: its report, and the epoch that it adopted.
            let message = said(shared, about, what.clone());
            effects.send_after(After::Synced, to, Class::Bulk, message);
        }
    }

    /// Takes in an answer to what this round asks now.
    pub(super) fn answered(
        &mut self,
        shared: &mut Shared,
        about: About,
        said: &Said,
        effects: &mut Effects,
    ) {
        let Some(round) = self.rounds.get_mut(&about.slice) else { return };
        if round.request != about.request || round.epoch != about.epoch {
            return;
        }
        match (&mut round.phase, said) {
            (
                Phase::Levelling { confirmed } | Phase::Adopting { confirmed, .. },
                Said::Confirmed,
            ) => {
                confirmed.insert(about.from);
            }
            (Phase::Proposed { remains, reports }, Said::Reported(same))
                if same.len() == remains.len() =>
            {
                reports.insert(about.from, same.clone());
            }
            (Phase::Dropping { dropped, .. }, Said::Dropped) => {
                dropped.insert(about.from);
            }
            _ => return,
        }
        self.go_on(shared, about.slice, effects);
    }

    /// Goes on to the next phase where all have answered.
    fn go_on(&mut self, shared: &mut Shared, slice: Slice, effects: &mut Effects) {
        let me = shared.me;
        let renews = self.renewals.contains(&slice);
        let Some(round) = self.rounds.get_mut(&slice) else { return };
        let everybody = |confirmed: &BTreeSet<NodeId>| {
            let mut others = members(shared).filter(|member| *member != me);
            let others = others.all(|member| confirmed.contains(&member));
            others && may_confirm(shared, slice, round.epoch)
        };
        let owners = owners(shared, slice);
        let mut others = owners.iter().filter(|owner| **owner != me);
        let next = match &mut round.phase {
            Phase::Levelling { confirmed } if everybody(confirmed) => {
                Phase::Dropping { remains: Vec::new(), dropped: BTreeSet::new(), pass: 0 }
            }
            Phase::Proposed { remains, reports }
                if others.all(|owner| reports.contains_key(owner))
                    || mutant(Mutant::PurgeBeforeAllReports) =>
            {
                let same = |index: usize| reports.values().all(|report| report[index]);
                let mut index = 0;
                remains.retain(|_| {
                    index += 1;
                    same(index - 1)
                });
                if remains.is_empty() {
                    return self.end(shared, slice);
                }
                // (2): every owner has reported, from disk.
                let Some(epoch) = round.epoch.checked_add(1) else { return };
                adopt(shared, slice, epoch, effects);
                round.epoch = epoch;
                Phase::Adopting { remains: std::mem::take(remains), confirmed: BTreeSet::new() }
            }
            Phase::Adopting { remains, confirmed } if everybody(confirmed) => {
                let remains = std::mem::take(remains);
                Phase::Dropping { remains, dropped: BTreeSet::new(), pass: 0 }
            }
            // A member that still holds a copy of what it owned before confirms nothing until that is dropped: owners
            // that are all at an epoch go on without it.
            Phase::Levelling { confirmed } | Phase::Adopting { confirmed, .. }
                if renews && others.all(|owner| confirmed.contains(owner)) =>
            {
                let Some(epoch) = round.epoch.checked_add(1) else { return };
                let remains = if let Phase::Adopting { remains, .. } = &mut round.phase {
                    std::mem::take(remains)
                } else {
                    Vec::new()
                };
                adopt(shared, slice, epoch, effects);
                round.epoch = epoch;
                self.renewals.remove(&slice);
                Phase::Adopting { remains, confirmed: BTreeSet::new() }
            }
            Phase::Dropping { remains, dropped, pass }
                if owners.iter().all(|owner| dropped.contains(owner)) =>
            {
                // An owner that dropped early may have been sent the remains again by one that did not yet.
                if *pass == 1 || remains.is_empty() {
                    return self.end(shared, slice);
                }
                Phase::Dropping {
                    remains: std::mem::take(remains),
                    dropped: BTreeSet::new(),
                    pass: 1,
                }
            }
            Phase::Levelling { .. }
            | Phase::Reading
            | Phase::Proposed { .. }
            | Phase::Adopting { .. }
            | Phase::Dropping { .. } => return,
        };
        let waits = matches!(next, Phase::Dropping { pass: 1, .. });
        round.phase = next;
        round.request = shared.draw_request();
        round.asked = shared.now.monotonic;
        if !waits {
            self.ask(shared, slice, effects);
        }
    }

    /// Drops what this node has of the remains, as every other owner does.
    pub(super) fn drop_own(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        roots: &[Option<Root>],
        effects: &mut Effects,
    ) {
        let Some(round) = self.rounds.get_mut(&slice) else { return };
        let about = About { slice, from: shared.me, request: round.request, epoch: round.epoch };
        let Phase::Dropping { remains, dropped, .. } = &mut round.phase else { return };
        if remains.len() != roots.len() || !settle(shared, about, effects) {
            return;
        }
        drop_same(shared, slice, remains, roots, &mut effects.batch);
        dropped.insert(shared.me);
        self.go_on(shared, slice, effects);
    }
}

/// The owners of a slice in its only set: while several are live nothing is purged.
fn owners(shared: &Shared, slice: Slice) -> Vec<NodeId> {
    let state = shared.slices.get(&slice);
    state.map_or_else(Vec::new, |state| state.replica.sets().newest().members.to_vec())
}
