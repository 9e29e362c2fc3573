//! What a history is made of besides operations: declared buckets and sessions, and the owners' final
//! states.

use std::fmt::{Display, Formatter, Result as FmtResult};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{BucketId, Name, Operation, SessionId};

/// A client's time: nanoseconds since the history began, on one clock for the whole history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// After everything.
    pub const MAX: Nanos = Nanos(u64::MAX);
}

/// The id of a write, opaque here; minted once, ever. In JSON it is a string of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot(pub u128);

impl Display for Dot {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        write!(f, "{:x}", self.0)
    }
}

impl Serialize for Dot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        u128::from_str_radix(&digits, 16).map(Dot).map_err(de::Error::custom)
    }
}

/// A node that owns a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub u64);

/// What a bucket promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketKind {
    /// Only owners count.
    Strict,
    /// Fallbacks count too, so quorums need not intersect.
    Sloppy,
    /// Compare-and-set registers.
    Strong,
}

/// A bucket that operations name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Its name in the history.
    pub bucket: BucketId,
    /// How many owners each of its keys has: the lesser of the policy's replicas and the nodes.
    pub replicas: u32,
    /// What it promises.
    pub kind: BucketKind,
}

/// A session that operations name, with what it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Its name in the history.
    pub session: SessionId,
    /// Whether it reads its own writes.
    pub read_your_writes: bool,
    /// Whether what it has read stays read.
    pub monotonic_reads: bool,
}

/// A part of a key that lives and is removed as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// An element of the set.
    Element(Name),
    /// The register.
    Register,
    /// The flag; it lives while it is up.
    Flag,
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self {
            Cell::Element(element) => write!(f, "element {element}"),
            Cell::Register => f.write_str("the register"),
            Cell::Flag => f.write_str("the flag"),
        }
    }
}

/// A cell that lives at an owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveCell {
    /// Which cell.
    pub cell: Cell,
    /// The register's values that the owner shows; of other cells none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Name>,
    /// All of its live dots, where the recorder could see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dots: Option<Vec<Dot>>,
}

/// One owner's state of one key, read from it alone after the run has healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalState {
    /// Whose state.
    pub owner: Owner,
    /// The key's bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: Name,
    /// When it was read.
    pub at: Nanos,
    /// What lives.
    pub cells: Vec<LiveCell>,
    /// The counter's sum; 0 where there is none.
    pub counter: i64,
}

/// One line of a stored history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A bucket, before the operations that name it.
    Bucket(Bucket),
    /// A session, before the operations that name it.
    Session(Session),
    /// An operation.
    Operation(Operation),
    /// An owner's final state.
    Final(FinalState),
}
