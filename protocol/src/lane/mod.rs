//! A lane: one thread of a node, which owns a share of its partitions.
//!
//! It only routes: each event goes to the module whose business it is, first to be [read](Lane::read), then to
//! be [handled](Lane::handle).

mod acknowledged;
mod open;
mod shared;
pub(crate) mod slices;

use std::time::Duration;

use coterie_crdt::operation::Operation;
use coterie_swim::Now;
use coterie_wire::{Body, Committed, Key, Message, Request};

use acknowledged::Acknowledged;

use crate::coordinator::Coordinator;
use crate::effects::{Action, After, Effects};
use crate::event::Event;
use crate::jobs::{self, Jobs};
use crate::linearizable::Linearizable;
use crate::listing::{self, Listings};
use crate::moving::{Moving, Wait};
use crate::repair::amnesia::Amnesia;
use crate::repair::barrier::Barriers;
use crate::repair::hints::{self, Hints};
use crate::repair::purge::{self, Purges};
use crate::repair::scrub::{self, Scrub};
use crate::repair::sync::{self, Asker, Synchroniser, Told};
use crate::replica::{Replicas, admit};
use crate::rows::{Budget, NotResident, Rows, Space, address};
use crate::strong::Strong;
use crate::{coordinator, linearizable, moving, replica, strong};

pub use open::{OpenError, Start};
pub use shared::{Counters, Settings, Shared};

/// The rows that an event was found to need.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// Those of the coordinator.
    Coordinator(coordinator::Found),
    /// Those of the replica.
    Replica(replica::Found),
    /// Those of strong keys.
    Strong(strong::Found),
    /// Those of linearizable reads.
    Linearizable(linearizable::Found),
    /// Those of listings.
    Listing(listing::Found),
    /// Those of a synchronisation.
    Sync(sync::Found),
    /// Those of jobs.
    Jobs(jobs::Found),
    /// Those of hints.
    Hints(hints::Found),
    /// Those of moves.
    Moving(moving::Found),
    /// Those of purges.
    Purge(purge::Found),
    /// Those of the scrub.
    Scrub(scrub::Found),
}

/// One lane of a node.
#[derive(Debug)]
pub struct Lane {
    shared: Shared,
    coordinator: Coordinator,
    replicas: Replicas,
    strong: Strong,
    linearizable: Linearizable,
    listings: Listings,
    sync: Synchroniser,
    hints: Hints,
    moving: Moving,
    amnesia: Amnesia,
    barriers: Barriers,
    acknowledged: Acknowledged,
    purges: Purges,
    jobs: Jobs,
    scrub: Scrub,
}

impl Lane {
    /// Linearizable reads, for those who look on.
    #[must_use]
    pub fn linearizable(&self) -> &Linearizable {
        &self.linearizable
    }

    /// What all modules share, for those who look on.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What moves of this lane wait for, for people: so many at most.
    #[must_use]
    pub fn move_waits(&self, waits_max: usize) -> Vec<Wait> {
        self.moving.waits(&self.shared, waits_max)
    }

