//! A whole cluster in one thread, under virtual time and injected faults.
//!
//! A [seed](options::Options) stands for a cluster, its clients and what goes wrong. [`run::run`] runs it: clients
//! work while things go wrong, then everything heals, and within bounded time the cluster has to be in order
//! and everything that clients were told has to be true. The nodes are real ones: state machines of
//! `protocol`, whose network, disks and clocks are played here.

#[cfg(feature = "mutants")]
pub mod bugs;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod fault;
pub mod finals;
pub mod fleet;
pub mod network;
pub mod node;
pub mod options;
pub mod profile;
pub mod queue;
pub mod random;
pub mod report;
pub mod run;
pub mod settle;
pub mod trace;
pub mod watch;
pub mod workload;

pub use options::Options;
pub use profile::Profile;
pub use report::Report;
pub use run::run;
