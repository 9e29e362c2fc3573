//! The naive model: the whole history of events as plain sets, with no context, dot or join in it.
//!
//! Every event remembers which earlier writes it killed, which increments a replica knows by it and
//! which of those it took back. What a replica shows that received a set of events, in whatever order
//! and with whatever missing, is then set arithmetic: writes received, less writes killed.

use bytes::Bytes;
use coterie_crdt::{Delta, Kind, Payload};

use crate::subject::place;

/// A set of events, by index.
pub(crate) type Events = u64;
/// A set of writes, by index.
pub(crate) type Writes = u128;
/// A set of increments, by index.
pub(crate) type Increments = u128;

/// Which cell of a key: its kind and the element's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) Kind, pub(crate) u8);

/// The key's register.
pub(crate) const REGISTER: Place = Place(Kind::Register, 0);
/// The key's expiry.
pub(crate) const EXPIRY: Place = Place(Kind::Expiry, 0);

/// What a write put into its cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// It is there.
    Present,
    /// It is not, where removal wins.
    Removed,
    /// An assigned text.
    Text(&'static str),
    /// An assigned score.
    Score(f64),
    /// A HyperLogLog register's rank.
    Rank(u8),
    /// When the key or the field expires.
    Deadline(Option<u64>),
}

impl Content {
    fn is_deadline(self) -> bool {
        matches!(self, Content::Deadline(_))
    }
}

/// One write to one cell. Assignments carry the time that the operation under test gave them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) event: usize,
    pub(crate) actor: usize,
    pub(crate) place: Place,
    pub(crate) content: Content,
    pub(crate) time: u64,
}

/// One addition to one cell's sum, in tenths for decimals.
#[derive(Clone, Copy, Debug)]
struct Increment {
    actor: usize,
    place: Place,
    share: u32,
    by: f64,
}

/// One event: what its replica had received, and what it did.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) actor: usize,
    pub(crate) received: Events,
    pub(crate) writes: Writes,
    pub(crate) kills: Writes,
    adds: Increments,
    takes: Increments,
}

/// What an operation does to a key, in terms of what it sees there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Replaces what is seen in the cell.
    Put(Place, Content),
    /// Replaces the writes named; others stay beside it.
    PutBeside(Place, Content, Writes),
    /// Takes back what is known to be added to the cell.
    Reset(Place),
    /// Adds to the cell's sum and renews its presence.
    Add(Place, f64),
    /// Drops what is seen in the cell and takes back what was added.
    Remove(Place),
    /// Drops just these writes.
    Drop(Writes),
    /// Drops all that is known of the key.
    DeleteKey,
}

/// What is known of a key by some events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Writes received and not killed.
    pub(crate) live: Writes,
    adds: Increments,
    takes: Increments,
    knew: Writes,
}

/// The whole history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) events: Vec<Event>,
    pub(crate) writes: Vec<Write>,
    increments: Vec<Increment>,
    /// Where in the list its elements are, in order of their insertion.
    pub(crate) positions: Vec<Bytes>,
}

/// The members of a set, ascending.
pub(crate) fn members(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let next = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (next < 128).then_some(next)
    })
}

impl Model {
    /// What a replica knows that received just these events.
    pub(crate) fn view(&self, received: Events) -> View {
        let mut view = View::default();
        let mut kills = 0;
        for event in members(received.into()).map(|event| &self.events[event]) {
            view.live |= event.writes;
            kills |= event.kills;
            view.adds |= event.adds;
            view.takes |= event.takes;
        }
        view.knew = view.live | kills;
        view.live &= !kills;
        view
    }

    /// Live writes to a cell.
    pub(crate) fn at(&self, view: &View, place: Place) -> impl Iterator<Item = &Write> {
        members(view.live).map(|write| &self.writes[write]).filter(move |w| w.place == place)
    }

    /// Live writes to a cell, as a set.
    pub(crate) fn set_at(&self, view: &View, place: Place) -> Writes {
        let here = members(view.live).filter(|&write| self.writes[write].place == place);
        here.fold(0, |set, write| set | 1 << write)
    }

    /// Live deadlines of a cell, as a set.
    pub(crate) fn deadlines_at(&self, view: &View, place: Place) -> Writes {
        let deadlines = members(self.set_at(view, place))
            .filter(|&write| self.writes[write].content.is_deadline());
        deadlines.fold(0, |set, write| set | 1 << write)
    }

    /// Whether a cell is there: it has a live write that is not just when it expires, and none that removes
    /// where removal wins.
    pub(crate) fn has(&self, view: &View, place: Place) -> bool {
        let guarded = matches!(place.0, Kind::GuardedMember | Kind::DisableFlag);
        let removed = guarded && self.at(view, place).any(|w| w.content == Content::Removed);
        let there = |w: &Write| place == EXPIRY || !w.content.is_deadline();
        self.at(view, place).any(there) && !removed
    }