    /// Reads the rows that `event` needs. Nothing has happened yet: where they have to be fetched first, the
    /// driver fetches them and reads the event again.
    ///
    /// # Errors
    /// [`NotResident`]
    ///
    /// # Panics
    /// If an event reads more than [`ROWS_PER_EVENT_MAX`](crate::rows::ROWS_PER_EVENT_MAX) rows.
    pub fn read(&self, event: &Event, rows: &impl Rows) -> Result<Found, NotResident> {
        let rows = &Budget::new(rows);
        match event {
            Event::Message { message, .. } if admit::known(&self.shared, message).is_err() => {
                Ok(Found::Nothing)
            }
            Event::Message { message, .. } if self.hints.takes(message) => {
                self.hints.read_message(&self.shared, message, rows).map(Found::Hints)
            }
            Event::Message { from, message } if self.listings.takes(message) => {
                self.listings.read_message(&self.shared, *from, message, rows).map(Found::Listing)
            }
            Event::Message { from, message } => match &message.body {
                Body::Forward(_)
                | Body::Forwarded(_)
                | Body::Wrote(_)
                | Body::Shown(_)
                | Body::Refused(_) => self
                    .coordinator
                    .read_message(&self.shared, *from, message, rows)
                    .map(Found::Coordinator),
                Body::Register(_) | Body::Registered(_) | Body::Vote(_) => {
                    self.strong.read_message(&self.shared, message, rows).map(Found::Strong)
                }
                Body::Query(_) | Body::Queried(_) => self
                    .linearizable
                    .read_message(&self.shared, message, rows)
                    .map(Found::Linearizable),
                Body::Purge(purge) => {
                    self.purges.read_message(message, purge, rows).map(Found::Purge)
                }
                Body::Read(read) if read.hints && !self.owns(message) => self
                    .coordinator
                    .read_message(&self.shared, *from, message, rows)
                    .map(Found::Coordinator),
                Body::Write(_) | Body::Read(_) => {
                    self.replicas.read(&self.shared, *from, message, rows).map(Found::Replica)
                }
                Body::Sync(_)
                | Body::Hint(_)
                | Body::Move(_)
                | Body::Reception(_)
                | Body::Listing(_)
                | Body::Control(_) => Ok(Found::Nothing),
            },
            Event::Request { request, .. } => {
                self.coordinator.read_request(&self.shared, request, rows).map(Found::Coordinator)
            }
            Event::List { list, .. } => {
                self.listings.read(&self.shared, list, rows).map(Found::Listing)
            }
            Event::Listing(event) => {
                self.listings.read_event(&self.shared, event, rows).map(Found::Listing)
            }
            Event::Coordinator(event) => {
                self.coordinator.read_event(&self.shared, event, rows).map(Found::Coordinator)
            }
            Event::Replica(event) => {
                self.replicas.read_event(&self.shared, event, rows).map(Found::Replica)
            }
            Event::Strong(event) => {
                self.strong.read_event(&self.shared, event, rows).map(Found::Strong)
            }
            Event::Jobs(event) => self.jobs.read_event(&self.shared, event, rows).map(Found::Jobs),
            Event::Hints(event) => {
                self.hints.read_event(&self.shared, event, rows).map(Found::Hints)
            }
            Event::Linearizable(event) => {
                self.linearizable.read_event(&self.shared, event, rows).map(Found::Linearizable)
            }
            Event::Sync(event) => self.sync.read_event(&self.shared, event, rows).map(Found::Sync),
            Event::Moving(event) => self.moving.read_event(event, rows).map(Found::Moving),
            Event::Purge(event) => self.purges.read_event(event, rows).map(Found::Purge),
            Event::Scrub(event) => {
                self.scrub.read_event(&self.shared, event, rows).map(Found::Scrub)
            }
            Event::Unreachable { .. }
            | Event::View(_)
            | Event::Tick
            | Event::Synced(_)
            | Event::Amnesia(_)
            | Event::Barrier(_) => Ok(Found::Nothing),
        }
    }

