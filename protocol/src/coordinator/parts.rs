//! Committing what is more than one event may touch, or was evaluated on more: part by part.
//!
//! A reader may see some parts before the others. Nothing is sent before the last is committed, and nothing else is evaluated
//! to change the key until then: the next dot follows those of the parts that are here (invariant 1).

use std::collections::VecDeque;

use coterie_crdt::Delta;
use coterie_crdt::encoding::encode_delta;
use coterie_crdt::operation::Assigned;
use coterie_wire::peer::write::Change;
use coterie_wire::{Outcome, Refused, RequestId};

use super::confirm::{Basis, Confirmation};
use super::evaluate::Evaluated;
use super::found::{CELLS_MAX, DELTA_BYTES_MAX, Own};
use super::request::{About, Phase, Table, UnderWay};
use super::store::Committed;
use super::{Coordinator, Event, Found};
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::replica::{self, split};

/// What is left to be committed of a request.
#[derive(Debug)]
pub(super) struct Committing {
    parts: VecDeque<Change>,
    evaluated: Evaluated,
    /// The purge epoch that it was evaluated under.
    epoch: u64,
}

impl Coordinator {
    /// Commits what was evaluated and has it stored: at once where all that it changes is at hand.
    pub(super) fn commit(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        own: Own,
        mut evaluated: Evaluated,
        effects: &mut Effects,
    ) {
        let (slice, key) = (under_way.about.slice, &under_way.about.request.key);
        let epoch = shared.epoch(slice);
        if let Own::Small(mut stored) = own
            && evaluated.delta.cells().len() <= CELLS_MAX
        {
            let is_to_be_confirmed = matches!(under_way.about.basis, Basis::Own);
            let assigned = is_to_be_confirmed
                .then(|| Assigned::of(&evaluated.delta).expect("only assignments of strings are"));
            let change = Change::Delta(std::mem::take(&mut evaluated.delta));
            let applied = replica::apply(shared, slice, key, &mut stored, &change, effects);
            let confirmation = assigned.map(|it| Confirmation::new(applied.digest.1, it));
            let committed = Committed { change, epoch, here: true, confirmation };
            return self.committed(shared, under_way, evaluated, committed, effects);
        }
        let Some(parts) = parts(&evaluated.delta) else {
            let refused = Refused::TooLarge { bytes_max: DELTA_BYTES_MAX };
            return self.respond(shared, &mut under_way, Outcome::Refused(refused), effects);
        };
        self.committing.insert(key.clone());
        under_way.about.next_round();
        next(&under_way.about, effects);
        under_way.phase = Phase::Committing(Box::new(Committing { parts, evaluated, epoch }));
        self.table.put(under_way);
    }

    /// Commits the next part, and has all of it stored after the last.
    pub(super) fn commit_part(
        &mut self,
        shared: &mut Shared,
        request: RequestId,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take(request) else { return };
        let Phase::Committing(committing) = &mut under_way.phase else {
            return self.table.put(under_way);
        };
        let (about, epoch) = (&under_way.about, committing.epoch);
        let (slice, key) = (about.slice, &about.request.key);
        // State of one purge epoch is not joined into another (invariant 19).
        let may = shared.slices.get(&slice).is_some_and(|state| state.epoch == epoch);
        let mut here = false;
        match found {
            Found::Own(own) if may => {
                if let (Own::Small(mut stored), Some(part)) = (*own, committing.parts.pop_front()) {
                    replica::apply(shared, slice, key, &mut stored, &part, effects);
                    here = true;
                }
            }
            Found::Damaged => scrub::damaged(slice, key, effects),
            Found::Own(_)
            | Found::More(_)
            | Found::Gathered
            | Found::Changed
            | Found::Hints(_)
            | Found::Full
            | Found::TooMany
            | Found::Nothing => {}
        }
        if here && !committing.parts.is_empty() {
            next(about, effects);
            return self.table.put(under_way);
        }
        self.committing.remove(key);
        let phase = std::mem::replace(&mut under_way.phase, Phase::asleep());
        if let Phase::Committing(committing) = phase {
            let mut evaluated = committing.evaluated;
            let change = Change::Delta(std::mem::take(&mut evaluated.delta));
            let committed = Committed { change, epoch, here, confirmation: None };
            self.committed(shared, under_way, evaluated, committed, effects);
        }
    }
}

/// The changes that a delta is committed by; `None` where it is larger than what a message carries.
fn parts(delta: &Delta) -> Option<VecDeque<Change>> {
    if delta.cells().len() > CELLS_MAX && encode_delta(delta).len() as u64 > DELTA_BYTES_MAX {
        return None;
    }
    Some(split(delta, CELLS_MAX)?.into_iter().map(Change::Delta).collect())
}

fn next(about: &About, effects: &mut Effects) {
    let event = Event::Commit { request: about.id };
    effects.lane(After::Written, crate::Event::Coordinator(event));
}

impl Table {
    /// What is committed next of a request.
    pub(super) fn part(&self, request: RequestId) -> Option<(&About, &Change)> {
        let under_way = self.get(request)?;
        match &under_way.phase {
            Phase::Committing(committing) => Some((&under_way.about, committing.parts.front()?)),
            Phase::Forwarding(_) | Phase::Gathering(_) | Phase::Waiting(_) | Phase::Writing(_) => {
                None
            }
        }
    }
}
