//! What peers have acknowledged, remembered for them (invariant 2).
//!
//! Kept in memory, and in control rows a moment later. A peer that lost the end of its log lost its newest commits,
//! and whoever heard an acknowledgement of any of those can tell it. All who heard would have to stop within that
//! moment for a loss to go unnoticed: then it takes a failure of the whole cluster at once *and* a disk that lied
//! about having synced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use coterie_ring::NodeId;
use coterie_wire::peer::control::Remember;
use coterie_wire::{Committed, Incarnation};

use super::rows::{self, OpenError};
use crate::rows::{Batch, Rows, Space};

/// Lives remembered of each peer: those before the last only to tell that they are over.
const LIVES_MAX: usize = 4;
/// Lanes that a peer can have: more are not believed.
const LANES_MAX: usize = 1_024;

/// The highest commit that each lane acknowledged, in one life.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    incarnation: Incarnation,
    commits: BTreeMap<u16, u64>,
}

/// What is remembered of all peers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Lives in the order they were heard of, the last one last.
    peers: BTreeMap<NodeId, Vec<Life>>,
    unsaved: BTreeSet<NodeId>,
    save_at: Option<Duration>,
}

impl Memory {
    /// As it was saved, with the addresses of rows that are damaged.
    pub(super) fn load(rows: &impl Rows) -> Result<(Memory, Vec<Bytes>), OpenError> {
        let mut memory = Memory::default();
        let mut damaged = Vec::new();
        for (address, value) in rows::scan(rows, &rows::all_remembered())? {
            let lives = rows::body(&address, &value).ok().and_then(decode);
            match (rows::peer_of(&address), lives) {
                (Some(peer), Some(lives)) => {
                    memory.peers.insert(peer, lives);
                }
                (None, _) | (_, None) => damaged.push(address),
            }
        }
        Ok((memory, damaged))
    }

    /// A peer acknowledged a commit.
    pub(super) fn note(&mut self, peer: NodeId, committed: Committed, save_at: Duration) {
        let lives = self.peers.entry(peer).or_default();
        let at = lives.iter().position(|life| life.incarnation == committed.incarnation);
        let at = at.unwrap_or_else(|| {
            if lives.len() == LIVES_MAX {
                lives.remove(0);
            }
            lives.push(Life { incarnation: committed.incarnation, commits: BTreeMap::new() });
            lives.len() - 1
        });
        let commits = &mut lives[at].commits;
        if commits.len() >= LANES_MAX && !commits.contains_key(&committed.lane) {
            return;
        }
        let number = commits.entry(committed.lane).or_default();
        if *number < committed.number {
            *number = committed.number;
            self.unsaved.insert(peer);
            self.save_at.get_or_insert(save_at);
        }
    }

    /// What a peer is told that asks about one of its lives.
    pub(super) fn of(&self, peer: NodeId, incarnation: Incarnation) -> Remember {
        let lives = self.peers.get(&peer).map_or(&[][..], Vec::as_slice);
        let at = lives.iter().position(|life| life.incarnation == incarnation);
        let commits = at.map(|at| lives[at].commits.iter().map(|(lane, it)| (*lane, *it)));
        Remember {
            incarnation,
            commits: commits.into_iter().flatten().collect(),
            superseded: at.is_some_and(|at| at + 1 < lives.len()),
            tip: None,
        }
    }

    /// Forgets a peer that is no part of the cluster any more.
    pub(super) fn forget(&mut self, peer: NodeId, batch: &mut Batch) {
        if self.peers.remove(&peer).is_some() {
            self.unsaved.remove(&peer);
            batch.delete(Space::Control, rows::remembered(peer));
        }
    }

    /// When there is something to save.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.save_at
    }

    pub(super) fn save(&mut self, batch: &mut Batch) {
        self.save_at = None;
        for peer in std::mem::take(&mut self.unsaved) {
            rows::put(batch, rows::remembered(peer), &encode(&self.peers[&peer]));
        }
    }
}

fn encode(lives: &[Life]) -> Vec<u8> {
    let mut body = Vec::new();
    for life in lives {
        body.put_u64(life.incarnation.0);
        body.put_u16(u16::try_from(life.commits.len()).expect("at most LANES_MAX"));
        for (lane, number) in &life.commits {
            body.put_u16(*lane);
            body.put_u64(*number);
        }
    }
    body
}

fn decode(mut body: Bytes) -> Option<Vec<Life>> {
    let mut lives = Vec::new();
    while !body.is_empty() {
        let incarnation = Incarnation(body.try_get_u64().ok()?);
        let lanes = body.try_get_u16().ok()?;
        let mut commits = BTreeMap::new();
        for _ in 0..lanes {
            let lane = body.try_get_u16().ok()?;
            commits.insert(lane, body.try_get_u64().ok()?);
        }
        lives.push(Life { incarnation, commits });
    }
    (lives.len() <= LIVES_MAX).then_some(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(7);

    fn committed(incarnation: u64, lane: u16, number: u64) -> Committed {
        Committed { incarnation: Incarnation(incarnation), lane, number }
    }

    #[test]
    fn the_highest_commit_of_each_lane_is_remembered_and_saved() {
        let mut memory = Memory::default();
        for (lane, number) in [(0, 5), (1, 9), (0, 3)] {
            memory.note(PEER, committed(1, lane, number), Duration::from_secs(1));
        }
        assert_eq!(memory.of(PEER, Incarnation(1)).commits, [(0, 5), (1, 9)]);
        assert_eq!(memory.of(PEER, Incarnation(2)).commits, []);
        assert_eq!(memory.next_deadline(), Some(Duration::from_secs(1)));
        let lives = decode(encode(&memory.peers[&PEER]).into()).unwrap();
        assert_eq!(lives, memory.peers[&PEER]);
    }

    #[test]
    fn a_late_acknowledgement_of_an_earlier_life_does_not_end_a_later_one() {
        let mut memory = Memory::default();
        for incarnation in [1, 2, 1] {
            memory.note(PEER, committed(incarnation, 0, incarnation), Duration::ZERO);
        }
        assert!(memory.of(PEER, Incarnation(1)).superseded);
        assert!(!memory.of(PEER, Incarnation(2)).superseded);
        assert!(!memory.of(PEER, Incarnation(3)).superseded);
    }
}