    /// Takes in an event with the rows that were read for it. Cannot fail and reads nothing.
    ///
    /// # Panics
    /// If `found` was not read for this event.
    pub fn handle(&mut self, event: Event, found: Found, now: Now, effects: &mut Effects) {
        let before = effects.batch.changes().len();
        let first = effects.actions.len();
        let shared = &mut self.shared;
        shared.now = now;
        if let Event::Message { from, message } = &event
            && let Err(refusal) = admit::known(shared, message)
        {
            return admit::refuse(shared, *from, message, refusal, effects);
        }
        if let Event::Message { from, message } = &event
            && let Some(committed) = message.committed
            && *from != shared.me
        {
            self.acknowledged.note(*from, committed, now.monotonic, effects);
        }
        let event = match self.held_key(&event).cloned() {
            None => event,
            Some(key) => match self.linearizable.keep(&key, event) {
                Ok(()) => return,
                Err(event) => *event,
            },
        };
        let shared = &mut self.shared;
        if let Event::Message { from, message } = &event {
            purge::heed(shared, *from, message, effects);
        }
        match (event, found) {
            (Event::Message { from, message }, Found::Coordinator(found)) => {
                self.coordinator.message(shared, from, *message, found, effects);
            }
            (Event::Message { from, message }, Found::Replica(found)) => {
                self.replicas.message(shared, from, *message, found, effects);
            }
            (Event::Request { client, request }, Found::Coordinator(found)) => {
                self.coordinator.request(shared, client, *request, found, effects);
            }
            (Event::Coordinator(event), Found::Coordinator(found)) => {
                self.coordinator.event(shared, event, found, effects);
            }
            (Event::Replica(event), Found::Replica(found)) => {
                self.replicas.event(shared, event, found, effects);
            }
            (Event::Message { from, message }, Found::Strong(found)) => {
                self.strong.message(shared, from, *message, found, effects);
            }
            (Event::Strong(event), Found::Strong(found)) => {
                self.strong.event(shared, event, found, effects);
            }
            (Event::Message { from, message }, Found::Hints(found)) => {
                self.hints.message(shared, from, *message, found, effects);
            }
            (Event::Jobs(event), Found::Jobs(found)) => {
                self.jobs.event(shared, event, found, effects);
            }
            (Event::Hints(event), Found::Hints(found)) => {
                self.hints.event(shared, event, found, effects);
            }
            (Event::Message { from, message }, Found::Linearizable(found)) => {
                self.linearizable.message(shared, from, *message, found, effects);
            }
            (Event::Linearizable(event), Found::Linearizable(found)) => {
                self.linearizable.event(shared, event, found, effects);
            }
            (
                Event::Synced(Told::Key { with, asker: Asker::Linearizable(request), .. }),
                Found::Nothing,
            ) => self.linearizable.key_synchronised(request, with, effects),
            (
                Event::Synced(Told::Key {
                    with, asker: Asker::Coordinator(request), outcome, ..
                }),
                Found::Nothing,
            ) => self.coordinator.key_synchronised(request, with, outcome.is_ok(), effects),
            (Event::Unreachable { to, request }, Found::Nothing) => {
                self.coordinator.unreachable(shared, to, request, effects);
                self.listings.unreachable(shared, to, request, effects);
                self.sync.unreachable(shared, to, request, effects);
                self.hints.unreachable(shared, to, request, effects);
            }
            (Event::List { client, list }, Found::Listing(found)) => {
                self.listings.list(shared, client, *list, found, effects);
            }
            (Event::Message { from, message }, Found::Listing(found)) => {
                self.listings.message(shared, from, *message, found, effects);
            }
            (Event::Listing(event), Found::Listing(found)) => {
                self.listings.event(shared, event, found, effects);
            }
            (Event::View(view), Found::Nothing) => {
                shared.view = view;
                self.moving.view_changed(shared, effects);
                self.amnesia.view_changed(shared, effects);
                self.purges.view_changed(shared, effects);
                self.coordinator.view_changed(shared, effects);
                self.listings.view_changed(shared, effects);
                self.sync.view_changed(shared, effects);
                self.hints.view_changed(shared, effects);
                self.jobs.view_changed(shared, effects);
                self.barriers.view_changed(shared, effects);
            }
            (Event::Tick, Found::Nothing) => {
                self.coordinator.tick(shared, effects);
                self.listings.tick(shared, effects);
                self.strong.tick(shared, effects);
                self.hints.tick(shared, effects);
                self.jobs.tick(shared, effects);
                self.linearizable.tick(shared, effects);
                self.sync.tick(shared, effects);
                self.moving.tick(shared, effects);
                self.scrub.tick(shared, effects);
                self.amnesia.tick(shared, effects);
                self.acknowledged.tick(now.monotonic, effects);
                self.purges.tick(shared, effects);
                self.barriers.tick(shared, effects);
            }
            (Event::Message { from, message }, Found::Nothing)
                if matches!(message.body, Body::Sync(_)) =>
            {
                self.sync.message(shared, from, *message, effects);
            }
            (Event::Sync(event), Found::Sync(found)) => {
                self.sync.event(shared, event, found, effects);
            }
            (Event::Moving(event), Found::Moving(found)) => {
                self.moving.event(shared, event, found, effects);
            }
            (Event::Purge(event), Found::Purge(found)) => {
                self.purges.event(shared, event, found, effects);
            }
            (Event::Message { from, message }, Found::Purge(found)) => {
                if let Body::Purge(purge) = &message.body {
                    self.purges.message(shared, from, &message, purge, &found, effects);
                }
            }
            (Event::Scrub(event), Found::Scrub(found)) => {
                self.scrub.event(shared, event, found, effects);
                // What a damaged key lacks now is received like any other loss.
                self.amnesia.view_changed(shared, effects);
            }
            (Event::Synced(told), Found::Nothing) => {
                self.moving.told(shared, &told, effects);
                self.amnesia.told(shared, &told, effects);
                self.barriers.told(shared, &told, effects);
            }
            (Event::Amnesia(event), Found::Nothing) => self.amnesia.event(shared, event, effects),
            (Event::Barrier(event), Found::Nothing) => self.barriers.event(shared, event, effects),
            // Control's messages are not for lanes: whoever routes them here has no harm done.
            (Event::Message { from, message }, Found::Nothing) => {
                if let Body::Move(said) = message.body {
                    self.moving.message(shared, from, &message, said, effects);
                } else if let Body::Reception(said) = message.body {
                    self.amnesia.message(shared, from, &message, said, effects);
                }
            }
            (event, found) => panic!("{found:?} was not read for {event:?}"),
        }
        self.number(before, first, effects);
    }

