//! Rows on disk: RocksDB under the lanes.
