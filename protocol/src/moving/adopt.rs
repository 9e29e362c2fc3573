//! Slices follow the view: begun, told of their owners, and marked where something was lost.

use std::sync::Arc;

use coterie_crdt::Actor;
use coterie_ring::Partition;
use coterie_ring::moves::{self, LiveSets, Quorum, Replica};
use coterie_wire::Slice;

use super::{Event, Moving};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::slice::{Reception, SliceState};
use crate::view::View;

/// The most slices that one event begins or changes, of up to four control rows each.
const SLICES_PER_EVENT: usize = 128;

/// The most slices that one event compares with the view, without touching a row.
const COMPARED_PER_EVENT: usize = 8_192;

impl Shared {
    /// Finds what the storage's life says of what was loaded: actors of another life are spent (invariant 1), and
    /// in a life that began with a loss nothing counts that was received before (invariant 2).
    ///
    /// Stored by and by; until then every start comes to the same.
    pub(crate) fn recognise(&mut self, actors_spent: bool) {
        let of = self.view.incarnation;
        self.hints.actors.recognise(of, actors_spent);
        let slices: Vec<Slice> = self.slices.keys().copied().collect();
        for slice in slices {
            let actor = self.draw_actor();
            let Some(state) = self.slices.get_mut(&slice) else { continue };
            let spent = actors_spent || state.actors_of != of;
            if spent && !mutant(Mutant::ActorsSurviveLoss) {
                state.spend_actors(actor, of);
            }
            if self.view.amnesiac && state.reception_of != of {
                state.reception_of = of;
                if !mutant(Mutant::AmnesiacCounts) {
                    state.reception.begin_again();
                }
            }
            if !state.is_received() {
                self.unreceived.insert(slice);
            } else if !state.votes() {
                self.voteless.insert(slice);
            }
        }
    }
}