    /// Kinds with a cell that is there, and how many cells.
    pub(crate) fn count(&self, view: &View, kind: Kind) -> usize {
        let mut places: Vec<Place> = members(view.live)
            .map(|write| self.writes[write].place)
            .filter(|place| place.0 == kind && self.has(view, *place))
            .collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    }

    /// Whether the key is there.
    pub(crate) fn exists(&self, view: &View) -> bool {
        members(view.live)
            .map(|write| self.writes[write].place)
            .any(|place| place != EXPIRY && self.has(view, place))
    }

    /// The assignment to a cell that wins: the latest, then the greatest actor's last.
    pub(crate) fn winner(&self, view: &View, place: Place) -> Option<&Write> {
        self.assigned(view, place).into_iter().rfind(|w| !w.content.is_deadline())
    }

    /// All live assignments to a cell, in order of time, actor and event.
    pub(crate) fn assigned(&self, view: &View, place: Place) -> Vec<&Write> {
        let timed = |w: &&Write| {
            matches!(w.content, Content::Text(_) | Content::Score(_) | Content::Deadline(_))
        };
        let mut all: Vec<&Write> = self.at(view, place).filter(timed).collect();
        all.sort_by_key(|w| (w.time, w.actor, w.event));
        all
    }

    /// What was added to a cell and not taken back.
    pub(crate) fn sum(&self, view: &View, place: Place) -> f64 {
        let standing = members(view.adds & !view.takes).map(|i| &self.increments[i]);
        standing.filter(|i| i.place == place).map(|i| i.by).sum()
    }

    /// The key's deadline, if it has one.
    pub(crate) fn deadline(&self, view: &View) -> Option<u64> {
        self.deadline_of(view, EXPIRY)
    }

    /// The deadline of the key's expiry or of a field: the latest.
    pub(crate) fn deadline_of(&self, view: &View, place: Place) -> Option<u64> {
        self.assigned(view, place).into_iter().rev().find_map(|w| match w.content {
            Content::Deadline(deadline) => Some(deadline),
            _ => None,
        })?
    }

    /// Whether a field has expired by itself.
    pub(crate) fn has_expired(&self, view: &View, field: Place, now: u64) -> bool {
        self.deadline_of(view, field).is_some_and(|deadline| deadline <= now)
    }

    /// What a reader sees at a time: nothing from the deadline on.
    pub(crate) fn seen(&self, view: &View, now: u64) -> View {
        if self.deadline(view).is_some_and(|deadline| deadline <= now) {
            View { live: 0, ..*view }
        } else {
            *view
        }
    }

    /// Adds an event that does `effects`, one after the other, at a replica that received `received`.
    /// Assignments get their times by [`Model::stamp_as`].
    pub(crate) fn record(&mut self, actor: usize, received: Events, now: u64, effects: &[Effect]) {
        let mut view = self.view(received);
        let event = Event { actor, received, writes: 0, kills: 0, adds: 0, takes: 0 };
        self.events.push(event);
        let Some(first) = effects.first() else { return };
        let expired = self.seen(&view, now) != view;
        if expired && *first != Effect::DeleteKey {
            self.apply(&mut view, Effect::DeleteKey);
        }
        for effect in effects {
            self.apply(&mut view, *effect);
        }
    }

    /// Gives the last event's assignments the times that they have in its delta.
    pub(crate) fn stamp_as(&mut self, delta: &Delta) {
        for (address, cell) in delta.cells() {
            for (_, payload) in cell.dots() {
                if let Some(time) = payload.time() {
                    let place = place(address, &mut self.positions);
                    self.stamp(place, payload, time.0);
                }
            }
        }
    }

    fn stamp(&mut self, place: Place, payload: &Payload, time: u64) {
        let event = self.events.len() - 1;
        let is_it = |w: &&mut Write| {
            let same = w.content.is_deadline() == payload.is_deadline();
            w.event == event && w.place == place && same
        };
        if let Some(write) = self.writes.iter_mut().rev().find(is_it) {
            write.time = time;
        }
    }

    /// Forgets the last event.
    pub(crate) fn undo(&mut self, (writes, increments, positions): (usize, usize, usize)) {
        self.events.pop();
        self.positions.truncate(positions);
        self.writes.truncate(writes);
        self.increments.truncate(increments);
    }

    /// How many writes, increments and positions there are, for [`Model::undo`].
    pub(crate) fn mark(&self) -> (usize, usize, usize) {
        (self.writes.len(), self.increments.len(), self.positions.len())
    }

