//! What all modules of a lane share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coterie_crdt::operation::Limits;
use coterie_crdt::{Actor, Clock};
use coterie_ring::moves::SetVersion;
use coterie_ring::{NodeId, Partition};
use coterie_swim::Now;
use coterie_wire::{Body, Key, Message, RequestId, Slice};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::jobs::Deadlines;
use crate::mutants::{Mutant, mutant};
use crate::repair::hints::HintStore;
use crate::rows::Batch;
use crate::slice::{KnownEpoch, Reception, SliceState, Votes};
use crate::view::View;

/// How a lane behaves. Defaults are those of DESIGN §7–§9.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How large things may be that clients write.
    pub limits: Limits,
    /// How far apart clocks may be: an expired key is removed twice as long after its time.
    pub clock_bound: Duration,
    /// Requests under way at once, before clients are told that the node is busy.
    pub requests_max: usize,
    /// How long a node remembers request ids, to answer a retry as before.
    pub remember_requests: Duration,
    /// Bytes of answers that are remembered for that: past them, the oldest are forgotten.
    pub remember_bytes_max: usize,
    /// Bytes of hints that a node keeps for each owner; past them a fallback refuses.
    pub hint_bytes_max: u64,
    /// Bytes of hints that a node lets others bring it in a second.
    pub hint_bytes_per_second: u64,
    /// How often digests are compared with each co-owner.
    pub sync_every: Duration,
    /// How many bytes of repair and transfers a lane takes in each second, below client traffic.
    pub repair_bytes_per_second: u64,
    /// How long a slice rests between two rounds of purge: longer costs remains of deleted keys, shorter messages
    /// to all members.
    pub purge_pause: Duration,
    /// How long the scrub waits between two chunks of at most 256 rows.
    pub scrub_pause: Duration,
    /// How long it rests before it walks over all rows again.
    pub scrub_rest: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            clock_bound: Duration::from_millis(500),
            requests_max: 65_536,
            remember_requests: Duration::from_secs(60),
            remember_bytes_max: 16 << 20,
            hint_bytes_max: 4 << 30,
            hint_bytes_per_second: 16 << 20,
            sync_every: Duration::from_secs(4),
            repair_bytes_per_second: 16 << 20,
            purge_pause: Duration::from_secs(60),
            scrub_pause: Duration::from_millis(250),
            scrub_rest: Duration::from_secs(6 * 60 * 60),
        }
    }
}

/// What a lane has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages about slices that this node does not own.
    pub not_owner: u64,
    /// Messages about a slice whose sender is no member of the cluster.
    pub strangers: u64,
    /// Messages whose sender knows too old owners.
    pub layout_stale: u64,
    /// Messages whose sender knows newer owners than this node.
    pub layout_behind: u64,
    /// Writes to a slice that this node has retired from.
    pub retired: u64,
    /// Messages with an older purge epoch than the slice's.
    pub epoch_stale: u64,
    /// Messages with a newer one.
    pub epoch_ahead: u64,
    /// Reads of what this node has not received, or may have lost.
    pub not_ready: u64,
    /// Messages that contradict themselves: their key is of another slice, or too long.
    pub malformed: u64,
    /// Writes for which the disk, or the memory set aside, was too full.
    pub full: u64,
    /// Writes whose time had passed.
    pub expired: u64,
    /// Keys of which a damaged row was found.
    pub damaged_keys: u64,
    /// Keys of which a scrub repaired what is kept about their rows.
    pub scrubbed_keys: u64,
    /// Leaves of digest trees that a scrub repaired.
    pub scrubbed_leaves: u64,
}