impl Moving {
    /// Control has another picture of the cluster. Where only liveness changed there is nothing to do.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let view = Arc::clone(&shared.view);
        let same = |seen: &Arc<View>| {
            Arc::ptr_eq(&seen.decision, &view.decision)
                && seen.incarnation == view.incarnation
                && seen.amnesiac == view.amnesiac
                && seen.skipped == view.skipped
                && seen.given_up == view.given_up
                && Arc::ptr_eq(&seen.overruled, &view.overruled)
        };
        if self.seen.as_ref().is_some_and(same) {
            return;
        }
        shared.recognise(false);
        let lost = |seen: &Arc<View>| {
            seen.incarnation != view.incarnation || seen.amnesiac != view.amnesiac
        };
        if self.seen.as_ref().is_some_and(lost) {
            self.stored.clear();
        }
        self.note_overruled(shared, effects);
        self.seen = Some(view);
        let first = self.adopting.is_none();
        self.adopting = Some(Partition(0));
        if first {
            self.adopt(shared, effects);
        }
        self.schedule(shared);
    }

    /// Goes on with taking in the view: some slices in one event.
    pub(super) fn adopt(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let Some(from) = self.adopting else { return };
        let view = Arc::clone(&shared.view);
        let partitions = view.decision.layout().partitioner().partitions();
        let (mut changed, mut compared) = (0, 0);
        for partition in partitions.skip(from.index()) {
            if !shared.is_mine(partition) {
                continue;
            }
            if changed >= SLICES_PER_EVENT || compared >= COMPARED_PER_EVENT {
                self.adopting = Some(partition);
                effects.lane(After::Written, Event::Adopt.into());
                return;
            }
            let counts = view.decision.layout().snapshot().replicas();
            for replicas in 1..=counts {
                let slice = Slice { partition, replicas };
                compared += 1;
                changed += usize::from(self.adopt_slice(shared, slice, &view, effects));
            }
            // No bucket asks for so many replicas any more, and none ever had: they are fixed.
            let first = Slice { partition, replicas: counts.saturating_add(1) };
            let last = Slice { partition, replicas: u8::MAX };
            if first <= last && counts < u8::MAX {
                let gone: Vec<Slice> = shared.slices.range(first..=last).map(|(s, _)| *s).collect();
                changed += gone.len();
                for slice in gone {
                    self.forget(shared, slice, effects);
                }
            }
        }
        self.adopting = None;
    }

    /// Whether anything was changed.
    fn adopt_slice(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        view: &View,
        effects: &mut Effects,
    ) -> bool {
        let sets = view.live_sets(slice);
        let is_owner = sets.owners().contains(&shared.me);
        let Some(state) = shared.slices.get(&slice) else {
            if is_owner {
                self.begin(shared, slice, sets, effects);
            }
            return is_owner;
        };
        let known = state.replica.sets();
        let was_owner = known.owners().contains(&shared.me);
        let missed = view.skipped.is_some_and(|skipped| known.tag() < skipped)
            && !sets.all().iter().any(|set| set.version == known.tag());
        let differs = *known != sets;
        let unstored = !self.stored.contains(&slice);
        let reception = &state.reception;
        if *reception == Reception::Dropping && !self.dropping.contains_key(&slice) {
            effects.lane(After::Written, Event::Drop { slice }.into());
        }
        let missed = is_owner && missed && *reception != Reception::Dropping;
        let again = is_owner && !was_owner;
        if missed {
            let nothing = Reception::Amnesiac { synchronised: Vec::new() };
            shared.receive(slice, nothing, &mut effects.batch);
        }
        let actor = fresh_actor(shared, slice);
        let of = view.incarnation;
        let Some(state) = shared.slices.get_mut(&slice) else { return false };
        if again || missed {
            state.spend_actors(actor, of);
        }
        if again || missed || unstored {
            state.store_actors(&mut effects.batch);
            state.store_reception(&mut effects.batch);
            self.stored.insert(slice);
        }
        let ends = !state.replica.sets().newest().contains(shared.me);
        let goes_on = sets.is_moving() || ends || self.is_overruled(slice);
        if differs || goes_on && !self.work.contains_key(&slice) {
            self.drive(shared, slice, moves::Event::Layout(sets), effects);
        }
        self.give_up(shared, slice, view, effects);
        differs || unstored
    }

    /// A slice that is new to this node.
    fn begin(&mut self, shared: &mut Shared, slice: Slice, sets: LiveSets, effects: &mut Effects) {
        let (actor, of) = (fresh_actor(shared, slice), shared.view.incarnation);
        let replica = Replica::new(shared.me, sets.clone(), Quorum::Majority);
        let mut state = SliceState::begin(slice, actor, of, replica);
        // That this node is at an epoch does not mean that every member has confirmed it: hints of an earlier one that
        // somebody keeps are still to be taken (invariant 18).
        if let Some(known) = shared.epochs.remove(&slice) {
            (state.epoch, state.epoch_min) = (known.epoch, known.settled);
        }
        if shared.view.amnesiac {
            // It may have been here, and what was lost may have been of it.
            state.reception = Reception::Amnesiac { synchronised: Vec::new() };
            shared.unreceived.insert(slice);
        }
        state.store(&mut effects.batch);
        shared.slices.insert(slice, state);
        self.stored.insert(slice);
        if sets.is_moving() {
            self.drive(shared, slice, moves::Event::Layout(sets), effects);
        }
    }

    /// Tells a replica that moves what an operator gave up.
    fn give_up(&mut self, shared: &mut Shared, slice: Slice, view: &View, effects: &mut Effects) {
        let Some(given_up) = view.given_up else { return };
        let Some(work) = self.work.get_mut(&slice) else { return };
        let tag = shared.slices.get(&slice).map(|state| state.replica.sets().tag());
        if work.given_up == Some(given_up) || tag.is_none_or(|tag| tag > given_up.version) {
            return;
        }
        work.given_up = Some(given_up);
        let quorum = Quorum::Count(given_up.owners);
        self.drive(shared, slice, moves::Event::WriteQuorum(quorum), effects);
    }
}

/// An actor for a copy that begins: never one that was minted under before (invariant 1).
pub(super) fn fresh_actor(shared: &mut Shared, slice: Slice) -> Actor {
    let actor = shared.draw_actor();
    if mutant(Mutant::DotReuseAfterReacquisition) {
        let node = u64::try_from(shared.me.0 & u128::from(u32::MAX)).unwrap_or(0);
        return Actor(node << 32 | u64::from(slice.partition.0) << 8 | u64::from(slice.replicas));
    }
    actor
}
