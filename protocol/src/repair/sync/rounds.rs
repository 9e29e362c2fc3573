//! Rounds: peers that share slices exchange their digests every few seconds.
//!
//! Of two peers the one with the lower id asks every few seconds; either asks at once when it has a reason
//! to. A slice costs 20 bytes a round, and the answer names only what differs.

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::sync::{MalformedRoots, Root, Roots, Sync};
use coterie_wire::{Body, Message, RequestId, Slice};

use crate::effects::{Class, Effects};
use crate::lane::Shared;

/// A message compares so many slices at most.
const ROOTS_MAX: usize = 1_024;

/// Why a round is not left to its turn is often true of many nodes at once.
const SOON: Duration = Duration::from_millis(200);

/// An answer that has not come after this will not.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The exchange of digests with every peer that shares slices.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    peers: BTreeMap<NodeId, Peer>,
    asked: BTreeMap<RequestId, Asked>,
}

#[derive(Debug)]
struct Peer {
    /// When it is asked next; `None` where it is the one who asks.
    due: Option<Duration>,
    /// How many lanes it has, as far as that is known.
    lanes: u16,
}

/// Digests that a peer was asked to compare.
#[derive(Debug)]
struct Asked {
    peer: NodeId,
    at: Duration,
    roots: Vec<Root>,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// The digest of the slice was this on both sides.
    Equal(Slice, u128),
    /// The slices differ.
    Different(Slice),
}

impl Rounds {
    /// Others are alive, or own, than before: whoever is new is asked soon.
    pub(super) fn view_changed(&mut self, shared: &mut Shared) {
        let peers: Vec<NodeId> = {
            let owners = shared.slices.values().flat_map(|state| state.replica.sets().owners());
            let mut peers: Vec<NodeId> = owners.collect();
            peers.sort_unstable();
            peers.dedup();
            peers.retain(|peer| *peer != shared.me && shared.view.is_live(*peer));
            peers
        };
        self.peers.retain(|peer, _| peers.contains(peer));
        for peer in peers {
            let soon = soon(shared);
            let lanes = shared.lanes;
            let peer = self.peers.entry(peer).or_insert(Peer { due: None, lanes });
            peer.due = Some(peer.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// When the next round is.
    pub(super) fn due(&self) -> Option<Duration> {
        self.peers.values().filter_map(|peer| peer.due).min()
    }

    /// Asks the peers whose turn it is.
    pub(super) fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        self.asked.retain(|_, asked| asked.at + ANSWER_MAX > now);
        let due = |(peer, state): (&NodeId, &Peer)| {
            state.due.filter(|due| *due <= now).map(|_| (*peer, state.lanes))
        };
        let due: Vec<(NodeId, u16)> = self.peers.iter().filter_map(due).collect();
        for (peer, lanes) in due {
            let next = (shared.me < peer).then(|| next_round(shared));
            self.peers.entry(peer).and_modify(|state| state.due = next);
            for lane in 0..lanes {
                let roots: Vec<Root> = shared_roots(shared, peer)
                    .filter(|root| root.slice.partition.0 % lanes == lane)
                    .collect();
                for roots in roots.chunks(ROOTS_MAX) {
                    self.ask(shared, peer, roots.to_vec(), effects);
                }
            }
        }
    }

    fn ask(&mut self, shared: &mut Shared, peer: NodeId, roots: Vec<Root>, effects: &mut Effects) {
        let request = shared.draw_request();
        let sent = Sync::Roots { lanes: shared.lanes, roots: Roots::pack(roots.iter().copied()) };
        let message = shared.message(request, roots[0].slice, Body::Sync(sent));
        effects.send(peer, Class::Bulk, message);
        self.asked.insert(request, Asked { peer, at: shared.now.monotonic, roots });
    }

    /// A peer asks to compare digests: answers it.
    pub(super) fn asked(
        &mut self,
        shared: &Shared,
        from: NodeId,
        message: &Message,
        (lanes, roots): (u16, &Roots),
        effects: &mut Effects,
    ) -> Result<Vec<Compared>, MalformedRoots> {
        let Some(slice) = message.slice else { return Err(MalformedRoots) };
        let roots = roots.unpack()?;
        self.learn_lanes(from, lanes);
        let mine = roots.iter().filter(|root| shared.is_mine(root.slice.partition));
        let compared: Vec<Compared> = mine
            .filter_map(|root| {
                let state = shared.slices.get(&root.slice)?;
                let equal = state.epoch == root.epoch && state.tree.root() == root.digest;
                Some(if equal {
                    Compared::Equal(root.slice, root.digest)
                } else {
                    Compared::Different(root.slice)
                })
            })
            .collect();
        let differing = roots.iter().map(|root| root.slice).filter(|slice| {
            !compared.iter().any(|one| matches!(one, Compared::Equal(equal, _) if equal == slice))
        });
        let answer = Sync::Compared {
            lanes: shared.lanes,
            lane: shared.lane,
            differing: differing.collect(),
        };
        let answer = shared.message(message.request, slice, Body::Sync(answer));
        effects.send(from, Class::Bulk, answer);
        Ok(compared)
    }

    /// A peer has compared digests.
    pub(super) fn compared(
        &mut self,
        shared: &Shared,
        from: NodeId,
        request: RequestId,
        (lanes, lane): (u16, u16),
        differing: &[Slice],
    ) -> Vec<Compared> {
        self.learn_lanes(from, lanes);
        let Some(asked) = self.asked.remove(&request).filter(|asked| asked.peer == from) else {
            return Vec::new();
        };
        let compared = |root: &Root| -> Option<Compared> {
            let state = shared.slices.get(&root.slice)?;
            let looked_at = lanes > 0 && root.slice.partition.0 % lanes == lane;
            if !looked_at || state.epoch != root.epoch {
                return None;
            }
            Some(if differing.contains(&root.slice) {
                Compared::Different(root.slice)
            } else {
                Compared::Equal(root.slice, root.digest)
            })
        };
        asked.roots.iter().filter_map(compared).collect()
    }

    /// Slices of other lanes than the peer's that answers are asked about anew.
    fn learn_lanes(&mut self, peer: NodeId, lanes: u16) {
        if let Some(peer) = self.peers.get_mut(&peer).filter(|peer| peer.lanes != lanes)
            && lanes > 0
        {
            peer.lanes = lanes;
            peer.due = Some(Duration::ZERO);
        }
    }
}

/// The digests of the slices that `peer` owns too.
fn shared_roots(shared: &Shared, peer: NodeId) -> impl Iterator<Item = Root> {
    let both =
        shared.slices.values().filter(move |state| state.replica.sets().owners().contains(&peer));
    both.map(|state| Root { slice: state.slice, epoch: state.epoch, digest: state.tree.root() })
}

/// The time of the next round: around the usual interval, so that nodes do not fall into step.
fn next_round(shared: &mut Shared) -> Duration {
    let every = shared.settings.sync_every;
    let jitter = u32::try_from(shared.random() % 512).expect("below 512");
    shared.now.monotonic + every * (768 + jitter) / 1_024
}

fn soon(shared: &mut Shared) -> Duration {
    let jitter = u32::try_from(shared.random() % 1_024).expect("below 1,024");
    shared.now.monotonic + SOON * jitter / 1_024
}
