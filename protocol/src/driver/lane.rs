//! The driver of one lane: drains its inbox, commits, and holds back what promises durability.

use std::collections::VecDeque;
use std::mem;

use coterie_swim::Now;
use coterie_wire::{Body, Key};

use super::Storage;
use crate::control::SyncPolicy;
use crate::effects::{Action, After, Effects};
use crate::event::Event;
use crate::lane::Lane;
use crate::rows::{Change, NotResident, ROWS_PER_EVENT_MAX, Space, StoreError};

/// A lane with what waits for it and what it waits for. `F` is [`Storage::Fetched`].
#[derive(Debug)]
pub struct LaneDriver<F> {
    lane: Lane,
    sync: SyncPolicy,
    inbox: VecDeque<Event>,
    /// Events that wait for rows, each with those of the same key behind it.
    parked: Vec<Parked<F>>,
    parked_count: u64,
    /// What waits for a sync that covers a commit, in order.
    held: VecDeque<(u64, Action)>,
    /// Of the turn at hand: what follows once it is committed.
    gathered: Vec<(After, Action)>,
    /// About how many bytes of replies are among these.
    reply_bytes: usize,
    /// Of the event at hand; empty between two.
    effects: Effects,
    nothing: F,
    rows_max: usize,
}

#[derive(Debug)]
struct Parked<F> {
    id: u64,
    event: Event,
    fetched: F,
    behind: VecDeque<Event>,
}

/// What turns of a lane lead to.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be carried out now. None of them is for the lane itself.
    pub actions: Vec<Action>,
    /// Rows to be fetched, by the number of the event that waits for them.
    pub fetches: Vec<(u64, NotResident)>,
    /// How many events were handled.
    pub events: usize,
}

/// Past so many bytes of replies a turn ends: they are handed out before others are made.
const REPLY_BYTES_PER_TURN: usize = 4 << 20;

