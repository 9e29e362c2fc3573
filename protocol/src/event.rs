//! What happens to a lane, and what lanes tell control.

use std::sync::Arc;

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_wire::{Committed, Incarnation, List, Message, Request, RequestId, Slice};

use crate::effects::ClientId;
use crate::jobs;
use crate::linearizable;
use crate::listing;
use crate::moving;
use crate::repair::hints;
use crate::repair::purge;
use crate::repair::sync;
use crate::repair::{amnesia, barrier, scrub};
use crate::strong;
use crate::view::View;
use crate::{coordinator, replica};

/// What happens to a lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client of this node asks.
    Request {
        /// Who, at the front door.
        client: ClientId,
        /// What.
        request: Box<Request>,
    },
    /// A client of this node asks for keys. It is answered by [`Action::Listed`](crate::Action::Listed).
    List {
        /// Who, at the front door.
        client: ClientId,
        /// For which.
        list: Box<List>,
    },
    /// A message came from another node, on a connection whose certificate names it.
    Message {
        /// From whom.
        from: NodeId,
        /// What it says.
        message: Box<Message>,
    },
    /// A message could not be sent, or the connection it went by was lost: it may or may not have arrived.
    Unreachable {
        /// To whom.
        to: NodeId,
        /// What it was about.
        request: RequestId,
    },
    /// Control has another picture of the cluster.
    View(Arc<View>),
    /// The time of [`Lane::next_deadline`](crate::Lane::next_deadline) has come.
    Tick,
    /// The coordinator goes on.
    Coordinator(coordinator::Event),
    /// Somebody asks for a synchronisation, or one goes on.
    Sync(sync::Event),
    /// What a synchronisation has come to.
    Synced(sync::Told),
    /// Strong keys go on.
    Strong(strong::Event),
    /// Linearizable reads go on.
    Linearizable(linearizable::Event),
    /// Listings of keys go on.
    Listing(listing::Event),
    /// The owner's side goes on.
    Replica(replica::Event),
    /// Jobs go on.
    Jobs(jobs::Event),
    /// The scrub goes on, or a damaged row was come upon.
    Scrub(scrub::Event),
    /// Hints go on.
    Hints(hints::Event),
    /// Moves of ownership go on.
    Moving(moving::Event),
    /// Purges of deleted keys go on.
    Purge(purge::Event),
    /// Receptions after a loss go on.
    Amnesia(amnesia::Event),
    /// Somebody waits until owners are equal.
    Barrier(barrier::Event),
}

/// What lanes tell control.
#[derive(Clone, Debug)]
pub enum ControlEvent {
    /// A peer's answer says what it has committed: to be remembered for it (invariant 2). Lanes tell the
    /// highest of what came in a tenth of a second.
    Acknowledged {
        /// Who.
        peer: NodeId,
        /// What it said.
        committed: Committed,
    },
    /// A message bears owners that this node's layout does not know yet: fetch it.
    LayoutBehind {
        /// Who knows more.
        peer: NodeId,
        /// The owner set that it named.
        known: SetVersion,
    },
    /// The move of a slice is done: all owners said so.
    MoveDone {
        /// Which.
        slice: Slice,
        /// The newest set.
        version: SetVersion,
    },
    /// How far the move of a slice is, for people. Told at most once a second.
    MoveProgress {
        /// Which.
        slice: Slice,
        /// Parts of 1,000 that this node has received, or verified.
        permille: u16,
    },
    /// A move went on without the pushes of removed owners: what fewer owners acknowledged may be lost.
    Excused {
        /// Which.
        slice: Slice,
        /// The removed owners.
        pushers: Vec<NodeId>,
    },
    /// All that the owners of an overruled set held has been brought to the owners in force.
    OverruledDone {
        /// Which.
        slice: Slice,
        /// The overruled set.
        version: SetVersion,
    },
    /// A lane has dealt with a loss: each of its slices is whole again. Said once for every incarnation in
    /// which a view said [`View::amnesiac`], by every lane, also by one without slices.
    Received {
        /// Which lane.
        lane: u16,
        /// In which life.
        incarnation: Incarnation,
    },
    /// Whether a lane keeps hints: told at its start, when they become none or some, and when it takes no more. A draining
    /// node is removed only once no lane keeps any or takes any (invariant 18).
    HintsKept {
        /// Which lane.
        lane: u16,
        /// Whether it keeps any.
        any: bool,
        /// Whether it takes no more: its view [has handed over](crate::View::has_handed_over).
        closed: bool,
    },
}
