//! What peers have acknowledged, remembered for them (invariant 2).
//!
//! Kept in memory, and in control rows a moment later. A peer that lost the end of its log lost its newest commits,
//! and whoever heard an acknowledgement of any of those can tell it. All who heard would have to stop within that
//! moment for a loss to go unnoticed. Who did stop says so: then the peer mints nothing under the actors that it had
//! (invariant 1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use coterie_ring::NodeId;
use coterie_wire::peer::control::Heard;
use coterie_wire::{Committed, Run};

use super::rows::{self, OpenError};
use crate::rows::{Batch, Rows, Space};

/// Runs remembered of each peer.
const RUNS_MAX: usize = 8;
/// Lanes that a peer can have: more are not believed.
const LANES_MAX: usize = 1_024;

/// The highest commit that each lane acknowledged, in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Acknowledged {
    run: Run,
    commits: BTreeMap<u16, u64>,
}

/// What is remembered of all peers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Runs in the order they were heard of, the last one last.
    peers: BTreeMap<NodeId, Vec<Acknowledged>>,
    unsaved: BTreeSet<NodeId>,
    save_at: Option<Duration>,
    /// Whether more may have been heard of than was saved; then, the lanes that were heard from since.
    short: Option<BTreeSet<(NodeId, u16)>>,
}

impl Memory {
    /// As it was saved, with the addresses of rows that are damaged.
    pub(super) fn load(rows: &impl Rows) -> Result<(Memory, Vec<Bytes>), OpenError> {
        let mut memory = Memory::default();
        let mut damaged = Vec::new();
        for (address, value) in rows::scan(rows, &rows::all_remembered())? {
            let runs = rows::body(&address, &value).ok().and_then(decode);
            match (rows::peer_of(&address), runs) {
                (Some(peer), Some(runs)) => {
                    memory.peers.insert(peer, runs);
                }
                (None, _) | (_, None) => damaged.push(address),
            }
        }
        Ok((memory, damaged))
    }

    /// More may have been heard of than is here.
    pub(super) fn is_short(&mut self) {
        self.short = Some(BTreeSet::new());
    }

    /// Whether more may have been heard of a peer with so many lanes. What a lane says once more is its latest.
    pub(super) fn forgot(&self, peer: NodeId, lanes: Option<u16>) -> bool {
        let heard = |heard: &BTreeSet<_>| {
            lanes.is_some_and(|lanes| (0..lanes).all(|lane| heard.contains(&(peer, lane))))
        };
        self.short.as_ref().is_some_and(|short| !heard(short))
    }

    /// A peer acknowledged a commit.
    pub(super) fn note(&mut self, peer: NodeId, committed: Committed, save_at: Duration) {
        let runs = self.peers.entry(peer).or_default();
        let at = runs.iter().position(|known| known.run == committed.run);
        let at = at.unwrap_or_else(|| {
            if runs.len() == RUNS_MAX {
                runs.remove(0);
            }
            runs.push(Acknowledged { run: committed.run, commits: BTreeMap::new() });
            runs.len() - 1
        });
        let commits = &mut runs[at].commits;
        if commits.len() >= LANES_MAX && !commits.contains_key(&committed.lane) {
            return;
        }
        if let Some(heard) = &mut self.short {
            heard.insert((peer, committed.lane));
        }
        let number = commits.entry(committed.lane).or_default();
        if *number < committed.number {
            *number = committed.number;
            self.unsaved.insert(peer);
            self.save_at.get_or_insert(save_at);
        }
    }

    /// What a peer is told that asks.
    pub(super) fn of(&self, peer: NodeId) -> Vec<Heard> {
        let runs = self.peers.get(&peer).map_or(&[][..], Vec::as_slice);
        let heard = |known: &Acknowledged| Heard {
            run: known.run,
            commits: known.commits.iter().map(|(lane, number)| (*lane, *number)).collect(),
        };
        runs.iter().map(heard).collect()
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

fn encode(runs: &[Acknowledged]) -> Vec<u8> {
    let mut body = Vec::new();
    for known in runs {
        body.put_u64(known.run.0);
        body.put_u16(u16::try_from(known.commits.len()).expect("at most LANES_MAX"));
        for (lane, number) in &known.commits {
            body.put_u16(*lane);
            body.put_u64(*number);
        }
    }
    body
}

fn decode(mut body: Bytes) -> Option<Vec<Acknowledged>> {
    let mut runs = Vec::new();
    while !body.is_empty() {
        let run = Run(body.try_get_u64().ok()?);
        let lanes = body.try_get_u16().ok()?;
        let mut commits = BTreeMap::new();
        for _ in 0..lanes {
            let lane = body.try_get_u16().ok()?;
            commits.insert(lane, body.try_get_u64().ok()?);
        }
        runs.push(Acknowledged { run, commits });
    }
    (runs.len() <= RUNS_MAX).then_some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(7);

    fn noted(commits: &[(u64, u16, u64)]) -> Memory {
        let mut memory = Memory::default();
        for (run, lane, number) in commits {
            let committed = Committed { run: Run(*run), lane: *lane, number: *number };
            memory.note(PEER, committed, Duration::from_secs(1));
        }
        memory
    }

    #[test]
    fn the_highest_commit_of_each_lane_is_remembered_and_saved() {
        let memory = noted(&[(1, 0, 5), (1, 1, 9), (1, 0, 3)]);
        assert_eq!(memory.of(PEER), [Heard { run: Run(1), commits: vec![(0, 5), (1, 9)] }]);
        assert_eq!(memory.of(NodeId(8)), []);
        assert_eq!(memory.next_deadline(), Some(Duration::from_secs(1)));
        let runs = decode(encode(&memory.peers[&PEER]).into()).unwrap();
        assert_eq!(runs, memory.peers[&PEER]);
    }

    #[test]
    fn what_may_have_been_forgotten_is_known_again_once_every_lane_was_heard_from() {
        let mut memory = noted(&[(1, 0, 5), (1, 1, 9)]);
        assert!(!memory.forgot(PEER, Some(2)));
        memory.is_short();
        for (lane, forgot) in [(0, true), (7, true), (1, false)] {
            assert!(memory.forgot(PEER, Some(2)) && memory.forgot(PEER, None));
            let committed = Committed { run: Run(1), lane, number: 1 };
            memory.note(PEER, committed, Duration::from_secs(1));
            assert_eq!(memory.forgot(PEER, Some(2)), forgot);
        }
        assert!(memory.forgot(NodeId(8), Some(2)));
        memory.is_short();
        assert!(memory.forgot(PEER, Some(2)), "it is short once more");
    }

    #[test]
    fn runs_are_told_in_the_order_they_were_heard_of_and_the_last_are_kept() {
        let late = noted(&[(9, 0, 1), (2, 0, 2), (9, 0, 3)]);
        let runs: Vec<u64> = late.of(PEER).iter().map(|heard| heard.run.0).collect();
        assert_eq!(runs, [9, 2]);
        let many: Vec<_> = (0..10).map(|run| (run, 0, run + 1)).collect();
        let runs: Vec<u64> = noted(&many).of(PEER).iter().map(|heard| heard.run.0).collect();
        assert_eq!(runs, [2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