    fn last(&mut self) -> &mut Event {
        self.events.last_mut().expect("recorded")
    }

    fn apply(&mut self, view: &mut View, effect: Effect) {
        match effect {
            Effect::Put(place, content) => {
                let replaced = self.set_at(view, place);
                self.put(view, place, content, replaced);
            }
            Effect::PutBeside(place, content, replaced) => {
                let replaced = replaced & self.set_at(view, place);
                self.put(view, place, content, replaced);
            }
            Effect::Reset(place) => self.reset(view, |other| other == place),
            Effect::Add(place, by) => self.add(view, place, by),
            Effect::Remove(place) => {
                self.drop_writes(view, place);
                self.reset(view, |other| other == place);
            }
            Effect::Drop(writes) => self.kill(view, writes),
            Effect::DeleteKey => self.delete_key(view),
        }
    }

    fn kill(&mut self, view: &mut View, writes: Writes) {
        view.live &= !writes;
        self.last().kills |= writes;
    }

    fn drop_writes(&mut self, view: &mut View, place: Place) {
        let seen = self.set_at(view, place);
        self.kill(view, seen);
    }

    fn put(&mut self, view: &mut View, place: Place, content: Content, replaced: Writes) {
        // A key that is there no more does not hand its expiry to the next one.
        if place != EXPIRY && !self.exists(view) {
            self.drop_writes(view, EXPIRY);
        }
        self.kill(view, replaced);
        let (event, actor) = (self.events.len() - 1, self.last().actor);
        let write: Writes = 1 << self.writes.len();
        self.writes.push(Write { event, actor, place, content, time: 0 });
        view.live |= write;
        self.last().writes |= write;
        if content.is_deadline() {
            return;
        }
        // What it replaced vouched for increments: whoever knows of the one knows of the other.
        let standing = members(view.adds & !view.takes);
        let here: Vec<usize> = standing.filter(|&i| self.increments[i].place == place).collect();
        for increment in here {
            let share = self.share(view.adds, increment);
            let taken = share & view.takes;
            self.last().adds |= share;
            self.last().takes |= taken;
        }
    }

    /// Takes back all that is known of every share that still has something standing.
    fn reset(&mut self, view: &mut View, which: impl Fn(Place) -> bool) {
        let standing = view.adds & !view.takes;
        for increment in members(standing) {
            if which(self.increments[increment].place) {
                let share = self.share(view.adds, increment);
                view.takes |= share;
                self.last().adds |= share;
                self.last().takes |= share;
            }
        }
    }

    /// The known increments of the share that one belongs to.
    fn share(&self, known: Increments, of: usize) -> Increments {
        let of = self.increments[of];
        let same = |i: &Increment| (i.actor, i.place, i.share) == (of.actor, of.place, of.share);
        members(known).filter(|&i| same(&self.increments[i])).fold(0, |set, i| set | 1 << i)
    }

    fn add(&mut self, view: &mut View, place: Place, by: f64) {
        // What is known to be added to a cell that is not there counts no more.
        if !self.has(view, place) {
            self.drop_writes(view, place);
            self.reset(view, |other| other == place);
        }
        let actor = self.last().actor;
        let own = |i: &usize| {
            let increment = &self.increments[*i];
            (increment.actor, increment.place) == (actor, place)
        };
        let last = members(view.adds).filter(own).max_by_key(|&i| self.increments[i].share);
        let (mut share, mut known) = (0, 0);
        if let Some(last) = last {
            share = self.increments[last].share;
            known = self.share(view.adds, last);
            // A float share of which something was taken back is closed.
            if place.0 == Kind::Scored && known & view.takes != 0 {
                (share, known) = (share + 1, 0);
            }
        }
        let this: Increments = 1 << self.increments.len();
        self.increments.push(Increment { actor, place, share, by });
        view.adds |= this;
        let taken = known & view.takes;
        self.last().adds |= known | this;
        self.last().takes |= taken;
        let present = |w: &usize| self.writes[*w].content == Content::Present;
        let replaced = members(self.set_at(view, place)).filter(present);
        let replaced = replaced.fold(0, |set, write| set | 1 << write);
        self.put(view, place, Content::Present, replaced);
    }

    /// Where something outside the root is stored, whatever was ever heard of is dead with it.
    fn delete_key(&mut self, view: &mut View) {
        let outside = |place: Place| !place.0.lives_in_root();
        let rows = members(view.live).any(|w| outside(self.writes[w].place))
            || members(view.adds).any(|i| outside(self.increments[i].place));
        let dead = view.live | if rows { view.knew } else { 0 };
        self.kill(view, dead);
        self.reset(view, |_| true);
    }
}