impl<F: Default> LaneDriver<F> {
    /// The driver of a lane that has just been opened; `sync` says when its commits are durable.
    #[must_use]
    pub fn new(lane: Lane, sync: SyncPolicy) -> Self {
        LaneDriver {
            lane,
            sync,
            inbox: VecDeque::new(),
            parked: Vec::new(),
            parked_count: 0,
            held: VecDeque::new(),
            gathered: Vec::new(),
            reply_bytes: 0,
            effects: Effects::new(),
            nothing: F::default(),
            rows_max: 0,
        }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// The most rows that one event has changed.
    #[must_use]
    pub fn rows_max(&self) -> usize {
        self.rows_max
    }

    /// Hands it an event, for its next turn.
    pub fn push(&mut self, event: Event) {
        self.inbox.push_back(event);
    }

    /// Whether it has something to do.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether something waits for a sync.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// How many events wait for rows.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Handles at most `events_max` waiting events, and no more once replies to clients are large together, and commits
    /// what they changed.
    ///
    /// # Errors
    /// If the disk fails: nothing of this turn happened.
    ///
    /// # Panics
    /// If an event changes more rows than one may.
    pub fn turn<S: Storage<Fetched = F>>(
        &mut self,
        storage: &mut S,
        now: Now,
        events_max: usize,
        turn: &mut Turn,
    ) -> Result<(), StoreError> {
        for _ in 0..events_max {
            if self.reply_bytes > REPLY_BYTES_PER_TURN {
                break;
            }
            let Some(event) = self.inbox.pop_front() else { break };
            let Some(event) = self.queue_behind(event) else { continue };
            turn.events += 1;
            let read = self.lane.read(&event, &storage.rows(&self.nothing));
            match read {
                Ok(found) => {
                    self.lane.handle(event, found, now, &mut self.effects);
                    self.gather(storage);
                }
                Err(rows) => turn.fetches.push((self.park(event), rows)),
            }
        }
        self.commit(storage, turn)
    }

    /// Rows that an event waited for are there, as `add` adds them: reads it again. Nothing happens where no such
    /// event waits.
    ///
    /// # Errors
    /// As [`LaneDriver::turn`].
    ///
    /// # Panics
    /// As [`LaneDriver::turn`].
    pub fn fetched<S: Storage<Fetched = F>>(
        &mut self,
        storage: &mut S,
        now: Now,
        id: u64,
        add: impl FnOnce(&mut F),
        turn: &mut Turn,
    ) -> Result<(), StoreError> {
        let Some(at) = self.parked.iter().position(|parked| parked.id == id) else {
            return Ok(());
        };
        add(&mut self.parked[at].fetched);
        let parked = &self.parked[at];
        let read = self.lane.read(&parked.event, &storage.rows(&parked.fetched));
        match read {
            Err(rows) => {
                turn.fetches.push((id, rows));
                Ok(())
            }
            Ok(found) => {
                let parked = self.parked.remove(at);
                self.lane.handle(parked.event, found, now, &mut self.effects);
                self.gather(storage);
                for event in parked.behind.into_iter().rev() {
                    self.inbox.push_front(event);
                }
                turn.events += 1;
                self.commit(storage, turn)
            }
        }
    }

    /// A sync covers the commits up to `number`: what waited for that.
    pub fn synced(&mut self, number: u64, turn: &mut Turn) {
        let covered = self.held.iter().take_while(|(commit, _)| *commit <= number).count();
        for (_, action) in self.held.drain(..covered) {
            if let Action::Lane(event) = action {
                self.inbox.push_back(*event);
            } else {
                turn.actions.push(action);
            }
        }
    }

    /// Where an event of the same key waits for rows, this one waits behind it.
    fn queue_behind(&mut self, event: Event) -> Option<Event> {
        if self.parked.is_empty() {
            return Some(event);
        }
        let Some(key) = subject(&event) else { return Some(event) };
        let Some(parked) = self.parked.iter_mut().find(|it| subject(&it.event) == Some(key)) else {
            return Some(event);
        };
        parked.behind.push_back(event);
        None
    }

    fn park(&mut self, event: Event) -> u64 {
        self.parked_count += 1;
        let (id, fetched, behind) = (self.parked_count, F::default(), VecDeque::new());
        self.parked.push(Parked { id, event, fetched, behind });
        id
    }

    /// Adds what the event at hand changes to the commit; an event changes as few rows as it reads.
    fn gather(&mut self, storage: &mut impl Storage) {
        let effects = &mut self.effects;
        let is_row = |change: &&Change| match change {
            Change::Put(space, ..) | Change::Delete(space, _) => *space == Space::Rows,
            Change::DeleteRange(..) => false,
        };
        let rows = effects.batch.changes().iter().filter(is_row).count();
        assert!(rows <= ROWS_PER_EVENT_MAX, "an event changes {rows} rows");
        self.rows_max = self.rows_max.max(rows);
        if !effects.batch.is_empty() {
            storage.gather(&mut effects.batch);
        }
        for (_, action) in &effects.actions {
            if let Action::Respond { response, .. } = action {
                self.reply_bytes += response.outcome.reply_bytes();
            }
        }
        self.gathered.append(&mut effects.actions);
    }

    fn commit(&mut self, storage: &mut impl Storage, turn: &mut Turn) -> Result<(), StoreError> {
        self.reply_bytes = 0;
        let number = storage.commit()?;
        let mut gathered = mem::take(&mut self.gathered);
        for (after, action) in gathered.drain(..) {
            let waits = match after {
                After::Written => false,
                After::Durable => self.sync == SyncPolicy::Always,
                After::Synced => true,
            };
            if waits && !storage.is_synced(number) {
                self.held.push_back((number, action));
            } else if let Action::Lane(event) = action {
                self.inbox.push_back(*event);
            } else {
                turn.actions.push(action);
            }
        }
        self.gathered = gathered;
        Ok(())
    }
}

/// The key that an event is about, of those that queue behind each other.
fn subject(event: &Event) -> Option<&Key> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events are about no key")]
    match event {
        Event::Request { request, .. } => Some(&request.key),
        Event::Message { message, .. } => match &message.body {
            Body::Forward(request) => Some(&request.key),
            Body::Write(write) => Some(&write.key),
            Body::Read(read) => Some(&read.key),
            Body::Query(query) => Some(&query.key),
            Body::Register(register) => Some(&register.key),
            _ => None,
        },
        _ => None,
    }
}
