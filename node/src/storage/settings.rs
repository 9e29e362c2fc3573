//! How the database under a store is set up, and how much memory it takes.

use std::path::Path;

use coterie_protocol::rows::Space;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DataBlockIndexType, InfoLogger, LogLevel, MemtableFactory, Options, WriteBufferManager,
};

use super::directory::Identity;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// Whose it has to be.
    pub identity: Identity,
    /// Bytes for rows kept in memory, read and written alike. The process takes more (docs/performance.md, "where memory
    /// goes").
    pub cache_bytes: usize,
    /// Bytes of `cache_bytes` for rows that are written and not in tables yet. More make fewer and larger
    /// tables, which is less to rewrite, and a longer start after a crash.
    pub memtables_bytes: usize,
    /// Bytes of rows that one lane knows without the database, beside `cache_bytes`. By default all together a quarter of
    /// these: a row that is known costs a tenth of one that is looked up.
    pub known_bytes: usize,
    /// Threads that read rows that are not in memory: as many reads as the disk does well at once.
    pub read_threads: usize,
    /// Reads that may wait for them; beyond, a fetch is refused.
    pub reads_waiting_max: usize,
}

impl StorageSettings {
    /// What does on any machine: of its memory a quarter, at most 256 MiB.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        let cache_bytes = memory_bytes().map_or(MEMORY_MAX, |all| (all / 4).min(MEMORY_MAX));
        StorageSettings {
            identity,
            cache_bytes,
            memtables_bytes: cache_bytes / 4,
            known_bytes: cache_bytes / 4,
            read_threads: 4,
            reads_waiting_max: 16_384,
        }
    }
}

const MIB: usize = 1 << 20;

/// The most memory that rows take by default.
const MEMORY_MAX: usize = 256 * MIB;

/// Bits of tables' filters for each row. A new element of a large key is looked for before it is written: where a filter
/// errs, a block is read from the disk for it. With 10 bits that is one in a hundred, with 16 one in two thousand.
const ROW_FILTER_BITS: f64 = 16.0;
const FILTER_BITS: f64 = 10.0;

/// The part of a memory table that is a filter of its keys: about 8 bits for each of the shortest rows.
const MEMTABLE_FILTER: f64 = 0.02;

/// How many bytes of memory this process may use: the machine's, or its control group's if that is less.
fn memory_bytes() -> Option<usize> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    // "max" where there is none.
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

/// The name of a space's column family.
pub(super) fn family(space: Space) -> &'static str {
    match space {
        Space::Rows => "rows",
        Space::Derived => "derived",
        Space::Hints => "hints",
        // This one is always there.
        Space::Control => "default",
        Space::Leaves => "leaves",
    }
}

/// The options of the database and of each space's column family.
pub(super) fn options(
    settings: &StorageSettings,
    store: &Path,
) -> (Options, Vec<ColumnFamilyDescriptor>, Cache) {
    let cache = Cache::new_lru_cache(settings.cache_bytes);
    let memtables = WriteBufferManager::new_write_buffer_manager_with_cache(
        settings.memtables_bytes,
        false,
        cache.clone(),
    );
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_write_buffer_manager(&memtables);
    // Not with memory tables that are appended to. Of writers at once the first writes for all; what is left of the cost
    // of an insertion is less than what threads would pay for each other's.
    database.set_allow_concurrent_memtable_write(false);
    database.set_max_background_jobs(2);
    database.set_max_open_files(512);
    // The log: docs/decisions/0531-log-recovery.md.
    database.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    database.set_track_and_verify_wals_in_manifest(true);
    database.set_max_total_wal_size(2 * settings.memtables_bytes as u64);
    database.set_bytes_per_sync(MIB as u64);
    // Files are deleted, and tables closed, off the lanes.
    database.set_avoid_unnecessary_blocking_io(true);
    database.set_paranoid_checks(true);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database.set_info_logger(logger(store));
    let families = Space::ALL.map(|space| {
        let memtable_bytes = match space {
            Space::Rows => settings.memtables_bytes / 2,
            Space::Derived | Space::Hints => settings.memtables_bytes / 4,
            Space::Leaves => settings.memtables_bytes / 8,
            Space::Control => settings.memtables_bytes / 16,
        };
        let filter_bits = if space == Space::Rows { ROW_FILTER_BITS } else { FILTER_BITS };
        let mut options = space_options(&cache, memtable_bytes, filter_bits);
        if space == Space::Rows {
            // What is not there, such as a new key or element, is not looked for in memory tables; derived rows are
            // looked up only where they are known to be there.
            options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER);
            options.set_memtable_whole_key_filtering(true);
        }
        if space == Space::Leaves {
            // Written with every change of a key and read at a start only: appended, and sorted when it becomes a table.
            options.set_memtable_factory(MemtableFactory::Vector);
        }
        ColumnFamilyDescriptor::new(family(space), options)
    });
    (database, families.into(), cache)
}

fn space_options(cache: &Cache, memtable_bytes: usize, filter_bits: f64) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_bloom_filter(filter_bits, false);
    table.set_whole_key_filtering(true);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(memtable_bytes);
    options.set_max_write_buffer_number(4);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options
}

/// What the database says goes where everything else that the node says goes.
fn logger(store: &Path) -> InfoLogger {
    let store = store.display().to_string();
    InfoLogger::new_callback_logger(LogLevel::Warn, move |level, said| {
        let said = said.trim_end();
        match level {
            LogLevel::Error | LogLevel::Fatal => tracing::error!(store, said, "database"),
            LogLevel::Warn => tracing::warn!(store, said, "database"),
            LogLevel::Debug | LogLevel::Info | LogLevel::Header => {
                tracing::debug!(store, said, "database");
            }
        }
    })
}
