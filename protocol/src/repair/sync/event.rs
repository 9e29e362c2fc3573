//! What others ask of sync, and what it tells them.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::{Key, RequestId, Slice};

use crate::repair::barrier::BarrierId;

/// Who asked for a synchronisation, so that the answer finds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// The coordinator, for this request.
    Coordinator(RequestId),
    /// A linearizable read or write, with this request.
    Linearizable(RequestId),
    /// The moving of ownership: a push.
    Moving,
    /// The reception of a slice after loss.
    Amnesia,
    /// The scrub, to fetch what was damaged here.
    Scrub,
    /// A convergence barrier, for this slice or a key in it.
    Barrier(BarrierId, Slice),
    /// An operator, or nobody in particular: nothing is told.
    Nobody,
}

/// What happens to sync from within its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Synchronise one key with one owner now; [`Told::Key`] follows, always.
    Key {
        /// Which.
        key: Key,
        /// With whom.
        with: NodeId,
        /// Who asks.
        asker: Asker,
    },
    /// Begin a complete synchronisation of a slice with an owner now, whether or not another one is under
    /// way; [`Told::Slice`] follows, always.
    Now {
        /// Which.
        slice: Slice,
        /// With whom.
        with: NodeId,
        /// Who asks.
        asker: Asker,
    },
    /// Something sent to an owner was given up: compare the slice with it at once.
    Dirty {
        /// Which.
        slice: Slice,
        /// With whom.
        with: NodeId,
    },
    /// All cells of another replica's key are on their way here.
    Transfer {
        /// In which slice.
        slice: Slice,
        /// Of which key.
        key: Key,
        /// Whether some have just been joined.
        moved: bool,
    },
    /// A transfer that nobody goes on with is given up, the next rows of it.
    GiveUp {
        /// Of which key.
        key: Key,
    },
    /// A session that it began goes on with the next chunk of rows.
    Ours {
        /// Names the session.
        session: RequestId,
    },
    /// A session that a peer began goes on with the next chunk of rows.
    Theirs {
        /// Who began it.
        peer: NodeId,
        /// Names the session.
        session: RequestId,
    },
}

/// Why a synchronisation did not come to its end. What it joined stays joined; another one may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The peer cannot be reached, or does not answer.
    #[error("the peer does not answer")]
    Unreachable,
    /// The peer, or this node, is no owner, or is at another layout or purge epoch.
    #[error("the peer refuses")]
    Refused,
    /// A key waits for the sweep of a delete, or is damaged: the rest was joined.
    #[error("some keys cannot be synchronised yet")]
    Incomplete,
    /// All was joined but votes on strong keys: an owner has promised more than the other has voted for, and a
    /// majority has to decide once more.
    #[error("some strong keys wait for a decision")]
    Undecided {
        /// Whether this node lacks votes of the peer.
        here: bool,
        /// Whether the peer lacks votes of this node.
        there: bool,
    },
    /// As many synchronisations are under way as may be.
    #[error("too many synchronisations are under way")]
    Busy,
}

/// What sync tells the rest of its lane, once it is as durable as the node's `sync` setting asks, here and
/// at the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The answer to [`Event::Key`].
    Key {
        /// Which.
        key: Key,
        /// With whom.
        with: NodeId,
        /// Who asked.
        asker: Asker,
        /// Whether all that either had when this began is now joined in both.
        outcome: Result<(), SyncError>,
    },
    /// The answer to [`Event::Now`].
    Slice {
        /// Which.
        slice: Slice,
        /// With whom.
        with: NodeId,
        /// Who asked.
        asker: Asker,
        /// When it began, as time since the node's start.
        began: Duration,
        /// Whether all that either had when this began is now joined in both: every leaf was equal, or its
        /// differing keys were joined.
        outcome: Result<(), SyncError>,
    },
    /// The digests of the whole slice were equal here and at a co-owner.
    RootsEqual {
        /// Of which slice.
        slice: Slice,
        /// At whom.
        with: NodeId,
        /// The digest.
        root: u128,
    },
}
