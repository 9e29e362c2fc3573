//! Responses: what is known of a request afterwards.

use bytes::Bytes;
use coterie_crdt::operation::{OpError, Reply};
use coterie_crdt::{Context, Dot};
use coterie_ring::NodeId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::grows::grows;

/// How many took part, of how many that must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuorumCount {
    /// How many did.
    pub have: u8,
    /// How many must.
    pub need: u8,
}

impl QuorumCount {
    /// So many of so many; counts past 255 are shown as 255.
    #[must_use]
    pub fn of(have: usize, need: usize) -> Self {
        let small = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        QuorumCount { have: small(have), need: small(need) }
    }
}

/// The dots that a request minted and dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedDots {
    /// Minted. Of what is done, the dot of a value that was assigned comes before that of what was removed with it.
    pub minted: Vec<Dot>,
    /// Observed, and so dropped or replaced.
    pub observed: Context,
    /// The purge epoch that they were minted under.
    pub epoch: u64,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// What each operation answered. One that failed changed nothing.
    pub replies: Vec<Result<Reply, OpError>>,
    /// What was changed; nothing by a read.
    pub changed: ChangedDots,
    /// The context that was read, and the purge epoch it belongs to: what a monotonic session and a client's
    /// context token go on from.
    pub seen: (Context, u64),
    /// Owners that hold it durably (of a write) or showed it (of a read), the coordinator among them.
    pub owners: Vec<NodeId>,
    /// Fallbacks that counted.
    pub fallbacks: Vec<NodeId>,
    /// Whether every owner of every live set holds what was written: then a session need not remember it.
    pub everywhere: bool,
    /// Who answered what, where that was asked for.
    pub explanation: Option<Box<Explanation>>,
}

/// Why nothing was stored, and nothing will be.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Refused {
    /// No operation was given.
    #[error("a request needs an operation")]
    Empty,
    /// No bucket has this name; buckets are made before they are used.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// The key is too large for a client.
    #[error("{0}")]
    Key(OpError),
    /// The level is not one that this bucket, or this kind of request, has.
    #[error("this level is not one for such a request: {0}")]
    Level(LevelRefused),
    /// The operation's answer depends on what it changes; at this level that needs a bucket of kind
    /// `strong`.
    #[error("at level linearizable this command's answer cannot be promised; use a strong bucket")]
    NeedsStrong,
    /// The bucket is `strong`, which has compare-and-set registers only.
    #[error("a strong bucket takes GET, SET, GETDEL, INCR and DEL only")]
    OnlyRegisters,
    /// The value of a strong key would exceed its limit.
    #[error("a strong value of {bytes} bytes exceeds the limit of {bytes_max}")]
    StrongValue {
        /// How large.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// More would have to be held in memory at once than one request may.
    #[error("this would take more than {bytes_max} bytes at once; use a SCAN")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The disk is so full that clients may not write.
    #[error("the disk is almost full; reads go on")]
    DiskFull,
    /// More requests are under way than memory is set aside for; try again.
    #[error("too many requests are under way; try again")]
    Busy,
    /// What clients of the node have under way takes as much memory as it may; try again.
    #[error(
        "what clients have under way takes the {bytes_max} bytes of memory that it may take in all; try again"
    )]
    NoMemory {
        /// How much it may take.
        bytes_max: u64,
    },
    /// Its time had passed before it began.
    #[error("the deadline had passed before the request began")]
    Expired,
    /// This node is about to stop, or has not started.
    #[error("this node does not serve requests now")]
    NotServing,
}

/// Why a level is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum LevelRefused {
    /// A read has to ask somebody.
    #[error("a read cannot be at level any")]
    AnyRead,
    /// Strong buckets have one level.
    #[error("a strong bucket has no levels")]
    Strong,
    /// Both sides of a request are linearizable, or none.
    #[error("linearizable is for reads and writes together")]
    Half,
}

