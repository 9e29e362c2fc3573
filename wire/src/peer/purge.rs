//! Purge by acknowledgement: dropping what remains of deleted keys.

use crate::Key;
use crate::grows::grows;
use serde::{Deserialize, Serialize};

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

/// What the members of a cluster say to each other about the purge of one slice. The purge epoch is that of
/// the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purge {
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
}

grows! {
    Remains { key, digest }
}
