//! What a lane keeps of each slice that it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_crdt::{Actor, Actors, Context};
use coterie_ring::NodeId;
use coterie_ring::moves::Replica;
use coterie_wire::{Incarnation, SessionDots, Slice};

use crate::digests::Tree;

/// How much of a slice this node has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// As much as its moves say.
    Whole,
    /// It may have lost some that it acknowledged (invariant 2): it coordinates nothing and counts nowhere until
    /// synchronised with every other owner that is not removed.
    Amnesiac {
        /// Owners with which it has been synchronised since.
        synchronised: Vec<NodeId>,
    },
    /// Its rows are being deleted, by a job of chunks. Then it is received afresh, or forgotten.
    Dropping,
    /// Its copy was dropped, for it was of an older purge epoch (invariant 19) or had come to the end of its
    /// hold: it begins empty, and goes on as one that has lost all.
    Afresh {
        /// Owners with which it has been synchronised since.
        synchronised: Vec<NodeId>,
    },
}

/// Whether what this node votes on strong keys of a slice counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Votes {
    /// It remembers all that it promised and voted for.
    Count,
    /// It has lost some, and abstains until it has all votes of every other owner, as they were under a later purge
    /// epoch than any that it may have promised in.
    Lost {
        /// The first such epoch.
        from: u64,
        /// Owners whose votes are here, as they were under it or a later one. In memory.
        met: BTreeSet<NodeId>,
    },
}

/// What a node knows of the purge epoch of a slice that it does not own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownEpoch {
    /// Borne by what it says of the slice, and by the hints of it that it keeps.
    pub epoch: u64,
    /// The newest that every member is known to have confirmed: where it comes to own the slice, what is older is
    /// refused.
    pub settled: u64,
}

impl Reception {
    /// The owners with which a slice that counts nowhere has been synchronised.
    #[must_use]
    pub fn synchronised(&self) -> Option<&[NodeId]> {
        match self {
            Reception::Amnesiac { synchronised } | Reception::Afresh { synchronised } => {
                Some(synchronised)
            }
            Reception::Whole | Reception::Dropping => None,
        }
    }

    /// There was a loss. What was brought before may be lost with the rest: every owner is a source again.
    pub(crate) fn begin_again(&mut self) {
        match self {
            Reception::Whole => *self = Reception::Amnesiac { synchronised: Vec::new() },
            Reception::Amnesiac { synchronised } | Reception::Afresh { synchronised } => {
                synchronised.clear();
            }
            Reception::Dropping => {}
        }
    }
}

/// A slice of which this node is an owner in a live set, or was until a moment ago: copies outlive that
/// (`coterie_ring::moves::HOLD`).
#[derive(Clone, Debug)]
pub struct SliceState {
    /// Which.
    pub slice: Slice,
    /// The actors to mint under. Durable.
    pub actors: Actors,
    /// The life of the storage that the actors were drawn in: in another one they are spent. Durable.
    pub actors_of: Incarnation,
    /// The purge epoch: borne by all state that is read here. Durable.
    pub epoch: u64,
    /// State that bears an older epoch than this is refused as stale: the epoch itself once every member is known to
    /// have confirmed it, and an earlier one that they have until then. Durable.
    pub epoch_min: u64,
    /// How far the slice is moved. Durable.
    pub replica: Replica,
    /// How much of it is here. Durable.
    pub reception: Reception,
    /// The life of the storage that the reception is about. Durable.
    pub reception_of: Incarnation,
    /// Whether its votes on strong keys count, once it is received. Durable.
    pub votes: Votes,
    /// Sums of the digests of its keys.
    pub tree: Tree,
    /// When it was last found equal with each co-owner, in time since the node's start.
    pub verified: BTreeMap<NodeId, Duration>,
    /// Owners of the newest set that have got all of this copy since they are owners, while it moves.
    pub brought: BTreeSet<NodeId>,
    /// Owners that lack something that was given up, and have to be synchronised. Durable.
    pub dirty: BTreeSet<NodeId>,
}

