//! How replicas are made equal again.

pub mod sync;
