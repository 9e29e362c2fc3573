//! Storing at other owners.

use coterie_crdt::{Delta, Partial};
use coterie_ring::moves::SetVersion;
use serde::{Deserialize, Serialize};

use crate::grows::grows;

use super::hint::HintFor;
use crate::Key;

/// How durable a write has to be before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Durability {
    /// As each node's `sync` setting says.
    AsSet,
    /// On disk, whatever it says: what is linearizable.
    Synced,
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// What one request changed.
    Delta(Delta),
    /// Some cells of a replica: read repair, and what is left of queued deltas after a purge.
    Partial(Partial),
    /// A whole key of a replica, context and all.
    Whole(Partial),
}

/// Store this.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Under which key.
    pub key: Key,
    /// What.
    pub change: Change,
    /// How durable it has to be before it is answered.
    pub durability: Durability,
    /// For whom: an owner that is down and whose hint the receiver, a fallback, is to keep; `None` for the
    /// receiver itself.
    pub hint_for: Option<HintFor>,
    /// The digest that the whole key has at the sender after this write, which rests on no more than the sender's own rows: an
    /// owner that comes to the same says so. `None` where nothing is to be said of that.
    pub expects: Option<u128>,
}

/// What came of a write at one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WriteAnswer {
    /// It is stored as durably as was asked.
    Stored,
    /// It is stored as durably as was asked, by an owner that counts nowhere yet: it has not received the
    /// slice, or may have lost some of it (invariant 2).
    NotReceived,
    /// A hint of it is stored as durably as was asked.
    Hinted,
    /// The receiver is an owner no more; that counts in older sets.
    Retired,
    /// One of both knows too old a layout.
    OtherLayout {
        /// The newest set that the receiver knows.
        known: SetVersion,
    },
    /// It bears an older purge epoch than the receiver's.
    StaleEpoch {
        /// The receiver's.
        epoch: u64,
    },
    /// It bears a newer purge epoch than the receiver's.
    EpochAhead {
        /// The receiver's.
        epoch: u64,
    },
    /// The receiver is no owner.
    NotOwner,
    /// The disk is too full, or as many hints are kept as may be. The sender marks the slice dirty.
    Full,
    /// The receiver's rows of this key are damaged; it is fetching them.
    Damaged,
    /// Its time had passed before it was stored.
    Expired,
    /// It is stored as durably as was asked, and the key is now the same as at the sender, which has thus seen all that the
    /// receiver has: the receiver counts among those that show what they have, too.
    StoredSame,
}

grows! {
    Write { key, change, durability, hint_for; later expects }
}