impl SliceState {
    /// A slice that this node begins to own, with nothing in it.
    #[must_use]
    pub fn begin(slice: Slice, actor: Actor, of: Incarnation, replica: Replica) -> Self {
        SliceState {
            slice,
            actors: Actors::new(actor),
            actors_of: of,
            epoch: 0,
            epoch_min: 0,
            replica,
            reception: Reception::Whole,
            reception_of: of,
            votes: Votes::Count,
            tree: Tree::default(),
            verified: BTreeMap::new(),
            brought: BTreeSet::new(),
            dirty: BTreeSet::new(),
        }
    }

    /// Whether this node may coordinate for the slice and be counted, moves aside.
    #[must_use]
    pub fn is_received(&self) -> bool {
        self.reception == Reception::Whole
    }

    /// Whether state that bears `epoch` may be joined: what is older may hold what was purged here (invariant 19).
    #[must_use]
    pub fn admits_epoch(&self, epoch: u64) -> bool {
        epoch >= self.epoch_min
    }

    /// What of a session `seen` does not show, and somebody has to; and whether there is more that may have been purged.
    ///
    /// What was purged nobody covers: then all there is has been shown once every owner has. Nothing is purged before every
    /// member has confirmed that it keeps no hint of that epoch. Dots of later epochs are there all the same.
    pub(crate) fn unseen(&self, session: &SessionDots, seen: &Context) -> (SessionDots, bool) {
        let unseen = session.not_in(seen);
        let lacking = unseen.since(self.epoch_min);
        let purged = lacking != unseen;
        (lacking, purged)
    }

    /// Draws a new actor and spends all earlier ones: dots minted before may have been lost, or what they were
    /// minted on was dropped (invariant 1).
    pub fn spend_actors(&mut self, actor: Actor, of: Incarnation) {
        (self.actors, self.actors_of) = (Actors::new(actor), of);
    }

    /// Whether this node may vote on strong keys of the slice.
    #[must_use]
    pub fn votes(&self) -> bool {
        self.is_received() && self.votes == Votes::Count
    }

    /// Whether what this node has promised binds it in what it learns: not where it has lost votes and is at a later epoch.
    /// All its promises were made under earlier ones, and its votes do not count before every other owner was seen to vote on
    /// nothing that was proposed then.
    pub(crate) fn promises_bind(&self) -> bool {
        !matches!(self.votes, Votes::Lost { from, .. } if self.epoch >= from)
    }

    /// All that `with` has of the slice is here, its votes included, and it was under the purge epoch that this node is at.
    pub(crate) fn met(&mut self, with: NodeId) {
        if let Votes::Lost { from, met } = &mut self.votes
            && self.epoch >= *from
        {
            met.insert(with);
        }
    }

    /// Whether what this copy and the one of `with` lack of each other is still to be brought by pushes, by an owner at a
    /// time (docs/decisions/0452): comparing the two would send it several times.
    #[must_use]
    pub fn is_being_brought(&self, me: NodeId, with: NodeId) -> bool {
        let sets = self.replica.sets();
        let gains = |node| {
            let owned = sets.older().iter().any(|set| set.contains(node));
            sets.newest().contains(node) && !owned
        };
        let pushes = self.replica.pushes_due().any(|to| to == with);
        pushes && !self.brought.contains(&with)
            || self.replica.awaits_push(with)
            || sets.is_moving() && gains(me) && gains(with)
    }

    /// Names this copy: another name whenever what was received may be lost, or was dropped.
    #[must_use]
    pub fn life(&self) -> Actor {
        self.actors.current()
    }

    /// The other owners in live sets that are in the cluster.
    pub fn others(&self, me: NodeId) -> impl Iterator<Item = NodeId> + use<> {
        self.replica.sets().owners().into_iter().filter(move |owner| *owner != me)
    }
}
