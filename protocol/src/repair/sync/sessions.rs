//! Begins sessions, hands each what is its own, and tells how they end.

use std::collections::BTreeSet;
use std::time::Duration;

use coterie_crdt::encoding::encode_partial;
use coterie_ring::NodeId;
use coterie_wire::peer::sync::{Answer, End, Sync};
use coterie_wire::{Body, Key, Message, RequestId, Slice};

use super::event::{Asker, Event, SyncError, Told};
use super::ours::{self, Ours};
use super::rounds::Compared;
use super::theirs::{self, Theirs};
use super::{Found, OURS_MAX, SLICES_MAX, Synchroniser, THEIRS_MAX, work};
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::replica::admit;
use crate::slice::SliceState;

/// How long a slice rests after a session that did not make it equal.
const REST: Duration = Duration::from_millis(500);

impl Synchroniser {
    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match event {
            Event::Ours { session } => {
                let Some(ours) = self.ours.get_mut(&session) else { return };
                let next = if ours.is_allowed(shared) {
                    ours.work(shared, found.0, effects)
                } else {
                    ours::Next::End(Err(SyncError::Refused))
                };
                self.follow(shared, session, next, effects);
            }
            Event::Theirs { peer, session } => {
                let Some(theirs) = self.theirs.get_mut(&(peer, session)) else { return };
                let next = if theirs.is_allowed(shared) {
                    theirs.work(shared, found.0, effects)
                } else {
                    theirs::Next::Answer(Answer::Ended(End::Refused))
                };
                self.reply(shared, (peer, session), next, effects);
            }
            Event::Key { key, with, asker } => {
                let slice = shared.view.slice(&key).filter(|s| shared.slices.contains_key(s));
                match slice {
                    None => tell_key(key, with, asker, Err(SyncError::Refused), effects),
                    Some(_) if self.ours.len() >= OURS_MAX => {
                        tell_key(key, with, asker, Err(SyncError::Busy), effects);
                    }
                    Some(slice) => self.begin_key(shared, slice, key, with, (asker, None), effects),
                }
            }
            Event::Now { slice, with, asker } => {
                let refused = if !shared.slices.contains_key(&slice) {
                    Some(SyncError::Refused)
                } else if self.ours.len() >= OURS_MAX {
                    Some(SyncError::Busy)
                } else {
                    None
                };
                match refused {
                    None => self.begin_slice(shared, slice, with, asker, effects),
                    Some(error) => {
                        let began = shared.now.monotonic;
                        tell_slice(slice, with, asker, began, Err(error), effects);
                    }
                }
            }
            Event::Transfer { slice, key, moved } => {
                self.transfers.note(shared, (slice, key), moved);
            }
            Event::GiveUp { key } => {
                let ours::Found::Stored(stored) = found.0 else { return };
                self.transfers.give_up(shared, key, stored, effects);
            }
            Event::Dirty { slice, with } => {
                self.ready.insert((slice, with));
                self.start(shared, effects);
            }
        }
    }

    fn begin_slice(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        with: NodeId,
        asker: Asker,
        effects: &mut Effects,
    ) {
        let session = Ours::slice(shared, slice, with, asker, effects);
        self.ours.insert(session.request(), session);
    }

    fn begin_key(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        key: Key,
        with: NodeId,
        (asker, parent): (Asker, Option<RequestId>),
        effects: &mut Effects,
    ) {
        let session = Ours::key(shared, slice, key, with, (asker, parent));
        let request = session.request();
        self.ours.insert(request, session);
        self.follow(shared, request, ours::Next::Work, effects);
    }

    /// Begins sessions on slices that differ, as many as may be, one of a slice at a time.
    fn start(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let own = self.ours.values().filter(|ours| ours.asker == Asker::Nobody).count();
        let mut free = SLICES_MAX.saturating_sub(own);
        if free == 0 || self.ready.is_empty() {
            return;
        }
        let mut ours: BTreeSet<Slice> = self.ours.values().map(|ours| ours.slice).collect();
        let theirs = self.theirs.values().filter(|theirs| theirs.is_open());
        let theirs: BTreeSet<_> = theirs.map(|theirs| (theirs.slice, theirs.with)).collect();
        let mut begun = Vec::new();
        for pair in &self.ready {
            if free > 0 && !theirs.contains(pair) && ours.insert(pair.0) {
                begun.push(*pair);
                free -= 1;
            }
        }
        for (slice, with) in begun {
            self.ready.remove(&(slice, with));
            // Who owns it no longer is not asked again: each try would be refused, and rest, for ever. What a push brings
            // is compared afterwards.
            let of_both = |state: &SliceState| {
                state.replica.sets().owners().contains(&with)
                    && !state.is_being_brought(shared.me, with)
            };
            if shared.slices.get(&slice).is_some_and(of_both) {
                self.begin_slice(shared, slice, with, Asker::Nobody, effects);
            }
        }
    }

    /// Slices were compared with a peer; `begin` where this node is the one to synchronise them.
    pub(super) fn compared(
        &mut self,
        shared: &mut Shared,
        with: NodeId,
        compared: &[Compared],
        begin: bool,
        effects: &mut Effects,
    ) {
        for one in compared {
            match *one {
                Compared::Equal(slice, root) => {
                    self.ready.remove(&(slice, with));
                    self.resting.remove(&(slice, with));
                    verified(shared, slice, with, root, effects);
                }
                Compared::Different(slice) if begin => {
                    self.ready.insert((slice, with));
                }
                Compared::Different(_) => {}
            }
        }
        self.start(shared, effects);
    }

    /// Does what a session of this node's wants next.
    fn follow(
        &mut self,
        shared: &mut Shared,
        session: RequestId,
        next: ours::Next,
        effects: &mut Effects,
    ) {
        let outcome = match next {
            ours::Next::Wait => return,
            ours::Next::Work => {
                let event = crate::Event::Sync(Event::Ours { session });
                return effects.lane(After::Written, event);
            }
            ours::Next::Key(key) => {
                let Some(parent) = self.ours.get(&session) else { return };
                let (slice, with, asker) = (parent.slice, parent.with, parent.asker);
                return self.begin_key(shared, slice, key, with, (asker, Some(session)), effects);
            }
            ours::Next::Equal(root) => {
                if let Some(ours) = self.ours.get(&session) {
                    verified(shared, ours.slice, ours.with, root, effects);
                }
                Ok(())
            }
            ours::Next::End(outcome) => {
                let of_slice = self.ours.get(&session).filter(|ours| ours.of_key().is_none());
                if let Some((slice, with)) = of_slice.map(|ours| (ours.slice, ours.with)) {
                    self.rest(shared, slice, with);
                    if let Ok(()) | Err(SyncError::Undecided { here: false, .. }) = outcome
                        && let Some(state) = shared.slices.get_mut(&slice)
                    {
                        state.met(with);
                    }
                }
                outcome
            }
        };
        let Some(ended) = self.ours.remove(&session) else { return };
        match (ended.of_key(), ended.parent) {
            (_, Some(parent)) => {
                if let Some(ours) = self.ours.get_mut(&parent) {
                    let next = ours.key_ended(shared, outcome, effects);
                    self.follow(shared, parent, next, effects);
                }
            }
            (Some(key), None) => {
                tell_key(key.clone(), ended.with, ended.asker, outcome, effects);
            }
            (None, None) => {
                let (slice, with, began) = (ended.slice, ended.with, ended.began);
                tell_slice(slice, with, ended.asker, began, outcome, effects);
                self.children_end(session);
            }
        }
        self.start(shared, effects);
    }

    /// A slice is not yet equal: it is compared again after a while.
    fn rest(&mut self, shared: &Shared, slice: Slice, with: NodeId) {
        if shared.view.is_live(with) {
            self.resting.entry((slice, with)).or_insert(shared.now.monotonic + REST);
        }
    }

    /// What a session began for large keys ends with it.
    fn children_end(&mut self, session: RequestId) {
        self.ours.retain(|_, ours| ours.parent != Some(session));
    }

    /// Takes in a step of a session that a peer began.
    pub(super) fn step(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        effects: &mut Effects,
    ) {
        let (request, slice) = (message.request, message.slice);
        if let Err(refusal) = admit::slice(shared, from, &message) {
            admit::note(shared, from, refusal, effects);
            self.theirs.remove(&(from, request));
            return refuse(shared, from, &message, End::Refused, effects);
        }
        let id = (from, request);
        let next = match self.theirs.get_mut(&id) {
            Some(theirs) => {
                let Body::Sync(Sync::Step { number, step }) = message.body else { return };
                if Some(theirs.slice) != slice || !theirs.is_allowed(shared) {
                    theirs::Next::Answer(Answer::Ended(End::Refused))
                } else {
                    theirs.step(shared, number, *step, effects)
                }
            }
            None => {
                let Body::Sync(Sync::Step { number, step }) = &message.body else { return };
                if *number > 0 {
                    return refuse(shared, from, &message, End::Unknown, effects);
                }
                if !self.make_room() {
                    return refuse(shared, from, &message, End::Busy, effects);
                }
                match Theirs::begin(shared, from, &message, step) {
                    Ok((theirs, next)) => {
                        self.theirs.insert(id, theirs);
                        next
                    }
                    Err(end) => return refuse(shared, from, &message, end, effects),
                }
            }
        };
        self.reply(shared, id, next, effects);
        // A session of this node's may have waited for that one's end.
        self.start(shared, effects);
    }

    /// Whether a peer may begin another session. One that is closed only waits for its last step to be sent again: it
    /// gives way to one that begins.
    fn make_room(&mut self) -> bool {
        if self.theirs.len() < THEIRS_MAX {
            return true;
        }
        let closed = self.theirs.iter().filter(|(_, theirs)| !theirs.is_open());
        let oldest = closed.min_by_key(|(_, theirs)| theirs.heard()).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.theirs.remove(&id).is_some())
    }

    /// Does what a session of a peer's wants next.
    fn reply(
        &mut self,
        shared: &mut Shared,
        id: (NodeId, RequestId),
        next: theirs::Next,
        effects: &mut Effects,
    ) {
        let Some(theirs) = self.theirs.get_mut(&id) else { return };
        let pause = theirs.credit(&mut self.pace, shared);
        match next {
            theirs::Next::Wait => {}
            theirs::Next::Work => {
                let event = Event::Theirs { peer: id.0, session: id.1 };
                effects.lane(After::Written, crate::Event::Sync(event));
            }
            theirs::Next::Answer(answer) => {
                let ended = matches!(answer, Answer::Ended(_));
                theirs.answer(shared, answer, pause, effects);
                if ended {
                    self.theirs.remove(&id);
                }
            }
            theirs::Next::Equal(answer, root) => {
                let (slice, with) = (theirs.slice, theirs.with);
                theirs.answer(shared, answer, pause, effects);
                verified(shared, slice, with, root, effects);
            }
        }
    }

    /// Takes in an answer to a step of a session of this node's.
    pub(super) fn answer(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        effects: &mut Effects,
    ) {
        let (request, slice, epoch) = (message.request, message.slice, message.epoch);
        let Body::Sync(Sync::Answer { number, pause, answer }) = message.body else { return };
        let ours = self.ours.get_mut(&request).filter(|ours| ours.with == from);
        let Some(ours) = ours.filter(|ours| Some(ours.slice) == slice) else { return };
        let bytes = match &*answer {
            Answer::Rows { parcel, .. } => work::weight(parcel),
            Answer::Chunk { chunk } => encode_partial(&chunk.cells).len(),
            Answer::Leaves { .. }
            | Answer::Same
            | Answer::Key { .. }
            | Answer::Cells { .. }
            | Answer::Verdicts { .. }
            | Answer::Received { .. }
            | Answer::Closed { .. }
            | Answer::Ended(_) => 0,
        };
        let rate = shared.settings.repair_bytes_per_second;
        let pause = pause.max(self.pace.take(bytes, rate, shared.now.monotonic));
        let next = if matches!(*answer, Answer::Ended(_)) || ours.is_of(shared, epoch) {
            ours.answered(shared, number, pause, *answer, effects)
        } else {
            ours::Next::End(Err(SyncError::Refused))
        };
        self.follow(shared, request, next, effects);
    }

    /// A peer cannot be reached.
    pub fn unreachable(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        if self.ours.get(&request).is_some_and(|ours| ours.with == to) {
            let next = ours::Next::End(Err(SyncError::Unreachable));
            self.follow(shared, request, next, effects);
        }
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.rounds.view_changed(shared);
        let may = |(slice, with): &(Slice, NodeId)| {
            shared.slices.contains_key(slice) && shared.view.is_live(*with)
        };
        self.ready.retain(may);
        self.resting.retain(|pair, _| may(pair));
        let lost: Vec<RequestId> = self
            .ours
            .iter()
            .filter(|(_, ours)| !ours.is_allowed(shared) || !shared.view.is_live(ours.with))
            .map(|(session, _)| *session)
            .collect();
        for session in lost {
            let next = ours::Next::End(Err(SyncError::Unreachable));
            self.follow(shared, session, next, effects);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        self.rounds.tick(shared, effects);
        let mut lost = Vec::new();
        for (session, ours) in &mut self.ours {
            if let Some(error) = ours.tick(shared, effects) {
                lost.push((*session, error));
            }
        }
        for (session, error) in lost {
            self.follow(shared, session, ours::Next::End(Err(error)), effects);
        }
        self.theirs.retain(|_, theirs| theirs.due() > now);
        self.transfers.tick(shared, effects);
        let rested = self.resting.iter().filter(|(_, due)| **due <= now).map(|(pair, _)| *pair);
        self.ready.extend(rested);
        self.resting.retain(|_, due| *due > now);
        self.start(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let ours = self.ours.values().filter_map(Ours::due);
        let theirs = self.theirs.values().map(Theirs::due);
        let resting = self.resting.values().copied();
        let others = self.rounds.due().into_iter().chain(self.transfers.next_deadline());
        ours.chain(theirs).chain(resting).chain(others).min()
    }
}

/// Notes that a slice is equal here and at a co-owner.
fn verified(shared: &mut Shared, slice: Slice, with: NodeId, root: u128, effects: &mut Effects) {
    let now = shared.now.monotonic;
    if let Some(state) = shared.slices.get_mut(&slice) {
        state.verified.insert(with, now);
        state.met(with);
        // What was equal then says nothing of what has been given up since.
        if state.tree.root() == root {
            let owners = state.replica.sets().owners();
            let clear = |owner| owner == with || !owners.contains(&owner);
            state.clear_dirty(clear, &mut effects.batch);
        }
        let told = Told::RootsEqual { slice, with, root };
        effects.lane(After::Durable, crate::Event::Synced(told));
    }
}

fn tell_key(
    key: Key,
    with: NodeId,
    asker: Asker,
    outcome: Result<(), SyncError>,
    effects: &mut Effects,
) {
    let told = Told::Key { key, with, asker, outcome };
    effects.lane(After::Synced, crate::Event::Synced(told));
}

fn tell_slice(
    slice: Slice,
    with: NodeId,
    asker: Asker,
    began: Duration,
    outcome: Result<(), SyncError>,
    effects: &mut Effects,
) {
    if asker != Asker::Nobody {
        let told = Told::Slice { slice, with, asker, began, outcome };
        effects.lane(After::Synced, crate::Event::Synced(told));
    }
}

/// Answers a step of a session that is not.
fn refuse(shared: &Shared, to: NodeId, message: &Message, end: End, effects: &mut Effects) {
    let Body::Sync(Sync::Step { number, .. }) = &message.body else { return };
    let Some(slice) = message.slice.filter(|slice| shared.slices.contains_key(slice)) else {
        return;
    };
    let answer = Box::new(Answer::Ended(end));
    let body = Body::Sync(Sync::Answer { number: *number, pause: Duration::ZERO, answer });
    let message = shared.message(message.request, slice, body);
    effects.send(to, Class::Bulk, message);
}
