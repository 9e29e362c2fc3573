//! Requests: operations on one key, and what they are to be worth.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::grows::grows;

use coterie_crdt::Context;
use coterie_crdt::operation::Operation;
use coterie_ring::Level;

use crate::Key;

/// Names a request for its whole life: retries, forwards and answers bear the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId(pub u128);

/// How many owners must take part; what is `None` the bucket's policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Levels {
    /// What a write waits for.
    pub write: Option<Level>,
    /// What a read asks, and what a write that observes asks first.
    pub read: Option<Level>,
}

/// Purge epochs that a session tells apart on a key. Only the last two are ever unsettled where a node keeps up.
const EPOCHS_MAX: usize = 4;

/// Dots that a session has to see on a key: its own writes, and what it has read if it asked for
/// monotonic reads. What was purged nobody has any more, so they are kept by the purge epoch that they were learned
/// under: a dot of a later epoch is there, whatever became of those before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDots {
    /// Those of the lowest epoch.
    pub dots: Context,
    /// The lowest epoch.
    pub epoch: u64,
    /// Those of later epochs, in their order where this node has made it.
    pub newer: Vec<(u64, Context)>,
    /// Whether every owner has acknowledged them, so that only fallbacks may lack them.
    pub everywhere: bool,
}

impl SessionDots {
    /// Dots that were learned under one epoch.
    #[must_use]
    pub fn new(dots: Context, epoch: u64) -> Self {
        SessionDots { dots, epoch, ..SessionDots::default() }
    }

    /// Whether there is nothing to see.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_epoch().all(|(_, dots)| dots.is_empty())
    }

    /// The dots by the epoch that they were learned under.
    pub fn by_epoch(&self) -> impl Iterator<Item = (u64, &Context)> {
        let newer = self.newer.iter().map(|(epoch, dots)| (*epoch, dots));
        std::iter::once((self.epoch, &self.dots)).chain(newer)
    }

    /// Takes in dots that were learned under an epoch. Past four epochs the lowest counts as the next, which
    /// asks for more than has to be there and never for less.
    pub fn learn(&mut self, dots: &Context, epoch: u64) {
        if dots.is_empty() {
            return;
        }
        if self.is_empty() {
            (self.dots, self.epoch, self.newer) = (dots.clone(), epoch, Vec::new());
        } else if epoch == self.epoch {
            self.dots.join(dots);
        } else if epoch < self.epoch {
            let lowest = std::mem::replace(&mut self.dots, dots.clone());
            self.newer.insert(0, (std::mem::replace(&mut self.epoch, epoch), lowest));
        } else {
            match self.newer.binary_search_by_key(&epoch, |(known, _)| *known) {
                Ok(at) => self.newer[at].1.join(dots),
                Err(at) => self.newer.insert(at, (epoch, dots.clone())),
            }
        }
        if self.newer.len() >= EPOCHS_MAX {
            let (epoch, next) = self.newer.remove(0);
            self.epoch = epoch;
            self.dots.join(&next);
        }
    }

    /// Whether all of them are in a context, of whichever epoch.
    #[must_use]
    pub fn are_in(&self, context: &Context) -> bool {
        self.by_epoch().all(|(_, dots)| context.covers(dots))
    }

    /// The epochs, with their dots, of which something is not in a context.
    #[must_use]
    pub fn not_in(&self, context: &Context) -> SessionDots {
        self.only(|_, dots| !context.covers(dots))
    }

    /// Those that were learned under an epoch, or a later one.
    #[must_use]
    pub fn since(&self, epoch: u64) -> SessionDots {
        self.only(|learned, _| learned >= epoch)
    }

    fn only(&self, such: impl Fn(u64, &Context) -> bool) -> SessionDots {
        let mut some = SessionDots { everywhere: self.everywhere, ..SessionDots::default() };
        for (epoch, dots) in self.by_epoch().filter(|(epoch, dots)| such(*epoch, dots)) {
            some.learn(dots, epoch);
        }
        some
    }
}

/// Operations on one key, evaluated as one: they make one delta.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its name. A client that retries uses it again, and is answered as before where the coordinator
    /// remembers.
    pub id: RequestId,
    /// On which key.
    pub key: Key,
    /// What to do, in order; at least one.
    pub operations: Vec<Operation>,
    /// How many owners must take part.
    pub levels: Levels,
    /// How long the client waits, from when this was sent.
    pub time_left: Duration,
    /// What the client's session must see.
    pub session: SessionDots,
    /// Whether the response is to say who answered what.
    pub explain: bool,
}

grows! {
    Levels { write, read }
    SessionDots { dots, epoch; later newer, everywhere }
    Request { id, key, operations, levels, time_left, session, explain }
}
