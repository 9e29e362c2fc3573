//! The connection of two nodes: its streams, and what is under way on them.

use std::collections::VecDeque;
use std::time::Duration;

use coterie_protocol::Class;
use coterie_wire::RequestId;

use crate::network::Parcel;

/// Of messages sent, so many at most are remembered as perhaps not arrived.
const UNACKNOWLEDGED_MAX: usize = 256;

/// A connection, or the place of the next one.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Counts the connections of the pair.
    pub(super) number: u64,
    /// Whether it stands; if not, the next message makes it.
    pub(super) up: bool,
    /// Whether one side's process is gone without the other knowing.
    pub(super) peer_gone: bool,
    /// When the last message of each stream arrives: none overtakes another.
    pub(super) last_arrival: [Duration; 4],
    /// Messages that are sent again until the path lets them pass.
    pub(super) stalled: Vec<Parcel>,
    /// Messages whose arrival the sender does not know of: its direction, when they arrive, its life.
    unacknowledged: VecDeque<(bool, Duration, u64, RequestId)>,
}

impl Connection {
    pub(super) fn stream(&self, upwards: bool, class: Class) -> usize {
        usize::from(upwards) * 2 + usize::from(class == Class::Bulk)
    }

    pub(super) fn sent(&mut self, upwards: bool, arrives: Duration, life: u64, request: RequestId) {
        if self.unacknowledged.len() == UNACKNOWLEDGED_MAX {
            self.unacknowledged.pop_front();
        }
        self.unacknowledged.push_back((upwards, arrives, life, request));
    }

    pub(super) fn forget_arrived(&mut self, before: Duration) {
        while self.unacknowledged.front().is_some_and(|(_, arrived, ..)| *arrived < before) {
            self.unacknowledged.pop_front();
        }
    }

    /// Ends it: the messages whose arrival their senders do not know of.
    pub(super) fn lose(&mut self) -> Vec<(bool, u64, RequestId)> {
        self.number += 1;
        self.up = false;
        self.last_arrival = [Duration::ZERO; 4];
        let lost = std::mem::take(&mut self.unacknowledged);
        lost.into_iter().map(|(upwards, _, life, request)| (upwards, life, request)).collect()
    }
}
