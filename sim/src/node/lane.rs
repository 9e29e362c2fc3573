//! The driver of one lane: drains its inbox, commits, and holds back what promises durability.

use std::collections::VecDeque;
use std::time::Duration;

use coterie_protocol::rows::{Change, NotResident, ROWS_PER_EVENT_MAX, Space, StoreError};
use coterie_protocol::{Action, After, Effects, Event, Lane};
use coterie_swim::Now;
use coterie_wire::Key;

use crate::disk::{Cold, Disk, Warm};
use crate::node::subject;
use crate::options::Sync;
use crate::random::Random;

/// A lane with what waits for it and what it waits for.
#[derive(Debug)]
pub struct LaneDriver {
    lane: Lane,
    inbox: VecDeque<Event>,
    /// Events that wait for rows, each with those of the same key behind it.
    parked: Vec<Parked>,
    parked_count: u64,
    /// What waits for a sync that covers a commit, in order.
    held: VecDeque<(u64, Action)>,
    /// Whether its next turn is planned.
    pub awake: bool,
    /// For when its next tick is planned.
    pub tick_at: Option<Duration>,
    /// The most rows that one event has changed.
    pub rows_max: usize,
}

#[derive(Debug)]
struct Parked {
    id: u64,
    event: Event,
    key: Option<Key>,
    warm: Warm,
    behind: VecDeque<Event>,
}

/// What a turn of a lane leads to.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be carried out now.
    pub actions: Vec<Action>,
    /// Rows to be fetched, by the number of the event that waits for them.
    pub fetches: Vec<(u64, NotResident)>,
    /// How many events were handled.
    pub events: usize,
}

/// What a lane may do in one turn.
#[derive(Debug)]
pub struct Allowance<'a> {
    /// Events at most.
    pub events_max: usize,
    /// When its commits are durable.
    pub sync: Sync,
    /// Decides which rows are not in memory.
    pub random: &'a mut Random,
    /// How many of 1,000 are not.
    pub not_resident_permille: u32,
}

impl LaneDriver {
    /// The driver of a lane that has just been opened.
    #[must_use]
    pub fn new(lane: Lane) -> Self {
        LaneDriver {
            lane,
            inbox: VecDeque::new(),
            parked: Vec::new(),
            parked_count: 0,
            held: VecDeque::new(),
            awake: false,
            tick_at: None,
            rows_max: 0,
        }
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> &Lane {
        &self.lane
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

    /// Handles waiting events and commits what they changed.
    ///
    /// # Errors
    /// If the disk fails: nothing of this turn happened.
    ///
    /// # Panics
    /// If an event changes more rows than one may.
    pub fn turn(
        &mut self,
        disk: &mut Disk,
        now: Now,
        allowance: Allowance<'_>,
    ) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let mut actions = Vec::new();
        for _ in 0..allowance.events_max {
            let Some(event) = self.inbox.pop_front() else { break };
            let key = subject(&event).cloned();
            if let Some(parked) = self.parked.iter_mut().find(|it| key.is_some() && it.key == key) {
                parked.behind.push_back(event);
                continue;
            }
            let warm = Warm::default();
            turn.events += 1;
            let permille = allowance.not_resident_permille;
            let cold = Cold::new(disk, &warm, allowance.random, permille);
            match self.lane.read(&event, &cold) {
                Ok(found) => {
                    let mut effects = Effects::new();
                    self.lane.handle(event, found, now, &mut effects);
                    self.rows_max = self.rows_max.max(gather(disk, effects, &mut actions));
                }
                Err(rows) => turn.fetches.push((self.park(event, key, warm), rows)),
            }
        }
        self.commit(disk, allowance.sync, actions, &mut turn)?;
        Ok(turn)
    }

    /// Rows that an event waited for are there: reads it again.
    ///
    /// # Errors
    /// As [`LaneDriver::turn`].
    ///
    /// # Panics
    /// As [`LaneDriver::turn`].
    pub fn fetched(
        &mut self,
        disk: &mut Disk,
        now: Now,
        allowance: Allowance<'_>,
        (id, rows): (u64, NotResident),
    ) -> Result<Turn, StoreError> {
        let mut turn = Turn::default();
        let Some(at) = self.parked.iter().position(|parked| parked.id == id) else {
            return Ok(turn);
        };
        self.parked[at].warm.fetched(rows);
        let permille = allowance.not_resident_permille;
        let parked = &self.parked[at];
        let cold = Cold::new(disk, &parked.warm, allowance.random, permille);
        match self.lane.read(&parked.event, &cold) {
            Err(rows) => turn.fetches.push((id, rows)),
            Ok(found) => {
                let parked = self.parked.remove(at);
                let mut effects = Effects::new();
                let mut actions = Vec::new();
                self.lane.handle(parked.event, found, now, &mut effects);
                self.rows_max = self.rows_max.max(gather(disk, effects, &mut actions));
                for event in parked.behind.into_iter().rev() {
                    self.inbox.push_front(event);
                }
                turn.events = 1;
                self.commit(disk, allowance.sync, actions, &mut turn)?;
            }
        }
        Ok(turn)
    }

    /// A sync covers the commits up to `number`: what waited for that.
    pub fn synced(&mut self, number: u64) -> Vec<Action> {
        let covered = self.held.iter().take_while(|(commit, _)| *commit <= number).count();
        let released = self.held.drain(..covered).map(|(_, action)| action).collect();
        self.own(released)
    }

    fn park(&mut self, event: Event, key: Option<Key>, warm: Warm) -> u64 {
        self.parked_count += 1;
        let id = self.parked_count;
        self.parked.push(Parked { id, event, key, warm, behind: VecDeque::new() });
        id
    }

    fn commit(
        &mut self,
        disk: &mut Disk,
        sync: Sync,
        actions: Vec<(After, Action)>,
        turn: &mut Turn,
    ) -> Result<(), StoreError> {
        let number = disk.commit_gathered()?;
        let mut now = Vec::new();
        for (after, action) in actions {
            let waits = match after {
                After::Written => false,
                After::Durable => sync == Sync::Always,
                After::Synced => true,
            };
            if waits && !disk.is_synced(number) {
                self.held.push_back((number, action));
            } else {
                now.push(action);
            }
        }
        turn.actions = self.own(now);
        Ok(())
    }

    /// Takes what is for the lane itself out of `actions`.
    fn own(&mut self, actions: Vec<Action>) -> Vec<Action> {
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Lane(event) => self.inbox.push_back(*event),
                other => others.push(other),
            }
        }
        others
    }
}

/// Adds an event's batch to the commit at hand; an event changes as few rows as it reads. How many.
fn gather(disk: &mut Disk, effects: Effects, actions: &mut Vec<(After, Action)>) -> usize {
    let is_row = |change: &&Change| match change {
        Change::Put(space, ..) | Change::Delete(space, _) => *space == Space::Rows,
        Change::DeleteRange(..) => false,
    };
    let rows = effects.batch.changes().iter().filter(is_row).count();
    assert!(rows <= ROWS_PER_EVENT_MAX, "an event changes {rows} rows");
    disk.gather(&effects.batch);
    actions.extend(effects.actions);
    rows
}
