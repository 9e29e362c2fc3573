//! How replicas are made equal again.

pub mod amnesia;
pub mod barrier;
pub(crate) mod dirty;
pub mod hints;
pub mod purge;
pub mod scrub;
pub mod sync;
mod votes;
