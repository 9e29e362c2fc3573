//! Having a write stored: committed here, sent to all other owners, given to fallbacks for those that do not
//! answer.

use std::time::Duration;

use coterie_crdt::Partial;
use coterie_ring::NodeId;
use coterie_ring::moves::{LiveSets, WriteAnswer as Given};
use coterie_wire::peer::hint::{HintFor, Worth};
use coterie_wire::peer::write::{Change, Durability, Write, WriteAnswer};
use coterie_wire::{Body, RequestId};

use super::confirm::{Confirmation, Confirmed};
use super::evaluate::Evaluated;
use super::request::{About, Phase, Table, UnderWay};
use super::write::{self, Owner, StandIn, Writing};
use super::{Coordinator, Event, Found};
use crate::effects::{After, Class, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::mutants::{Mutant, mutant};
use crate::repair::sync;
use crate::replica;

/// An owner that has not answered for so long, or for half of the client's time, is given a hint; so is a fallback
/// passed over for another.
const HINT_DELAY: Duration = Duration::from_secs(2);

/// How long one waits first that could not take a write yet: it, or this node, is about to learn of other owners or
/// of another purge epoch. Twice as long each time.
const AGAIN: Duration = Duration::from_millis(25);

/// What was committed of a request, or could not be.
pub(super) struct Committed {
    /// What it changes.
    pub(super) change: Change,
    /// The purge epoch that it was evaluated under.
    pub(super) epoch: u64,
    /// Whether it is in this node's rows.
    pub(super) here: bool,
    /// Who is to confirm what it rests on, where that is this node's rows.
    pub(super) confirmation: Option<Confirmation>,
}

impl Coordinator {
    /// What was evaluated is committed here, or could not be: has it stored.
    pub(super) fn committed(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        evaluated: Evaluated,
        committed: Committed,
        effects: &mut Effects,
    ) {
        let Committed { change, epoch, here, confirmation } = committed;
        let about = &under_way.about;
        let durability = match about.plan.synced {
            true => Durability::Synced,
            false => Durability::AsSet,
        };
        let after = match durability {
            _ if mutant(Mutant::AckBeforeSync) => After::Written,
            Durability::AsSet => After::Durable,
            Durability::Synced => After::Synced,
        };
        let mut writing = Box::new(Writing {
            sets: sets(shared, about),
            change,
            epoch,
            durability,
            stored_here: false,
            confirmation,
            owners: Default::default(),
            answered: Box::new(evaluated.answered(Vec::new())),
        });
        send_to_all(shared, about, &mut writing, effects);
        if here {
            let stored = Event::Stored { request: about.id, committed: 0 };
            effects.lane(after, crate::Event::Coordinator(stored));
        } else {
            writing.give(shared.me, Given::Failed);
            if let Some(me) = writing.owner(shared.me) {
                me.settled = true;
            }
        }
        under_way.phase = Phase::Writing(writing);
        self.write_on(shared, under_way, effects);
    }

    /// This node's own copy is as durable as it has to be.
    pub(super) fn stored(
        &mut self,
        shared: &mut Shared,
        request: RequestId,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take(request) else { return };
        if let Phase::Writing(writing) = &mut under_way.phase {
            if writing.owner(shared.me).is_some() {
                writing.stored_here = true;
                writing.give(shared.me, own_answer(shared, &under_way.about, writing));
            } else {
                // A fallback that coordinates has a hint for the first owner.
                let first = writing.owners.first_mut().and_then(|owner| owner.stand_in.as_mut());
                if let Some(first) = first.filter(|first| first.node == shared.me) {
                    first.keeps = true;
                }
            }
        }
        self.write_on(shared, under_way, effects);
    }

    /// A node answered what it was asked to store.
    pub(super) fn wrote(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: RequestId,
        answer: WriteAnswer,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take_current(message) else { return };
        let about = &mut under_way.about;
        if let Phase::Writing(writing) = &mut under_way.phase {
            about.answers.note(from, word(answer));
            take(shared, about, writing, (from, answer), effects);
        }
        self.write_on(shared, under_way, effects);
    }

    /// Answers once enough hold the write, and goes on until every owner has it or will without this write's doing.
    pub(super) fn write_on(
        &mut self,
        shared: &mut Shared,
        mut under_way: Box<UnderWay>,
        effects: &mut Effects,
    ) {
        let (about, now) = (&mut under_way.about, shared.now.monotonic);
        let Phase::Writing(writing) = &mut under_way.phase else {
            return self.table.put(under_way);
        };
        adopt_sets(shared, about, writing, effects);
        for owner in writing.due(now) {
            act(shared, about, writing, owner, effects);
        }
        if !under_way.origins.is_empty() {
            let is_enough = writing.is_enough(&shared.view, &about.plan);
            match writing.confirmed(&shared.view, &about.plan) {
                Confirmed::Yes if is_enough => {
                    let done = writing.done(shared.me);
                    self.respond(shared, &mut under_way, done, effects);
                }
                _ if about.deadline <= now => {
                    let unknown = writing.unknown(&shared.view, &about.plan);
                    self.respond(shared, &mut under_way, unknown, effects);
                }
                Confirmed::No => self.make_again(shared, &mut under_way, effects),
                Confirmed::Yes | Confirmed::Open => {}
            }
        }
        let Phase::Writing(writing) = &under_way.phase else { return };
        if under_way.origins.is_empty() && writing.is_settled() {
            self.table.over(&under_way);
        } else {
            self.table.put(under_way);
        }
    }

    /// A delta that is older than the slice's purge epoch is not tagged anew: what it changed is read again under the
    /// epoch in force, and that is sent (invariant 19).
    pub(super) fn renew(
        &mut self,
        shared: &mut Shared,
        request: RequestId,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.table.take(request) else { return };
        let epoch = shared.slices.get(&under_way.about.slice).map(|state| state.epoch);
        if let (Phase::Writing(writing), Found::Own(own)) = (&mut under_way.phase, found)
            && let Some(state) = own.small()
            && let Some(epoch) = epoch.filter(|epoch| *epoch > writing.epoch)
            && let Change::Delta(delta) = &writing.change
        {
            let now = Partial::extract(state, &replica::needs(&writing.change));
            writing.change = Change::Delta(delta.renewed(&now));
            writing.epoch = epoch;
            writing.confirmation.iter_mut().for_each(Confirmation::end);
            under_way.about.next_round();
            send_to_open(shared, &under_way.about, writing, effects);
        }
        self.write_on(shared, under_way, effects);
    }
}

/// What this node's own copy counts for.
fn own_answer(shared: &Shared, about: &About, writing: &Writing) -> Given {
    let state = shared.slices.get(&about.slice);
    let admitted = state.map(|state| state.replica.admit_write(writing.sets.tag()));
    if matches!(admitted, Some(Ok(()))) { Given::Stored } else { Given::Retired }
}

/// Begins to ask all owners, whatever they have answered before.
fn send_to_all(shared: &Shared, about: &About, writing: &mut Writing, effects: &mut Effects) {
    begin(shared, about, writing);
    send_to_open(shared, about, writing, effects);
}

/// Nobody has been asked yet.
pub(super) fn begin(shared: &Shared, about: &About, writing: &mut Writing) {
    let now = shared.now.monotonic;
    let time_left = about.deadline.saturating_sub(now);
    let next = now + HINT_DELAY.min(time_left / 2);
    let owners = writing.sets.owners();
    writing.owners = owners.into_iter().map(|node| Owner::new(node, next)).collect();
    if writing.stored_here {
        writing.give(shared.me, own_answer(shared, about, writing));
    }
}

/// Sends the write to every other owner that does not hold it, and to fallbacks for those that are down.
pub(super) fn send_to_open(
    shared: &Shared,
    about: &About,
    writing: &mut Writing,
    effects: &mut Effects,
) {
    for index in 0..writing.owners.len() {
        let owner = &writing.owners[index];
        let holds = matches!(owner.answer, Some(Given::Stored | Given::Retired));
        if owner.node == shared.me || holds || owner.stand_in.is_some() {
            continue;
        }
        let node = owner.node;
        if shared.view.is_live(node) {
            writing.owners[index].answer = None;
            send(shared, about, writing, (node, None), effects);
        } else {
            ask_stand_in(shared, about, writing, node, effects);
        }
    }
}

fn send(
    shared: &Shared,
    about: &About,
    writing: &Writing,
    (to, hint_for): (NodeId, Option<HintFor>),
    effects: &mut Effects,
) {
    let write = Write {
        key: about.request.key.clone(),
        change: writing.change.clone(),
        durability: writing.durability,
        hint_for,
        // Of what fallbacks keep nothing is compared.
        expects: writing.confirmation.as_ref().filter(|_| hint_for.is_none()).map(|it| it.digest),
    };
    let mut message = about.message(shared, Body::Write(Box::new(write)));
    message.layout = writing.sets.tag();
    message.epoch = writing.epoch;
    effects.send(to, Class::Requests, message);
}

/// Asks the next node to keep a hint for an owner: fallbacks in their order, those that stand in for no other owner
/// first, and in the end this node itself.
fn ask_stand_in(
    shared: &Shared,
    about: &About,
    writing: &mut Writing,
    owner: NodeId,
    effects: &mut Effects,
) {
    let taken: Vec<NodeId> = writing
        .owners
        .iter()
        .filter(|other| other.node != owner)
        .filter_map(|other| other.stand_in.map(|stand_in| stand_in.node))
        .collect();
    let held = writing.is_held(&shared.view, &about.plan);
    let counts = about.plan.sloppy || about.plan.write.any;
    let answered = shared.now.monotonic >= about.deadline;
    let sets = writing.sets.clone();
    let Some(asked) = writing.owner(owner) else { return };
    asked.passed.extend(asked.stand_in.take().map(|stand_in| stand_in.node));
    let may = |node: &NodeId| !asked.passed.contains(node);
    let mut candidates: Vec<NodeId> =
        write::stand_ins(&shared.view, about, &sets).filter(may).collect();
    candidates.sort_by_key(|node| taken.contains(node));
    let here = Some(shared.me).filter(may);
    let Some(node) = candidates.first().copied().or(here) else {
        return give_up(about, writing, owner, effects);
    };
    asked.stand_in = Some(StandIn { node, keeps: false });
    asked.next = shared.now.monotonic + HINT_DELAY;
    let worth = match (held, counts && !answered) {
        (true, _) => Worth::Held,
        (false, true) => Worth::Counted,
        (false, false) => Worth::Uncounted,
    };
    send(shared, about, writing, (node, Some(HintFor { owner, worth })), effects);
}

/// Nobody keeps a hint for an owner: it is synchronised (invariant 18).
fn give_up(about: &About, writing: &mut Writing, owner: NodeId, effects: &mut Effects) {
    if let Some(owner) = writing.owner(owner) {
        owner.settled = true;
    }
    let event = Event::Dirty { slice: about.slice, owner };
    effects.lane(After::Written, crate::Event::Coordinator(event));
    let sync = sync::Event::Dirty { slice: about.slice, with: owner };
    effects.lane(After::Written, crate::Event::Sync(sync));
}

/// Does for an owner what its time has come for.
fn act(shared: &Shared, about: &About, writing: &mut Writing, node: NodeId, effects: &mut Effects) {
    let now = shared.now.monotonic;
    let Some(owner) = writing.owner(node) else { return };
    let is_retry = owner.tries > 0 && owner.tries < TRIES_MAX && owner.stand_in.is_none();
    if node == shared.me {
        // Its copy is in the batch of this node; it waits for the disk.
        owner.next = now + HINT_DELAY;
    } else if is_retry && shared.view.is_live(node) {
        owner.tries += 1;
        owner.next = now + AGAIN * (1 << owner.tries);
        send(shared, about, writing, (node, None), effects);
    } else {
        ask_stand_in(shared, about, writing, node, effects);
    }
}

/// An owner that could not take a write so often is given a hint.
const TRIES_MAX: u8 = 7;

/// Takes an answer in.
fn take(
    shared: &mut Shared,
    about: &mut About,
    writing: &mut Writing,
    (from, answer): (NodeId, WriteAnswer),
    effects: &mut Effects,
) {
    let now = shared.now.monotonic;
    // A fallback answers for the owners that it was asked to stand in for; an owner is never one.
    let stood_in: Vec<NodeId> = writing
        .owners
        .iter()
        .filter(|owner| owner.stand_in.is_some_and(|it| it.node == from && !it.keeps))
        .map(|owner| owner.node)
        .collect();
    match answer {
        WriteAnswer::Stored => writing.give(from, Given::Stored),
        WriteAnswer::StoredSame => {
            writing.give(from, Given::Stored);
            writing.confirmation.iter_mut().for_each(|it| it.note(from));
        }
        WriteAnswer::Retired => writing.give(from, Given::Retired),
        WriteAnswer::Hinted => {
            writing.keeps(from);
            if from == shared.me {
                stood_in.into_iter().for_each(|owner| about.answers.hinted(owner));
            }
        }
        _ if !stood_in.is_empty() => {
            for owner in stood_in {
                ask_stand_in(shared, about, writing, owner, effects);
            }
        }
        WriteAnswer::NotReceived => {
            writing.give(from, Given::Failed);
            if let Some(owner) = writing.owner(from) {
                owner.settled = true;
            }
        }
        WriteAnswer::OtherLayout { known } => {
            if known > writing.sets.tag() {
                effects.control(ControlEvent::LayoutBehind { peer: from, known });
            }
            try_again(writing, from, now);
        }
        WriteAnswer::StaleEpoch { .. } => {
            try_again(writing, from, now);
            if writing.is_whole_delete() {
                // What is renewed cannot say that a whole key is deleted.
                give_up(about, writing, from, effects);
            } else {
                let renew = Event::Renew { request: about.id };
                effects.lane(After::Written, crate::Event::Coordinator(renew));
            }
        }
        WriteAnswer::EpochAhead { .. } | WriteAnswer::NotOwner | WriteAnswer::Expired => {
            try_again(writing, from, now);
        }
        WriteAnswer::Full | WriteAnswer::Damaged => {
            writing.give(from, Given::Failed);
            give_up(about, writing, from, effects);
        }
    }
}

/// An owner could not take a write yet: it is sent again.
fn try_again(writing: &mut Writing, node: NodeId, now: Duration) {
    if let Some(owner) = writing.owner(node) {
        owner.tries = owner.tries.saturating_add(1);
        owner.next = owner.next.min(now + AGAIN * (1 << owner.tries.min(TRIES_MAX)));
    }
}

/// The owners as they are now.
fn sets(shared: &Shared, about: &About) -> LiveSets {
    match shared.slices.get(&about.slice) {
        Some(state) => state.replica.sets().clone(),
        None => shared.view.live_sets(about.slice),
    }
}

/// Where the slice has other owners than those that were asked, asks those: answers under another tag do not
/// count (invariant 17).
fn adopt_sets(shared: &Shared, about: &mut About, writing: &mut Writing, effects: &mut Effects) {
    let sets = sets(shared, about);
    if sets == writing.sets {
        return;
    }
    let same_tag = sets.tag() == writing.sets.tag();
    writing.sets = sets;
    writing.confirmation.iter_mut().for_each(Confirmation::end);
    if same_tag {
        // Older sets have ended.
        let owners = writing.sets.owners();
        writing.owners.retain(|owner| owners.contains(&owner.node));
    } else {
        about.next_round();
        send_to_all(shared, about, writing, effects);
    }
}

fn word(answer: WriteAnswer) -> &'static str {
    match answer {
        WriteAnswer::Stored => "stored",
        WriteAnswer::StoredSame => "stored, same",
        WriteAnswer::NotReceived => "stored, not received",
        WriteAnswer::Hinted => "hinted",
        WriteAnswer::Retired => "retired",
        WriteAnswer::OtherLayout { .. } => "other layout",
        WriteAnswer::StaleEpoch { .. } => "later epoch",
        WriteAnswer::EpochAhead { .. } => "earlier epoch",
        WriteAnswer::NotOwner => "no owner",
        WriteAnswer::Full => "full",
        WriteAnswer::Damaged => "damaged",
        WriteAnswer::Expired => "expired",
    }
}

impl Table {
    /// What a write under way has to have read to be derived anew.
    pub(super) fn change(&self, request: RequestId) -> Option<(&About, &Change)> {
        let under_way = self.get(request)?;
        match &under_way.phase {
            Phase::Writing(writing) => Some((&under_way.about, &writing.change)),
            Phase::Forwarding(_)
            | Phase::Gathering(_)
            | Phase::Waiting(_)
            | Phase::Committing(_) => None,
        }
    }
}
