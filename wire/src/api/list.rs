//! Listing the keys of a bucket: a page of one partition at a time, in the order of their hashes.

use std::time::Duration;

use bytes::Bytes;
use coterie_crdt::Shown;
use coterie_ring::{KeyHash, Level, NodeId, Partition, Partitioner};
use serde::{Deserialize, Serialize};

use super::outcome::{Refused, Unavailable};
use super::request::RequestId;
use crate::grows::grows;

/// Asks for a page of the keys of a bucket. It goes to the lane of [`List::partition`].
///
/// A page is of one partition, however many keys were asked for, and may hold fewer, or none, though more follow:
/// only [`Page::next`] says whether there are any. Whoever asks again from there until there is no next has seen every
/// key that was there all the time, at least once; a key that was written or deleted meanwhile may be seen or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its name, in traces and messages.
    pub id: RequestId,
    /// Of which bucket.
    pub bucket: Bytes,
    /// Where the page begins.
    pub from: ListFrom,
    /// How many keys it holds at most; lanes hold it to [`LIST_KEYS_MAX`], and to less where names are long.
    pub keys_max: u32,
    /// How many owners are asked; what is `None` the bucket's policy says. `linearizable` asks a majority, as `quorum`
    /// does: no listing is linearizable.
    pub read: Option<Level>,
    /// How long the client waits, from when this was sent.
    pub time_left: Duration,
}

/// The most keys on one page.
pub const LIST_KEYS_MAX: u32 = 512;

/// Where in a bucket a page begins. The top bits of a hash are its partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFrom {
    /// The first hash.
    pub hash: u64,
    /// Of the keys with just this hash, those after the one of this name, in the order of rows: shorter names first.
    /// Only where a page ends among keys with equal hashes. What a front door gives its clients as a cursor is the
    /// hash alone, so it asks on by itself until there is no such name.
    pub after: Option<Bytes>,
}

impl ListFrom {
    /// From the first key of a partition on.
    #[must_use]
    pub fn partition(partition: Partition, partitioner: Partitioner) -> Self {
        ListFrom { hash: partitioner.first_hash(partition).0, after: None }
    }

    /// From the first key of the next partition on; `None` after the last.
    #[must_use]
    pub fn next_partition(partition: Partition, partitioner: Partitioner) -> Option<Self> {
        let hash = partitioner.last_hash(partition).0.checked_add(1)?;
        Some(ListFrom { hash, after: None })
    }
}

impl List {
    /// The partition whose keys are listed.
    #[must_use]
    pub fn partition(&self, partitioner: Partitioner) -> Partition {
        partitioner.partition(KeyHash(self.from.hash))
    }
}

/// What is known of a listing afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listed {
    /// A page.
    Page(Page),
    /// It was not begun, because of what was asked.
    Refused(Refused),
    /// Too few owners could be reached, or would take part.
    Unavailable(Unavailable),
}

/// Some keys, in the order of their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys that are there, none of them [`Shown::Nothing`].
    pub keys: Vec<ListedKey>,
    /// Where the next page begins, in this partition or another; `None` after the last of the bucket.
    pub next: Option<ListFrom>,
    /// The owners that have shown what they have, the coordinator among them.
    pub owners: Vec<NodeId>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// Its name.
    pub name: Bytes,
    /// What it is to a client.
    pub shown: Shown,
}

grows! {
    List { id, bucket, from, keys_max, read, time_left }
    ListFrom { hash, after }
    Page { keys, next, owners }
    ListedKey { name, shown }
}
