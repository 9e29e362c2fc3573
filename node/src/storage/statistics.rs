//! What a store has done and holds, for metrics.

use std::sync::atomic::Ordering;
use std::time::Duration;

use coterie_protocol::rows::Space;
use rocksdb::properties;

use super::Storage;

/// Counts since the store was opened, and sizes as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Batches committed by all lanes.
    pub commits: u64,
    /// Syncs of the log, and how long they took in all.
    pub syncs: u64,
    /// How long the log thread waited for the disk.
    pub sync_time: Duration,
    /// Reads that read threads made for lanes.
    pub fetched: u64,
    /// Reads that wait for a read thread.
    pub fetches_waiting: usize,
    /// How often damage was met.
    pub damaged: u64,
    /// Ranges deleted by a mark instead of row by row.
    pub range_deletes: u64,
    /// Bytes of the cache in use, memory tables among them.
    pub cache_bytes: usize,
    /// Bytes of memory tables.
    pub memtables_bytes: u64,
    /// Bytes of tables by space, compressed.
    pub table_bytes: [(Space, u64); Space::ALL.len()],
    /// Bytes of logs.
    pub log_bytes: u64,
    /// About how many bytes wait to be compacted.
    pub compaction_pending_bytes: u64,
    /// Whether writes are held back because compaction does not keep up: 0 if not, else how many bytes a second may
    /// be written.
    pub delayed_write_rate: u64,
    /// Whether writes wait for compaction altogether.
    pub write_stopped: bool,
    /// Bytes free on the disk.
    pub free_bytes: u64,
    /// The same as parts of 1,000.
    pub free_permille: u16,
}

impl Storage {
    /// What there is to know now. Reads the directory, so not for lanes.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let database = &*self.database;
        let counts = &database.counts;
        let property = |space, name: &properties::PropName| {
            let value = database.db().property_int_value_cf(database.family(space), name);
            value.ok().flatten().unwrap_or(0)
        };
        let sum = |name| Space::ALL.map(|space| property(space, name)).iter().sum();
        Statistics {
            commits: counts.commits.load(Ordering::Relaxed),
            syncs: counts.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_nanos(counts.sync_nanos.load(Ordering::Relaxed)),
            fetched: counts.fetched.load(Ordering::Relaxed),
            fetches_waiting: database.readers.waiting(),
            damaged: counts.damaged.load(Ordering::Relaxed),
            range_deletes: counts.range_deletes.load(Ordering::Relaxed),
            cache_bytes: database.cache.get_usage(),
            memtables_bytes: sum(properties::CUR_SIZE_ALL_MEM_TABLES),
            table_bytes: Space::ALL
                .map(|space| (space, property(space, properties::TOTAL_SST_FILES_SIZE))),
            log_bytes: self.log_bytes(),
            compaction_pending_bytes: sum(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            delayed_write_rate: property(Space::Rows, properties::ACTUAL_DELAYED_WRITE_RATE),
            write_stopped: property(Space::Rows, properties::IS_WRITE_STOPPED) > 0,
            free_bytes: database.free.bytes(),
            free_permille: database.free.permille(),
        }
    }

    fn log_bytes(&self) -> u64 {
        // A file may be gone by the time it is looked at.
        let Ok(files) = std::fs::read_dir(self.database.directory.store()) else { return 0 };
        let logs = files.flatten().filter(|file| {
            std::path::Path::new(&file.file_name()).extension().is_some_and(|end| end == "log")
        });
        logs.flat_map(|log| log.metadata()).map(|log| log.len()).sum()
    }
}
