//! Backups: of stores, and of clusters of real processes, restored and compared by digest.
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

mod cluster;
mod contents;
#[path = "../clients/equal.rs"]
mod equal;
#[allow(dead_code, reason = "it is of other tests, too")]
#[path = "../harness/mod.rs"]
mod harness;
mod store;