/// The part of a lane that its modules share.
#[derive(Debug)]
pub struct Shared {
    /// This node.
    pub me: NodeId,
    /// This lane.
    pub lane: u16,
    /// How many lanes the node has.
    pub lanes: u16,
    /// How it behaves.
    pub settings: Settings,
    /// The time of the event at hand.
    pub now: Now,
    /// The cluster as control sees it.
    pub view: Arc<View>,
    /// The slices that this lane owns.
    pub slices: BTreeMap<Slice, SliceState>,
    /// When keys of each partition expire first.
    pub deadlines: Deadlines,
    /// The hints that this lane keeps.
    pub hints: HintStore,
    /// The purge epochs of slices that this node does not own, where an owner has told it. Durable.
    pub epochs: BTreeMap<Slice, KnownEpoch>,
    /// The slices that count nowhere, because something was lost or is being dropped.
    pub unreceived: BTreeSet<Slice>,
    /// The slices that are received again, and whose votes on strong keys do not count yet.
    pub voteless: BTreeSet<Slice>,
    /// Stamps assignments.
    pub clock: Clock,
    /// The last batch's number.
    pub committed: u64,
    /// That of the last batch with something minted here that is as durable as the node's setting asks; 0 before the first.
    pub durable: u64,
    /// What has been counted.
    pub counters: Counters,
    pub(super) random: Xoshiro256PlusPlus,
}

impl Shared {
    /// A random number.
    pub fn random(&mut self) -> u64 {
        self.random.random()
    }

    /// A new actor.
    pub fn draw_actor(&mut self) -> Actor {
        Actor(self.random())
    }

    /// A new request id, for what this node asks of others by itself.
    pub fn draw_request(&mut self) -> RequestId {
        RequestId(self.random.random())
    }

    /// Whether a partition is this lane's.
    #[must_use]
    pub fn is_mine(&self, partition: Partition) -> bool {
        partition.0 % self.lanes == self.lane
    }

    /// Whether this node is an owner of a slice in some live set. One that is so no more keeps its copy for a while,
    /// and is a fallback like any other.
    #[must_use]
    pub fn owns(&self, slice: Slice) -> bool {
        let state = self.slices.get(&slice);
        state.is_some_and(|state| state.replica.sets().owners().contains(&self.me))
    }

    /// The state of a key's slice, where this node owns it.
    #[must_use]
    pub fn slice_of(&self, key: &Key) -> Option<&SliceState> {
        self.slices.get(&self.view.slice(key)?)
    }

    /// The purge epoch of a slice, owned or not.
    #[must_use]
    pub fn epoch(&self, slice: Slice) -> u64 {
        let owned = self.slices.get(&slice).map(|state| state.epoch);
        owned.or_else(|| self.epochs.get(&slice).map(|known| known.epoch)).unwrap_or(0)
    }

    /// The newest purge epoch of a slice, owned or not, that every member is known here to have confirmed.
    #[must_use]
    pub fn settled(&self, slice: Slice) -> u64 {
        let owned = self.slices.get(&slice).map(|state| state.epoch_min);
        owned.or_else(|| self.epochs.get(&slice).map(|known| known.settled)).unwrap_or(0)
    }

    /// A slice has from now on been received so far.
    pub fn receive(&mut self, slice: Slice, reception: Reception, batch: &mut Batch) {
        let of = self.view.incarnation;
        let Some(state) = self.slices.get_mut(&slice) else { return };
        let was_received = state.is_received();
        (state.reception, state.reception_of) = (reception, of);
        if !state.is_received() {
            self.unreceived.insert(slice);
        } else {
            self.unreceived.remove(&slice);
            if !was_received && !mutant(Mutant::LostVotesCount) {
                // Every proposal that what was lost may have been promised to is of this epoch at most.
                let from = state.epoch.saturating_add(1);
                state.votes = Votes::Lost { from, met: BTreeSet::new() };
                self.voteless.insert(slice);
            }
        }
        state.store_reception(batch);
    }

    /// The newest owner set that is known of a slice.
    #[must_use]
    pub fn newest_set(&self, slice: Slice) -> SetVersion {
        let state = self.slices.get(&slice);
        state.map_or_else(|| self.view.live_sets(slice).tag(), |state| state.replica.sets().tag())
    }

    /// A message about a slice, tagged with what this lane knows of it.
    #[must_use]
    pub fn message(&self, request: RequestId, slice: Slice, body: Body) -> Message {
        Message {
            request,
            slice: Some(slice),
            layout: self.newest_set(slice),
            epoch: self.epoch(slice),
            time_left: None,
            trace: 0,
            committed: None,
            body,
        }
    }
}
