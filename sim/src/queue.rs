//! The one event queue: what happens next, by virtual time and then in the order in which it was decided.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things to come.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    sequence: u64,
    now: Duration,
}

#[derive(Debug)]
struct Entry<T> {
    at: Duration,
    sequence: u64,
    what: T,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { heap: BinaryHeap::new(), sequence: 0, now: Duration::ZERO }
    }
}

impl<T> Queue<T> {
    /// Virtual time since the run began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets something happen at a time; what lies in the past happens next.
    pub fn at(&mut self, at: Duration, what: T) {
        self.sequence += 1;
        self.heap.push(Entry { at: at.max(self.now), sequence: self.sequence, what });
    }

    /// Lets something happen after a while.
    pub fn after(&mut self, wait: Duration, what: T) {
        self.at(self.now + wait, what);
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Lets time pass up to `end` where nothing is to happen before.
    pub fn pass(&mut self, end: Duration) {
        if self.next_at().is_none_or(|next| next >= end) {
            self.now = self.now.max(end);
        }
    }

    /// The next thing, at its time.
    pub fn pop(&mut self) -> Option<T> {
        let entry = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    // The heap gives its greatest first, which has to be the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}
