//! Coordinating without owners: where none can be reached, a fallback answers from the hints it keeps.
//!
//! Only at level `any` and in sloppy buckets. What it mints is in its own hints, under an actor that is spent before the
//! first of them is deleted (invariant 1).

use coterie_crdt::{Dot, Mint, Partial};
use coterie_ring::NodeId;
use coterie_wire::peer::hint::Worth;
use coterie_wire::peer::read::{Read, ReadAnswer};
use coterie_wire::peer::write::{Change, Durability};
use coterie_wire::{Body, Message, Outcome, Unavailable};

use super::request::{About, Phase, Plan, UnderWay};
use super::store;
use super::write::{StandIn, Writing};
use super::{Coordinator, Event, Found, evaluate};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::repair::hints::{Header, Hint, KeyHints};
use crate::replica::{admit, show};

/// Whether this node may coordinate a request for owners that cannot be reached.
pub(super) fn may_stand_in(shared: &Shared, about: &About) -> bool {
    let Plan { sloppy, write, .. } = about.plan;
    let lets = sloppy || write.any && about.writes();
    // What is kept under an epoch that is over would be refused by all owners.
    let (slice, epochs, copies) = (about.slice, &shared.epochs, &shared.slices);
    let knows_epoch = epochs.contains_key(&slice) || copies.contains_key(&slice);
    let stays = !shared.view.amnesiac && !shared.view.has_handed_over();
    lets && stays && knows_epoch && !shared.owns(slice)
}

impl Coordinator {
    /// Coordinates a request on the hints that this node keeps of its key.
    pub(super) fn stand_in(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        hints: &KeyHints,
        effects: &mut Effects,
    ) {
        let about = &under_way.about;
        let (view, state) = (&shared.view, hints.state());
        let sets = view.live_sets(about.slice);
        let count = about.plan.read.count(view, sets.newest(), |_| false);
        if !about.writes() && count.need > 1 {
            return self.end(shared, under_way, Unavailable::Owners(count), effects);
        }
        let seen = coterie_crdt::Cells::root(&state).map(|root| root.context.clone());
        let (operations, session) = (&about.request.operations, &about.request.session);
        let observes = operations.iter().any(|it| !it.writes() || it.observes());
        // A write that does not see what every owner has is one that is concurrent with it, and as available.
        let needs = observes && !(session.everywhere && about.writes());
        if needs && !session.are_in(&seen.unwrap_or_default()) {
            return self.end(shared, under_way, Unavailable::Session, effects);
        }
        let drawn = shared.draw_actor();
        let actor = shared.hints.actors.of_or(about.slice, drawn, &mut effects.batch);
        let root = coterie_crdt::Cells::root(&state).cloned().unwrap_or_default();
        let first = Dot::new(actor, root.context.greatest(actor) + 1);
        let epoch = shared.epoch(about.slice);
        let mint = Mint::new(
            first,
            &mut shared.clock,
            shared.now.wall_millis,
            super::found::random(about.request.id),
        );
        let lifetime = shared.view.lifetime_millis(&about.request.key);
        let mint = mint.with_limits(shared.settings.limits).with_lifetime(lifetime);
        let mut evaluated = evaluate::on(&about.request, &state, mint, first, epoch);
        if evaluated.delta.is_empty() {
            let mut answered = evaluated.answered(Vec::new());
            answered.fallbacks.push(shared.me);
            let outcome = Outcome::Done(Box::new(answered));
            return self.respond(shared, &mut under_way, outcome, effects);
        }
        let change = Change::Delta(std::mem::take(&mut evaluated.delta));
        let Some(&owner) = sets.owners().first() else { return };
        let header = Header { worth: Worth::Counted, replicas: about.slice.replicas, epoch };
        let hint = Hint { header, change: change.clone() };
        let place = (about.slice, &about.request.key);
        // In the batch in which it is minted: a dot that is forgotten would be minted again.
        if shared.hints.keep(place, owner, hint, hints, effects).is_err() {
            return self.end(shared, under_way, Unavailable::HintsFull, effects);
        }
        let mut writing = Box::new(Writing {
            sets,
            change,
            epoch,
            durability: Durability::AsSet,
            stored_here: false,
            confirmation: None,
            owners: Default::default(),
            answered: Box::new(evaluated.answered(Vec::new())),
        });
        store::begin(shared, about, &mut writing);
        if let Some(first) = writing.owner(owner) {
            first.stand_in = Some(StandIn { node: shared.me, keeps: false });
        }
        store::send_to_open(shared, about, &mut writing, effects);
        let stored = Event::Stored { request: about.id, committed: 0 };
        effects.lane(After::Durable, crate::Event::Coordinator(stored));
        under_way.phase = Phase::Writing(writing);
        self.table.put(under_way);
    }

    /// Shows what this node keeps of a key for owners, to a coordinator in a sloppy bucket.
    pub(super) fn show_hints(
        &self,
        shared: &Shared,
        (from, message): (NodeId, &Message),
        read: &Read,
        found: &Found,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        let mut answer = ReadAnswer::Damaged;
        if let Found::Hints(hints) = found {
            let shown = show::shown(&read.footprint);
            answer = ReadAnswer::State(Box::new(Partial::extract(&hints.state(), &shown)));
        }
        let answer = admit::answer(shared, message.request, slice, Body::Shown(answer));
        effects.send(from, Class::Requests, Message { trace: message.trace, ..answer });
    }
}
