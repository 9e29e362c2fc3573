//! Hints: changes kept for owners that are down, and brought to them when they are back.
//!
//! A hint is durable before it is acknowledged, readable while it is kept, and deleted once all for whom it is meant
//! have it durably. Who that is, is decided anew at every attempt: the owner it was kept for, or all current owners
//! where that is one no more (invariant 18). Only hints that nobody counted on may be given up, and then a durable mark
//! has the owner synchronised.

mod actor;
mod deliver;
mod give_up;
mod keep;
mod of_key;
mod open;
mod pace;
mod page;
mod replay;
mod row;
mod store;

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::hint::HintMessage;
use coterie_wire::{Body, Message, RequestId};

use crate::effects::Effects;
use crate::event::ControlEvent;
use crate::lane::{OpenError, Shared};
use crate::replica::admit;
use crate::rows::{NotResident, Row, Rows, Space, address};

pub use actor::FallbackActors;
pub use of_key::{KEY_ROWS_MAX, KeptHint, KeyHints};
pub use row::{Header, Hint};
pub use store::{HintStore, HintsFull, Tally};

use deliver::{Deliveries, Verdict};
use give_up::GivenUp;
use pace::{Credits, Grants};
use replay::Replays;

/// What happens to the hints of a lane from within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first hint of a slice was kept for an owner.
    Kept {
        /// The owner.
        owner: NodeId,
    },
    /// The next hints of an owner are to be read and sent.
    Replay {
        /// The owner.
        owner: NodeId,
    },
    /// The next hints of an owner are to be looked through for some that may be given up.
    MakeRoom {
        /// The owner.
        owner: NodeId,
    },
}

/// The rows that an event of hints needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// Those beside which another hint is kept.
    Keep(keep::Found),
    /// Whether the disk has room for what is offered.
    Room(bool),
    /// The hint that an answer is about, if it is still there.
    Answered(Option<Row>),
    /// The next rows of an owner's hints.
    Page(Vec<Row>),
}

/// The hints of a lane on their way.
#[derive(Debug, Default)]
pub struct Hints {
    replays: Replays,
    deliveries: Deliveries,
    credits: Credits,
    grants: Grants,
    given_up: GivenUp,
    /// What control was last told: whether any is kept, and whether no more are taken.
    told: Option<(bool, bool)>,
    /// Whether no more are taken.
    closed: bool,
}

impl From<Event> for crate::Event {
    fn from(event: Event) -> Self {
        crate::Event::Hints(event)
    }
}

