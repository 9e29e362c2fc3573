//! What a run came to.

use std::collections::BTreeMap;

use crate::fault::Fault;

/// How much happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Things taken from the queue.
    pub events: u64,
    /// Bytes of messages between nodes, where they were made into bytes.
    pub bytes: u64,
    /// Operations that clients asked for.
    pub operations: u64,
    /// Of those, how many were done.
    pub acknowledged: u64,
    /// How many were refused or unavailable: nothing was stored.
    pub declined: u64,
    /// How many may or may not have taken place.
    pub unknown: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<Fault, u64>,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Counts) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.declined += other.declined;
        self.unknown += other.unknown;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How much happened.
    pub counts: Counts,
    /// The hash of all that happened: equal for equal runs.
    pub trace: u64,
    /// What was wrong; none of it may be.
    pub violations: Vec<String>,
    /// The last lines of the trace, where they were asked for.
    pub lines: Vec<String>,
}
