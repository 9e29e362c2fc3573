//! Purge by acknowledgement: dropping what remains of deleted keys.

use coterie_ring::moves::SetVersion;
use serde::{Deserialize, Serialize};

use crate::Key;
use crate::grows::grows;

/// The most keys that one round drops.
pub const PURGE_KEYS_MAX: usize = 128;

/// What remains of a key in which nothing is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Which key.
    pub key: Key,
    /// Its digest, context included.
    pub digest: u128,
}

/// A message about the purge of one slice. The purge epoch is that of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// The decision in force at the sender. Members heed each other only where it is the same, so that all mean the
    /// same members.
    pub decided: SetVersion,
    /// What is said.
    pub said: Said,
    /// The newest epoch that every member has confirmed, as far as the sender knows: it never says too much.
    pub settled: u64,
}

/// What members say to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// To an owner, by a member that is none and does not know the epoch: which is it?
    Ask,
    /// The answer: the one that this message bears.
    Told,
    /// To owners, by one whose epoch every member has confirmed: what is the same at you, with nothing live?
    Propose(Vec<Remains>),
    /// The answer: one flag for each, as it is on disk.
    Reported(Vec<bool>),
    /// To all members: the epoch is this; confirm it once no hint of an older one is kept.
    Adopt,
    /// The epoch is adopted on disk. No hint of an older one is kept or will be, and nothing of an older one is
    /// sent any more.
    Confirmed,
    /// To owners: every member has confirmed the epoch. State of an older one is refused from now on, and these
    /// remains are dropped where they are still the same.
    Drop(Vec<Remains>),
    /// That is done, on disk.
    Dropped,
    /// To the first live owner: go on to a later epoch, though there may be nothing to drop.
    Renew,
}

grows! {
    Purge { decided, said, settled }
    Remains { key, digest }
}
