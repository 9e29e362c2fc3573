//! Holding writes back, so that reads of a hot key come to an end.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_wire::Key;

use crate::effects::{After, Effects};
use crate::event::Event;

/// How long an owner holds writes to a key back for one lap of a read.
pub const HOLD: Duration = Duration::from_millis(50);

/// Laps that a read runs before it asks owners to hold writes back.
pub(super) const LAPS_BEFORE_HOLD: u8 = 3;

/// After a hold a key is left alone for as long, so that reads cannot stop its writes.
const REST: Duration = HOLD;

/// Keys held at once.
const KEYS_MAX: usize = 1_024;

/// Events that wait for one key.
const EVENTS_MAX: usize = 1_024;

#[derive(Debug)]
struct Hold {
    until: Duration,
    events: Vec<Event>,
}

/// Keys whose writes wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    keys: BTreeMap<Key, Hold>,
    /// Until when keys are not held again.
    resting: BTreeMap<Key, Duration>,
}

impl Held {
    pub(super) fn holds(&self, key: &Key) -> bool {
        !self.keys.is_empty() && self.keys.contains_key(key)
    }

    pub(super) fn hold(&mut self, key: Key, now: Duration) {
        self.resting.retain(|_, until| *until > now);
        let free = self.keys.len() < KEYS_MAX && self.resting.len() < KEYS_MAX;
        if free && !self.resting.contains_key(&key) {
            let hold = || Hold { until: now + HOLD, events: Vec::new() };
            self.keys.entry(key).or_insert_with(hold);
        }
    }

    pub(super) fn keep(&mut self, key: &Key, event: Event) -> Result<(), Box<Event>> {
        match self.keys.get_mut(key).filter(|hold| hold.events.len() < EVENTS_MAX) {
            Some(hold) => {
                hold.events.push(event);
                Ok(())
            }
            None => Err(Box::new(event)),
        }
    }

    pub(super) fn release(&mut self, now: Duration, effects: &mut Effects) {
        let over: Vec<Key> = self
            .keys
            .iter()
            .filter(|(_, it)| it.until <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            let hold = self.keys.remove(&key).expect("it was found");
            for event in hold.events {
                effects.lane(After::Written, event);
            }
            self.resting.insert(key, now + REST);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.keys.values().map(|hold| hold.until).min()
    }
}
