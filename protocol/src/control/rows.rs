//! Control's rows: where they lie, and how damage is noticed (docs/formats.md, "Control rows").

use bytes::{Buf, Bytes};
use coterie_ring::moves::SetVersion;
use coterie_ring::{Malformed, NodeId};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::rows::{Batch, Direction, KeyRange, NotResident, Row, Rows, Space, address};

/// Whose the storage is, and how it was left.
pub(super) const IDENTITY: &str = "identity";
/// The processes that this storage has seen.
pub(super) const RUNS: &str = "runs";
/// The generation of this process.
pub(super) const GENERATION: &str = "generation";
/// What is asked for.
pub(super) const INTENT: &str = "intent";
/// What this node voted for last.
pub(super) const VOTE: &str = "vote";
/// Members, as the failure detector remembers them.
pub(super) const MEMBERS: &str = "members";
/// Owner sets that a forced epoch overruled.
pub(super) const OVERRULED: &str = "overruled";
/// The last decision to which others were skipped.
pub(super) const SKIPPED: &str = "skipped";
/// What an operator gave up.
pub(super) const GIVEN_UP: &str = "given up";
/// A decision: its version follows.
const DECISION: &str = "decision ";
/// What a peer acknowledged: its id follows.
const REMEMBERED: &str = "remembered ";

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// Why a node cannot start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The storage belongs to another cluster.
    #[error(
        "the storage belongs to cluster {stored:032x} and this node to {configured:032x}: \
         check the path of the data and the certificate"
    )]
    OtherCluster {
        /// As it was written.
        stored: u128,
        /// As this node was told.
        configured: u128,
    },
    /// The storage belongs to another node.
    #[error(
        "the storage belongs to node {stored} and this is {configured}: \
         check the path of the data and the certificate"
    )]
    OtherNode {
        /// As it was written.
        stored: NodeId,
        /// As this node was told.
        configured: NodeId,
    },
    /// A row was written by a later version.
    #[error(
        "control row {row:?} has format {format}: a later version wrote it; start that version"
    )]
    Later {
        /// Its address.
        row: Bytes,
        /// Its format.
        format: u8,
    },
    /// A row that the node cannot do without is damaged. Nothing was changed.
    #[error(
        "control row {row:?} is damaged: the storage cannot be trusted. Let a new node with an \
         empty storage replace this one (the others have its data), or restore a backup"
    )]
    Damaged {
        /// Its address.
        row: Bytes,
    },
    /// The cluster has removed this node; an id is never used again.
    #[error("the cluster has removed this node: start with an empty storage and a new id")]
    Removed,
    /// Control rows are read before anything runs: the driver fetches them and opens again.
    #[error(transparent)]
    NotResident(#[from] NotResident),
}

/// Why one row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    Later { format: u8 },
    Damaged,
}

impl Unusable {
    pub(super) fn of(self, row: Bytes) -> OpenError {
        match self {
            Unusable::Later { format } => OpenError::Later { row, format },
            Unusable::Damaged => OpenError::Damaged { row },
        }
    }
}

impl From<Malformed> for Unusable {
    fn from(_: Malformed) -> Self {
        Unusable::Damaged
    }
}

/// The address of a decision.
pub(super) fn decision(version: SetVersion) -> Bytes {
    let mut address = address::node_row(DECISION).to_vec();
    address.extend_from_slice(&version.epoch.to_be_bytes());
    address.extend_from_slice(&version.number.to_be_bytes());
    address.into()
}

/// All decisions, in order.
pub(super) fn decisions() -> KeyRange {
    KeyRange::prefix(address::node_row(DECISION))
}

/// The address of what `peer` acknowledged.
pub(super) fn remembered(peer: NodeId) -> Bytes {
    let mut address = address::node_row(REMEMBERED).to_vec();
    address.extend_from_slice(&peer.0.to_be_bytes());
    address.into()
}

/// What all peers acknowledged.
pub(super) fn all_remembered() -> KeyRange {
    KeyRange::prefix(address::node_row(REMEMBERED))
}

/// The id at the end of an address of [`remembered`].
pub(super) fn peer_of(address: &[u8]) -> Option<NodeId> {
    let id = address.last_chunk()?;
    Some(NodeId(u128::from_be_bytes(*id)))
}

/// Writes a row.
pub(super) fn put(batch: &mut Batch, address: Bytes, body: &[u8]) {
    let mut value = Vec::with_capacity(1 + body.len() + CHECKSUM_BYTES);
    value.push(FORMAT);
    value.extend_from_slice(body);
    let sum = checksum(&address, &value);
    value.extend_from_slice(&sum.to_be_bytes());
    batch.put(Space::Control, address, value);
}

/// The body of a row's value.
pub(super) fn body(address: &[u8], value: &Bytes) -> Result<Bytes, Unusable> {
    let end = value.len().checked_sub(CHECKSUM_BYTES).filter(|end| *end > 0);
    let end = end.ok_or(Unusable::Damaged)?;
    let (written, mut sum) = (value.slice(..end), value.slice(end..));
    if checksum(address, &written) != sum.get_u64() {
        return Err(Unusable::Damaged);
    }
    match written[0] {
        FORMAT => Ok(written.slice(1..)),
        format => Err(Unusable::Later { format }),
    }
}

/// A row that may be missing.
pub(super) fn get(rows: &impl Rows, name: &'static str) -> Result<Option<Bytes>, OpenError> {
    let address = address::node_row(name);
    let Some(value) = rows.get(Space::Control, &address)? else { return Ok(None) };
    match body(&address, &value) {
        Ok(body) => Ok(Some(body)),
        Err(unusable) => Err(unusable.of(address)),
    }
}

/// All rows of a range, in pages.
pub(super) fn scan(rows: &impl Rows, range: &KeyRange) -> Result<Vec<Row>, OpenError> {
    const PAGE: usize = 256;
    let mut range = range.clone();
    let mut all = Vec::new();
    loop {
        let page = rows.scan(Space::Control, &range, Direction::Forward, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        let mut next = last.to_vec();
        next.push(0);
        range.from = next.into();
        all.extend(page);
    }
}

/// The address is part of it, so that a row does not pass for another.
fn checksum(address: &[u8], value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, xxh3_64_with_seed(address, 0))
}
