//! Which members are still to be told of, those told of least first.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::identity::NodeId;
use crate::members::IdMap;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Tells this entry's place in the queues from those of entries it replaced.
    stamp: u32,
    with_attributes: bool,
}

/// A queue of members per number of transmissions.
///
/// Ids only: a record is read when it is sent, so the newest goes out and nothing is kept twice.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    entries: IdMap<Entry>,
    levels: Vec<VecDeque<(NodeId, u32)>>,
    next_stamp: u32,
}

impl Broadcasts {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Tells of a member from the beginning; with its attributes if they are news, now or still.
    pub(crate) fn push(&mut self, id: NodeId, with_attributes: bool) {
        let stamp = self.next_stamp;
        self.next_stamp = self.next_stamp.wrapping_add(1);
        let with_attributes =
            with_attributes || self.entries.get(&id).is_some_and(|entry| entry.with_attributes);
        self.entries.insert(id, Entry { stamp, with_attributes });
        // Replaced and withdrawn entries keep their places until they are reached, which may be never.
        let queued: usize = self.levels.iter().map(VecDeque::len).sum();
        if queued > 2 * self.entries.len() + 64 {
            let Self { entries, levels, .. } = self;
            for level in levels {
                level.retain(|(id, stamp)| entries.get(id).is_some_and(|e| e.stamp == *stamp));
            }
        }
        self.level(0).push_back((id, stamp));
    }

    /// Stops telling of a member.
    pub(crate) fn remove(&mut self, id: NodeId) {
        self.entries.remove(&id);
    }

    /// Offers members until one is refused, and counts a transmission for each accepted.
    ///
    /// Each is accepted at most once per call, and `transmissions` times in all.
    pub(crate) fn fill(
        &mut self,
        transmissions: u32,
        mut accept: impl FnMut(NodeId, bool) -> bool,
    ) {
        let mut full = false;
        // What is accepted waits at the side: the next queue would offer it again.
        let mut moves: SmallVec<[(usize, NodeId, u32); 16]> = SmallVec::new();
        for level in 0..self.levels.len() {
            while !full && let Some((id, stamp)) = self.levels[level].pop_front() {
                let Some(entry) = self.entries.get(&id).filter(|entry| entry.stamp == stamp) else {
                    continue;
                };
                if accept(id, entry.with_attributes) {
                    moves.push((level + 1, id, stamp));
                } else {
                    self.levels[level].push_front((id, stamp));
                    full = true;
                }
            }
        }
        for (level, id, stamp) in moves {
            if level >= transmissions as usize {
                self.entries.remove(&id);
            } else {
                self.level(level).push_back((id, stamp));
            }
        }
    }

    fn level(&mut self, level: usize) -> &mut VecDeque<(NodeId, u32)> {
        while self.levels.len() <= level {
            self.levels.push(VecDeque::new());
        }
        &mut self.levels[level]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(broadcasts: &mut Broadcasts, per_packet: usize, transmissions: u32) -> Vec<u128> {
        let mut sent = Vec::new();
        let mut room = per_packet;
        broadcasts.fill(transmissions, |id, _| {
            let fits = room > 0;
            room = room.saturating_sub(1);
            if fits {
                sent.push(id.0);
            }
            fits
        });
        sent
    }

    #[test]
    fn least_told_goes_first_and_everything_is_told_as_often_as_agreed() {
        let mut broadcasts = Broadcasts::default();
        broadcasts.push(NodeId(1), false);
        assert_eq!(drain(&mut broadcasts, 1, 2), [1]);
        broadcasts.push(NodeId(2), false);
        assert_eq!(drain(&mut broadcasts, 1, 2), [2]);
        assert_eq!(drain(&mut broadcasts, 2, 2), [1, 2]);
        assert!(broadcasts.is_empty());
    }

    #[test]
    fn news_of_a_member_starts_over_and_keeps_attributes_still_to_be_told() {
        let mut broadcasts = Broadcasts::default();
        broadcasts.push(NodeId(1), true);
        assert_eq!(drain(&mut broadcasts, 1, 2), [1]);
        broadcasts.push(NodeId(1), false);
        let mut with_attributes = Vec::new();
        for _ in 0..3 {
            broadcasts.fill(2, |_, with| {
                with_attributes.push(with);
                true
            });
        }
        assert_eq!(with_attributes, [true, true]);
    }

    #[test]
    fn replaced_entries_take_no_room_for_ever() {
        // Sent never, and once in a while: then they wait in a queue that is never reached.
        for sent_at_once in [0, 1] {
            let mut broadcasts = Broadcasts::default();
            for round in 0..10_000_u128 {
                broadcasts.push(NodeId(round % 10), false);
                broadcasts.push(NodeId((round + 1) % 10), false);
                drain(&mut broadcasts, sent_at_once, 8);
            }
            let queued: usize = broadcasts.levels.iter().map(VecDeque::len).sum();
            assert!(queued < 200, "{queued}");
        }
    }
}