impl Hints {
    /// The hints of a lane as its storage has them.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(rows: &impl Rows, shared: &Shared) -> Result<Hints, OpenError> {
        Ok(Hints { given_up: GivenUp::open(rows, shared)?, ..Hints::default() })
    }

    /// Whether a message is for hints: asks for one to be kept, or answers what was sent or asked here.
    #[must_use]
    pub fn takes(&self, message: &Message) -> bool {
        if let Body::Write(write) = &message.body {
            return write.hint_for.is_some();
        }
        matches!(message.body, Body::Hint(_)) || self.is_answer(message)
    }

    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        shared: &Shared,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        if let Body::Write(write) = &message.body {
            return keep::read(shared, message, write, rows).map(Found::Keep);
        }
        if matches!(message.body, Body::Hint(HintMessage::Offer { .. })) {
            return Ok(Found::Room(pace::has_room(rows)));
        }
        if self.is_answer(message) {
            return self.deliveries.read_answer(message.request, rows).map(Found::Answered);
        }
        Ok(Found::Nothing)
    }

    /// Whether a message answers a hint that was sent.
    fn is_answer(&self, message: &Message) -> bool {
        matches!(message.body, Body::Wrote(_) | Body::Refused(_))
            && self.deliveries.await_answer(message.request)
    }

    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match event {
            Event::Kept { .. } => Ok(Found::Nothing),
            Event::Replay { owner } => {
                self.replays.read(&shared.hints, *owner, rows).map(Found::Page)
            }
            Event::MakeRoom { owner } => {
                self.given_up.read(&shared.hints, *owner, rows).map(Found::Page)
            }
        }
    }

    /// Takes a peer's message in.
    ///
    /// # Panics
    /// If `found` was not read for it.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        found: Found,
        effects: &mut Effects,
    ) {
        if matches!(message.body, Body::Hint(_))
            && let Err(refusal) = admit::known(shared, &message)
        {
            admit::note(shared, from, refusal, effects);
            return;
        }
        match (&message.body, found) {
            (Body::Write(_), Found::Keep(found)) => {
                keep::handle(shared, from, message, found, effects);
            }
            (Body::Hint(HintMessage::Offer { bytes }), Found::Room(room)) => {
                if room {
                    self.grants.offered(shared, from, &message, *bytes, effects);
                }
            }
            (Body::Hint(HintMessage::Grant { bytes }), _) => {
                if self.credits.granted(from, message.request, *bytes) {
                    self.go_on(shared, effects);
                }
            }
            (Body::Hint(HintMessage::Dirty { owner }), _) => {
                give_up::mark(shared, from, &message, *owner, effects);
            }
            (Body::Hint(HintMessage::Marked { owner }), _) => {
                self.given_up.told(&message, *owner, effects);
            }
            (Body::Wrote(_) | Body::Refused(_), Found::Answered(row)) => {
                let verdict = deliver::verdict(shared, from, &message, effects);
                self.answered(shared, from, message.request, verdict, row, effects);
            }
            (body, found) => panic!("{found:?} was not read for {body:?}"),
        }
        self.tell(shared, effects);
    }

    /// Takes an event of its own in.
    ///
    /// # Panics
    /// If `found` was not read for it.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match (event, found) {
            (Event::Kept { owner }, _) => {
                self.replays.schedule(shared, owner);
                self.given_up.make_room(&shared.hints, owner, effects);
            }
            (Event::Replay { owner }, Found::Page(page)) => {
                self.send_page(shared, owner, page, effects);
            }
            (Event::MakeRoom { owner }, Found::Page(page)) => {
                self.given_up.drop_held(shared, owner, page, effects);
            }
            (event, found) => panic!("{found:?} was not read for {event:?}"),
        }
        self.tell(shared, effects);
    }

    /// A node to which something was sent cannot be reached.
    pub fn unreachable(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        self.credits.lost(to, request);
        if self.deliveries.await_answer(request) {
            self.answered(shared, to, request, Verdict::Later, None, effects);
        }
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.clean(shared, effects);
        self.closed = shared.view.has_handed_over();
        self.replays.view_changed(shared);
        self.given_up.tick(shared, effects);
        self.tell(shared, effects);
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        for (request, late) in self.deliveries.overdue(now) {
            self.answered(shared, late, request, Verdict::Later, None, effects);
        }
        self.credits.tick(now);
        self.grants.tick(shared, effects);
        self.given_up.tick(shared, effects);
        self.go_on(shared, effects);
        self.tell(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.replays.next_deadline(),
            self.deliveries.next_deadline(),
            self.credits.next_deadline(),
            self.grants.next_deadline(),
            self.given_up.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Clears away what the start has found: actors that may not be gone on with, rows that do not decode.
    fn clean(&mut self, shared: &mut Shared, effects: &mut Effects) {
        shared.hints.actors.forget_spent(&mut effects.batch);
        for (row, owner) in std::mem::take(&mut shared.hints.damaged) {
            let key = address::parse_hint(&row).map(|(_, _, key, _)| key);
            if let Some(slice) = key.and_then(|key| shared.view.slice(&key)) {
                self.given_up.note(shared, slice, owner, effects);
            }
            effects.batch.delete(Space::Hints, row);
        }
    }

    /// Tells control when hints become none or some, and when no more are taken.
    fn tell(&mut self, shared: &Shared, effects: &mut Effects) {
        let any = !shared.hints.is_empty() || !self.given_up.is_empty();
        let (lane, closed) = (shared.lane, self.closed);
        if self.told != Some((any, closed)) {
            self.told = Some((any, closed));
            effects.control(ControlEvent::HintsKept { lane, any, closed });
        }
    }
}
