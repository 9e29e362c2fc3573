//! What clients ask for, and how often.

use coterie_ring::Level;

use super::Sort;

/// Levels of writes.
const WRITES: [Level; 9] = [
    Level::Any,
    Level::One,
    Level::Two,
    Level::Quorum,
    Level::Quorum,
    Level::All,
    Level::LocalOne,
    Level::LocalQuorum,
    Level::EachQuorum,
];

/// What clients ask for, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Sorts of keys that the checkers know, each as often as it is listed.
    pub sorts: Vec<Sort>,
    /// Of 1,000 operations, how many are on keys of types that the checkers know nothing of.
    pub others_permille: u32,
    /// Of 1,000 operations on others than strong keys, how many are in the sloppy bucket.
    pub sloppy_permille: u32,
    /// Of 1,000 operations on keys that the checkers know, how many read.
    pub reads_permille: u32,
    /// Of 1,000 writes to a key that may be deleted whole, how many do so, besides those that its sort has anyway.
    pub deletes_permille: u32,
    /// What writes wait for, each level as often as it is listed; where nodes may lose data, others are taken.
    pub writes: Vec<Level>,
    /// Of 1,000 requests, how many come when their time is over: they may not be executed.
    pub late_permille: u32,
    /// Of 1,000 operations on keys that the checkers know nothing of, how many add many elements to a large set.
    pub large_permille: u32,
    /// Whether keys are named in pairs, the two of each in one leaf of the digest trees.
    pub twins: bool,
}

impl Default for Mix {
    fn default() -> Self {
        Mix {
            sorts: Sort::ALL.to_vec(),
            others_permille: 120,
            sloppy_permille: 350,
            reads_permille: 400,
            deletes_permille: 0,
            writes: WRITES.to_vec(),
            late_permille: 0,
            large_permille: 0,
            twins: false,
        }
    }
}
