//! Listing keys: forwarded to an owner, who asks others for what they have.

use bytes::Bytes;
use coterie_ring::moves::{Quorum, SetVersion};
use serde::{Deserialize, Serialize};

use crate::grows::grows;

use crate::{List, ListFrom, Listed};

/// What nodes say to each other about a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// Coordinate this: the receiver is an owner. It changes nothing, so more than one owner may be told.
    Forward(List),
    /// The answer to a forwarded one.
    Forwarded(Listed),
    /// Show the keys that you have.
    Show(ShowKeys),
    /// The answer to that.
    Shown(ShownKeys),
}

/// Show the keys that you have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowKeys {
    /// Of which bucket.
    pub bucket: Bytes,
    /// From where on, to the end of the partition.
    pub from: ListFrom,
    /// How many at most.
    pub keys_max: u32,
    /// Which owner set is read.
    pub set: SetVersion,
    /// With what quorum: an owner that has not received enough for it refuses.
    pub quorum: Quorum,
}

/// Keys that an owner has rows of, in the order of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownKeys {
    /// The keys.
    pub keys: Vec<KeyShown>,
    /// All that it has before this is there; `None` for the end of the partition.
    pub end: Option<ListFrom>,
}

/// A key that an owner has rows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShown {
    /// Its name.
    pub name: Bytes,
    /// Its digest; `None` where it cannot be told now.
    pub digest: Option<u128>,
    /// Whether only remains of it are left, which make nothing live whatever they are joined with.
    pub remains: bool,
}

grows! {
    ShowKeys { bucket, from, keys_max, set, quorum }
    ShownKeys { keys, end }
    KeyShown { name, digest, remains }
}
