//! Messages between nodes.

pub mod amnesia;
pub mod control;
pub mod hint;
pub mod linearizable;
pub mod listing;
pub mod moving;
pub mod purge;
pub mod read;
pub mod strong;
pub mod sync;
pub mod write;

use serde::{Deserialize, Serialize};
use std::time::Duration;

use coterie_ring::moves::SetVersion;

use crate::{Request, RequestId, Response, Slice};

/// A node's life as its storage knows it: drawn at random when the storage is made, after an unclean stop
/// of the machine, a restore, or an IO error.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

/// A run of a node: one process from its start to its end. Drawn at random at each start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Run(pub u64);

/// What the sender has durably committed: borne by everything that promises something, and by what follows it. Peers
/// remember the highest and tell a node that lost some of it (invariants 1 and 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Committed {
    /// In which run. What an earlier one committed it found when it started, or that is lost.
    pub run: Run,
    /// By which lane.
    pub lane: u16,
    /// Up to which batch of that lane.
    pub number: u64,
}

/// One frame between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it is about, or answers.
    pub request: RequestId,
    /// The slice, of what is about one: it goes to the lane of its partition. `None` goes to control.
    pub slice: Option<Slice>,
    /// The newest owner set of the slice that the sender knows.
    pub layout: SetVersion,
    /// The purge epoch of the slice that the sender was in when it read the state carried here; the lowest
    /// of all that it is derived from.
    pub epoch: u64,
    /// How long the one who asks still waits, from when this was sent.
    pub time_left: Option<Duration>,
    /// Names the client's request that this is part of, in traces of all nodes; 0 for none.
    pub trace: u64,
    /// What the sender has durably committed: in a message that waited for the disk, the commit that it waited for; in
    /// another, the last one with something that the lane coordinated, once there is one.
    pub committed: Option<Committed>,
    /// What is said.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Coordinate this: the receiver is an owner, or a fallback where no owner is reachable.
    Forward(Box<Request>),
    /// The answer to a forwarded request.
    Forwarded(Box<Response>),
    /// Store a delta or a partial state.
    Write(Box<write::Write>),
    /// The answer to that.
    Wrote(write::WriteAnswer),
    /// Show part of a key.
    Read(Box<read::Read>),
    /// The answer to that.
    Shown(read::ReadAnswer),
    /// Join this and say what you have: one lap of a linearizable read.
    Query(Box<linearizable::Query>),
    /// The answer to that.
    Queried(Box<linearizable::QueryAnswer>),
    /// A request to the register of a strong key.
    Register(Box<strong::RegisterRequest>),
    /// The answer to that.
    Registered(Box<strong::RegisterReply>),
    /// A vote of another owner of a strong key: repair, moving and scrubbing of registers.
    Vote(Box<strong::LateVote>),
    /// Of the synchronisation of slices.
    Sync(sync::Sync),
    /// Of hints: their pacing, and those given up.
    Hint(hint::HintMessage),
    /// How far the move of a slice is.
    Move(moving::Move),
    /// A slice is received again after a loss.
    Reception(amnesia::Reception),
    /// The purge of a slice.
    Purge(Box<purge::Purge>),
    /// Of the listing of keys.
    Listing(Box<listing::Listing>),
    /// What the control of one node says to that of another.
    Control(control::ControlMessage),
    /// The message named by the request id was not taken: nothing was changed.
    Refused(PeerRefusal),
}

impl Body {
    /// Whether this answers something: then nobody waits for an answer to it.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Body::Forwarded(_)
            | Body::Wrote(_)
            | Body::Shown(_)
            | Body::Queried(_)
            | Body::Registered(_)
            | Body::Refused(_) => true,
            Body::Sync(said) => {
                matches!(said, sync::Sync::Compared { .. } | sync::Sync::Answer { .. })
            }
            Body::Hint(said) => {
                matches!(said, hint::HintMessage::Grant { .. } | hint::HintMessage::Marked { .. })
            }
            Body::Move(said) => matches!(said, moving::Move::Ready { .. }),
            Body::Reception(said) => matches!(said, amnesia::Reception::Source { .. }),
            Body::Purge(purge) => {
                use purge::Said::{Confirmed, Dropped, Reported, Told};
                matches!(purge.said, Told | Reported(_) | Confirmed | Dropped)
            }
            Body::Listing(said) => {
                matches!(**said, listing::Listing::Forwarded(_) | listing::Listing::Shown(_))
            }
            Body::Forward(_)
            | Body::Write(_)
            | Body::Read(_)
            | Body::Query(_)
            | Body::Register(_)
            | Body::Vote(_)
            | Body::Control(_) => false,
        }
    }
}

/// Why a message was not taken. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PeerRefusal {
    /// Its kind is not known here: a newer version speaks.
    #[error("messages of kind {kind} are not known here")]
    Unsupported {
        /// The kind.
        kind: u16,
    },
    /// Its body does not decode.
    #[error("the message does not decode")]
    Malformed,
    /// It is larger than a message may be.
    #[error("the message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// It is of another cluster.
    #[error("the message is of another cluster")]
    OtherCluster,
    /// It bears an older purge epoch than the receiver's: what it carries must be derived anew (invariant
    /// 19).
    #[error("the state is older than purge epoch {epoch}")]
    StaleEpoch {
        /// The receiver's epoch.
        epoch: u64,
    },
    /// It bears a newer purge epoch than the receiver's, which must first receive the slice afresh or
    /// adopt the epoch.
    #[error("the receiver is only at purge epoch {epoch}")]
    EpochAhead {
        /// The receiver's epoch.
        epoch: u64,
    },
    /// The sender knows too old owners, or the receiver does.
    #[error("the owners known to the receiver are those of version {}", .known.number)]
    OtherLayout {
        /// The newest set that the receiver knows.
        known: SetVersion,
    },
    /// The receiver has no such slice and is not to have it.
    #[error("the receiver is no owner")]
    NotOwner,
    /// The receiver has not received enough of the slice to coordinate, or may have lost some of it.
    #[error("the receiver has not received enough of the slice")]
    NotReceived,
}
