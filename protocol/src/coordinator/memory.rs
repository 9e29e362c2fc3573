//! Recent request ids: a retry is answered as before, and never coordinated again (invariant 3).

use std::collections::VecDeque;
use std::time::Duration;

use coterie_wire::{Key, Outcome, RequestId};
use hashbrown::HashMap;

/// The most ids that are remembered, whatever time has passed.
const REMEMBERED_MAX: usize = 65_536;

/// What is known of a request that was seen before.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// It is under way, under this id.
    UnderWay(RequestId),
    /// It was answered.
    Answered(Box<Outcome>),
}

/// The ids of recent writes, by key and id.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Never walked over: the order in it means nothing.
    seen: HashMap<(Key, RequestId), Seen>,
    /// In the order in which they are forgotten.
    order: VecDeque<(Duration, Key, RequestId)>,
}

impl Memory {
    /// What is known of a request.
    pub(super) fn get(&self, key: &Key, request: RequestId) -> Option<&Seen> {
        self.seen.get(&(key.clone(), request))
    }

    /// A request begins.
    pub(super) fn begin(&mut self, key: &Key, request: RequestId, id: RequestId) {
        self.seen.insert((key.clone(), request), Seen::UnderWay(id));
    }

    /// A request was answered: it is remembered until `until`.
    pub(super) fn answered(
        &mut self,
        key: &Key,
        request: RequestId,
        outcome: &Outcome,
        until: Duration,
    ) {
        let seen = Seen::Answered(Box::new(outcome.clone()));
        self.seen.insert((key.clone(), request), seen);
        self.order.push_back((until, key.clone(), request));
        if self.order.len() > REMEMBERED_MAX {
            self.forget_first();
        }
    }

    /// Nothing was done: a retry is a new request.
    pub(super) fn undone(&mut self, key: &Key, request: RequestId) {
        self.seen.remove(&(key.clone(), request));
    }

    /// Forgets what has been remembered for long enough.
    pub(super) fn forget(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key, request)) = self.order.pop_front() {
            self.seen.remove(&(key, request));
        }
    }
}