    /// Whether this node owns the slice of a message.
    fn owns(&self, message: &Message) -> bool {
        message.slice.is_some_and(|slice| self.shared.owns(slice))
    }

    /// The key that an event would write to, where writes to it wait for a read to end.
    fn held_key<'e>(&self, event: &'e Event) -> Option<&'e Key> {
        let asked = |request: &'e Request| {
            let writes = request.operations.iter().any(Operation::writes);
            writes.then_some(&request.key)
        };
        let key = if let Event::Request { request, .. } = event {
            asked(request)
        } else if let Event::Message { message, .. } = event {
            if let Body::Write(write) = &message.body {
                Some(&write.key)
            } else if let Body::Forward(request) = &message.body {
                asked(request)
            } else {
                None
            }
        } else {
            None
        };
        key.filter(|key| self.linearizable.holds(key))
    }

    /// Numbers what this event commits, and lets what it promises bear that number (invariant 2). Other messages bear that of
    /// the last batch that was promised to anybody: a storage that goes back before it would mint again what they have seen
    /// (invariant 1).
    fn number(&mut self, before: usize, first: usize, effects: &mut Effects) {
        let shared = &mut self.shared;
        if effects.batch.changes().len() > before {
            shared.committed += 1;
            let number = shared.committed.to_be_bytes().to_vec();
            effects.batch.put(Space::Control, address::commits(shared.lane), number);
        }
        let numbered = |number| Committed { run: shared.view.run, lane: shared.lane, number };
        let promised = numbered(shared.committed);
        let earlier = Some(shared.durable).filter(|durable| *durable > 0).map(numbered);
        for (after, action) in &mut effects.actions[first..] {
            match action {
                Action::Lane(event) => {
                    if let Event::Coordinator(coordinator::Event::Stored { committed, .. }) =
                        &mut **event
                    {
                        *committed = shared.committed;
                    }
                }
                Action::Send { to, message, .. } => {
                    let waits = *after > After::Written;
                    message.committed = if waits { Some(promised) } else { earlier };
                    // What a module sends to an owner reaches this node too, where it is one.
                    if *to == shared.me && message.slice.is_some() {
                        let event = Event::Message { from: shared.me, message: message.clone() };
                        *action = Action::Lane(Box::new(event));
                    }
                }
                Action::Respond { .. }
                | Action::Listed { .. }
                | Action::Control(_)
                | Action::Changed { .. }
                | Action::Barrier { .. } => {}
            }
        }
    }

    /// When it next wants an [`Event::Tick`], as time since the node's start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let modules = [
            self.coordinator.next_deadline(),
            self.strong.next_deadline(),
            self.linearizable.next_deadline(),
            self.listings.next_deadline(),
            self.sync.next_deadline(),
            self.hints.next_deadline(),
            self.moving.next_deadline(),
            self.amnesia.next_deadline(),
            self.barriers.next_deadline(),
            self.acknowledged.next_deadline(),
            self.purges.next_deadline(),
            self.jobs.next_deadline(),
            self.scrub.next_deadline(),
        ];
        modules.into_iter().flatten().min()
    }
}