/// Nothing was stored: too few could be reached, or would take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Unavailable {
    /// By the liveness view, before anything was sent.
    #[error("too few owners are alive: {} of {}", .0.have, .0.need)]
    Owners(QuorumCount),
    /// Asked, too few answered in time; nothing was written.
    #[error("too few owners answered: {} of {}", .0.have, .0.need)]
    Answers(QuorumCount),
    /// No owner could be reached, nor a fallback.
    #[error("no owner or fallback can be reached")]
    Nobody,
    /// What the session must see cannot be shown.
    #[error("what this session has written or read cannot be reached now")]
    Session,
    /// A row of the key is damaged here; it is being fetched from others.
    #[error("the key's rows are damaged here and are being repaired")]
    Damaged,
    /// The fallbacks keep as many hints as they may.
    #[error("the hint stores are full")]
    HintsFull,
}

/// What is known of a request afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was done, at the level asked for.
    Done(Box<Answered>),
    /// Nothing was stored, because of what was asked.
    Refused(Refused),
    /// Nothing was stored, because of who could be reached.
    Unavailable(Unavailable),
    /// It was committed, and too few confirmed it in time: it may yet take effect, and does as soon as its
    /// holders meet the others.
    Unknown {
        /// How many hold it.
        count: QuorumCount,
        /// What it changed, where that is known.
        changed: ChangedDots,
    },
}

impl Outcome {
    /// Appends it as bytes, as it crosses the wire: to be kept without what it shares with others.
    pub fn write(&self, out: &mut Vec<u8>) {
        rmp_serde::encode::write(out, self).expect("memory takes what is written");
    }

    /// Reads what [`Outcome::write`] has written; `None` where that is something else.
    #[must_use]
    pub fn read(mut bytes: &[u8]) -> Option<Outcome> {
        rmp_serde::decode::from_read(&mut bytes).ok()
    }

    /// About how many bytes its replies have.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        match self {
            Outcome::Done(answered) => answered.replies.iter().flatten().map(reply_bytes).sum(),
            Outcome::Refused(_) | Outcome::Unavailable(_) | Outcome::Unknown { .. } => 0,
        }
    }
}

fn reply_bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Value(value) => value.len(),
        Reply::Values(values) => values.iter().flatten().map(|value| value.len() + 16).sum(),
        Reply::Pairs(pairs) => pairs.iter().map(|(a, b)| a.len() + b.len() + 32).sum(),
        Reply::Scored(scored) => scored.iter().map(|(name, _)| name.len() + 32).sum(),
        Reply::Siblings(values, _) => values.iter().map(|value| value.len() + 16).sum(),
        Reply::Entries(entries) => entries
            .iter()
            .map(|(path, value)| path.iter().map(Bytes::len).sum::<usize>() + value.len() + 32)
            .sum(),
        Reply::Contents(contents) => {
            contents.as_ref().map_or(0, |contents| 64 * contents.cells.len())
        }
        Reply::Registers(registers) => 4 * registers.len(),
        Reply::Scores(scores) => 16 * scores.len(),
        Reply::Integers(integers) => 8 * integers.len(),
        Reply::Done
        | Reply::Nothing
        | Reply::Integer(_)
        | Reply::Score(_)
        | Reply::Ranked(..)
        | Reply::Type(_) => 16,
    }
}

/// A request's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// What is known.
    pub outcome: Outcome,
}

/// Who had a part in a request, and what they said: for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The coordinator.
    pub coordinator: Option<NodeId>,
    /// Owners of the newest set, first owner first.
    pub owners: Vec<NodeId>,
    /// Owners of older sets, while the partition moves.
    pub older_owners: Vec<NodeId>,
    /// What each node said, in the order of arrival: the node, and a word for its answer.
    pub answers: Vec<(NodeId, Bytes)>,
    /// The live dots of the key's cells that were read, with their cells' addresses.
    pub dots: Vec<(Bytes, Vec<Dot>)>,
    /// Owners for which this node keeps hints of the key.
    pub hinted: Vec<NodeId>,
    /// The key's digest at the coordinator.
    pub digest: u128,
    /// The slice's purge epoch at the coordinator.
    pub epoch: u64,
}

grows! {
    QuorumCount { have, need }
    ChangedDots { minted, observed, epoch }
    Answered { replies, changed, seen, owners, fallbacks, everywhere, explanation }
    Explanation { coordinator, owners, older_owners, answers, dots, hinted, digest, epoch }
    Response { outcome }
}
