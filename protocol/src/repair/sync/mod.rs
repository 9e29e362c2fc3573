//! Sync: peers that share slices compare digests and join what differs.

mod event;

pub use event::{Asker, Event, SyncError, Told};
