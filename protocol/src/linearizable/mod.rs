//! Linearizable reads: laps around the owners until a majority shows equal digests.
//!
//! A read that returns what a majority holds to a digit, and that any two majorities share an owner whose
//! state only grows, is why two reads are comparable and neither misses what was acknowledged before it
//! began. Reading a majority and writing the join back is not enough (reliability.md, finding 1). Adds and
//! observed removes at this level are ordinary writes of the [coordinator](crate::coordinator) that wait for
//! a majority of every owner set, synced.
//!
//! Source: reliability.md §3A, after Skrzypczak, Schintke and Schütt 2019 (arXiv 1905.08733). Deviation:
//! instead of a round counter per key, owners hold other writes back for about two laps from the second lap on.

mod hold;
mod owner;
mod reads;

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Body, Key, Message, Request, RequestId};

use crate::effects::Effects;
use crate::lane::Shared;
use crate::origin::Origin;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, ReadError, Rows, Whole, whole};

pub use hold::HOLD_MAX;
pub use reads::Laps;

/// What happens to linearizable reads from within the lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// The coordinator was asked for one and found this node to be one that may answer.
    Begin {
        /// Who is to be answered.
        origin: Origin,
        /// What was asked: only operations that read.
        request: Box<Request>,
    },
    /// The next lap of a read begins.
    Lap {
        /// Which read.
        request: RequestId,
    },
    /// What this node had when a lap began is on disk: it counts as one of the owners.
    OwnSynced {
        /// Which read.
        request: RequestId,
        /// Which lap.
        lap: u32,
    },
}

/// The rows that an event of a linearizable read needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// The key's.
    Key(Box<Whole>),
    /// They do not decode.
    Damaged,
}

/// Linearizable reads of a lane, and what it holds back for those of others.
#[derive(Debug, Default)]
pub struct Linearizable {
    reads: reads::Reads,
    held: hold::Held,
}

impl Linearizable {
    /// How many laps reads took, for metrics.
    #[must_use]
    pub fn laps(&self) -> &Laps {
        self.reads.laps()
    }

    /// Whether writes to a key wait for a read of another to end.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        self.held.holds(key)
    }

    /// Keeps an event that writes to a key for later, where the key is held; gives it back where too many
    /// wait already.
    ///
    /// # Errors
    /// The event.
    pub fn keep(&mut self, key: &Key, event: crate::Event) -> Result<(), Box<crate::Event>> {
        self.held.keep(key, event)
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
        if let Body::Query(query) = &message.body {
            fetch(shared, &query.key, rows)
        } else {
            Ok(Found::Nothing)
        }
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
            Event::Begin { request, .. } => fetch(shared, &request.key, rows),
            Event::Lap { request } => match self.reads.key(*request) {
                Some(key) => fetch(shared, key, rows),
                None => Ok(Found::Nothing),
            },
            Event::OwnSynced { .. } => Ok(Found::Nothing),
        }
    }

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        found: Found,
        effects: &mut Effects,
    ) {
        let Some(slice) = message.slice else { return };
        let (request, layout, epoch) = (message.request, message.layout, message.epoch);
        if let Body::Query(query) = message.body {
            if !query.hold.is_zero() {
                self.held.hold(query.key.clone(), query.hold, shared.now.monotonic);
            }
            let asked = owner::Asked { from, request, slice, layout, epoch, query: *query };
            owner::answer(shared, asked, found, effects);
        } else if let Body::Queried(answer) = message.body {
            self.reads.answered(shared, from, request, *answer, effects);
        }
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match event {
            Event::Begin { origin, request } => {
                self.reads.begin(shared, origin, *request, found, effects);
            }
            Event::Lap { request } => self.reads.lap(shared, request, found, effects),
            Event::OwnSynced { request, lap } => {
                self.reads.own_synced(shared, request, lap, effects);
            }
        }
    }

    /// A synchronisation of a key that a read asked for has ended.
    pub fn key_synchronised(&mut self, request: RequestId, with: NodeId, effects: &mut Effects) {
        self.reads.key_synchronised(request, with, effects);
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.held.release(shared.now.monotonic, effects);
        self.reads.tick(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        [self.reads.next_deadline(), self.held.next_deadline()].into_iter().flatten().min()
    }
}

fn fetch(shared: &Shared, key: &Key, rows: &impl Rows) -> Result<Found, NotResident> {
    let prefix = KeyPrefix::new(shared.view.partition(key), key);
    match whole(rows, &prefix) {
        Ok(whole) => Ok(Found::Key(Box::new(whole))),
        Err(ReadError::NotResident(wanted)) => Err(wanted),
        Err(_) => Ok(Found::Damaged),
    }
}
