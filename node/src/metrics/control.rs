//! What control publishes about once a second.

/// What control's thread had counted when it published.
#[derive(Clone, Debug, Default)]
pub struct ControlSnapshot {
    /// What the failure detector has counted.
    pub gossip: coterie_swim::Counters,
    /// Messages that were for lanes and named no slice.
    pub misplaced: u64,
    /// How the storage is.
    pub storage: StorageFacts,
}

/// How the storage is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageFacts {
    /// Free space, in parts of 1,000; `None` where that is not known yet.
    pub free_permille: Option<u16>,
    /// Bytes, by what they are: on disk, in the cache, in memory tables.
    pub bytes: Vec<(&'static str, u64)>,
    /// Whatever else it counts, by name: only ever rises.
    pub counts: Vec<(&'static str, u64)>,
    /// Whatever it measures, by name: rises and falls.
    pub levels: Vec<(&'static str, u64)>,
}
