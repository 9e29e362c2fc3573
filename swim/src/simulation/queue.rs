//! What happens next: events ordered by virtual time, then by the order they were planned in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Something planned for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Planned {
    /// A node's deadline.
    Tick(u32),
    /// The packet in this buffer arrives.
    Packet(u32),
    /// The stream message in this buffer arrives.
    Stream(u32),
    /// A node that was stopped or blocked goes on.
    Resume(u32),
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, Planned)>>,
    planned: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Duration, what: Planned) {
        let nanos = u64::try_from(at.as_nanos()).expect("virtual time stays below 584 years");
        self.planned += 1;
        self.heap.push(Reverse((nanos, self.planned, what)));
    }

    /// The next event up to a time.
    pub(super) fn pop_until(&mut self, until: Duration) -> Option<(Duration, Planned)> {
        let Reverse((nanos, _, what)) = *self.heap.peek()?;
        let at = Duration::from_nanos(nanos);
        if at > until {
            return None;
        }
        self.heap.pop();
        Some((at, what))
    }
}
