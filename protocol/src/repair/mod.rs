//! How replicas are made equal again.

pub(crate) mod dirty;
pub mod hints;
pub mod sync;
