//! What a store on RocksDB promises, on real files.
#![expect(clippy::print_stdout, reason = "a test says what it skips")]
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

mod contract;
mod crash;
mod damage;
mod full;
mod machine;
mod opened;
#[path = "../harness/small_disk.rs"]
mod small_disk;
mod syncing;
