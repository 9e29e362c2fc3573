//! Holding writes back, so that reads of a hot key come to an end.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_wire::Key;

use crate::effects::{After, Effects};
use crate::event::Event;

/// How many laps long a read asks owners to hold writes back.
pub(super) const LAPS: u32 = 2;

/// The least that it asks for.
pub(super) const HOLD_MIN: Duration = Duration::from_millis(1);

/// Longer than this no owner holds writes to a key back at once.
pub const HOLD_MAX: Duration = Duration::from_millis(250);

/// After a hold a key is left alone for this part of it, so that reads cannot stop its writes: what waited is taken
/// in at once.
const REST_PART: u32 = 8;

/// Keys held at once.
const KEYS_MAX: usize = 1_024;

/// Events that wait for one key.
const EVENTS_MAX: usize = 1_024;

#[derive(Debug)]
struct Hold {
    from: Duration,
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

    /// Writes to a key wait for so long. Where they do already, they may wait for as long again, and no longer.
    pub(super) fn hold(&mut self, key: Key, long: Duration, now: Duration) {
        self.resting.retain(|_, until| *until > now);
        let long = long.min(HOLD_MAX);
        if let Some(hold) = self.keys.get_mut(&key) {
            hold.until = (now + long).min(hold.from + 2 * long).max(hold.until);
            return;
        }
        let free = self.keys.len() < KEYS_MAX && self.resting.len() < KEYS_MAX;
        if free && !self.resting.contains_key(&key) {
            self.keys.insert(key, Hold { from: now, until: now + long, events: Vec::new() });
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
            self.resting.insert(key, now + (now - hold.from) / REST_PART);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.keys.values().map(|hold| hold.until).min()
    }
}
