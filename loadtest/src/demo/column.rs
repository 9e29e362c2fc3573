//! The three columns that stand side by side, and the two sides of the cut.

use coterie_check::{BucketId, BucketKind, Level};
use serde::{Deserialize, Serialize};

/// Owners of each key.
pub(crate) const REPLICAS: u32 = 3;

/// Nodes of the cluster.
pub(crate) const NODES: usize = 5;

/// The node that is killed, on the right.
pub(crate) const VICTIM: usize = 4;

/// How much a shop asks of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Always available: a sloppy bucket, `any`/`one`.
    Ap,
    /// A strict bucket, `quorum`/`quorum`.
    Quorum,
    /// Consistent: a strict bucket at `linearizable`, and a strong one for stock and names.
    Cp,
}

/// A bucket, as it is made and as checkers know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) name: &'static str,
    pub(crate) id: BucketId,
    pub(crate) kind: BucketKind,
    pub(crate) write: Level,
    pub(crate) read: Level,
}

const AP: Bucket = Bucket {
    name: "shop-ap",
    id: BucketId(0),
    kind: BucketKind::Sloppy,
    write: Level::Any,
    read: Level::One,
};

const QUORUM: Bucket = Bucket {
    name: "shop-quorum",
    id: BucketId(1),
    kind: BucketKind::Strict,
    write: Level::Quorum,
    read: Level::Quorum,
};

const CP_CARTS: Bucket = Bucket {
    name: "shop-cp",
    id: BucketId(2),
    kind: BucketKind::Strict,
    write: Level::Linearizable,
    read: Level::Linearizable,
};

const CP_LEDGER: Bucket = Bucket {
    name: "shop-cp-strong",
    id: BucketId(3),
    kind: BucketKind::Strong,
    write: Level::Linearizable,
    read: Level::Linearizable,
};

/// All buckets.
pub(crate) const BUCKETS: [Bucket; 4] = [AP, QUORUM, CP_CARTS, CP_LEDGER];

impl Column {
    /// All of them, from the most available to the most consistent.
    pub const ALL: [Column; 3] = [Column::Ap, Column::Quorum, Column::Cp];

    /// As it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Column::Ap => "AP",
            Column::Quorum => "quorum",
            Column::Cp => "CP",
        }
    }

    /// What it asks for.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Column::Ap => "sloppy bucket, any/one",
            Column::Quorum => "strict bucket, quorum/quorum",
            Column::Cp => "strict bucket, linearizable; stock and names in a strong bucket",
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Column::Ap => 0,
            Column::Quorum => 1,
            Column::Cp => 2,
        }
    }

    /// Where carts and addresses are.
    pub(crate) fn carts(self) -> Bucket {
        match self {
            Column::Ap => AP,
            Column::Quorum => QUORUM,
            Column::Cp => CP_CARTS,
        }
    }

    /// Where stock and names are.
    pub(crate) fn ledger(self) -> Bucket {
        match self {
            Column::Ap => AP,
            Column::Quorum => QUORUM,
            Column::Cp => CP_LEDGER,
        }
    }

    /// Whether an operation can be done where so many of the key's owners are reached: what theory says.
    pub(crate) fn can_be_done(self, owners_reached: usize) -> bool {
        match self {
            // A fallback's hint counts, and is read.
            Column::Ap => true,
            Column::Quorum | Column::Cp => owners_reached >= 2,
        }
    }
}

/// A side of the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Nodes 0 and 1.
    Left,
    /// Nodes 2, 3 and 4.
    Right,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// As it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Side::Left => 0,
            Side::Right => 1,
        }
    }

    pub(crate) fn nodes(self) -> Vec<usize> {
        match self {
            Side::Left => vec![0, 1],
            Side::Right => (2..NODES).collect(),
        }
    }
}
