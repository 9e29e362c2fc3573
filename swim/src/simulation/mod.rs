//! A cluster under virtual time: real nodes, a simulated network, everything decided by one seed.

mod cluster;
mod memberlist;
mod network;
mod observer;
mod queue;
mod report;
mod scenario;

pub use cluster::{Cluster, NODE_INDEX_MASK, ProcessState};
pub use memberlist::memberlist;
pub use network::Network;
pub use observer::{Observation, Observer, Seen};
pub use report::{Percentiles, Report};
pub use scenario::Scenario;
