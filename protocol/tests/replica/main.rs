//! An owner's side of a lane, on a storage in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod admit;
mod bench;
mod large;
mod lazy;
mod operations;
mod rows;
mod scrub;
mod show;
mod store;
