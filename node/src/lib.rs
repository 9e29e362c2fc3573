//! The daemon: sockets, disks, threads and clocks around what `coterie-protocol` decides.

pub mod backup;
pub mod certificates;
pub mod config;
pub mod engine;
pub mod http;
pub mod metrics;
pub mod peers;
pub mod resp;
pub mod storage;
mod watched;
