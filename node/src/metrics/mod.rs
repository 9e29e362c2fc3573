//! What the daemon counts, and how Prometheus reads it.
//!
//! A lane counts in plain numbers of its own ([`LaneMetrics`]) and publishes a copy about once a second; a scrape reads
//! copies. Nothing on the path of a request is shared between threads.

mod control;
mod doors;
mod lane;
mod latency;
mod node;
mod process;
mod show;

pub use control::{ControlSnapshot, StorageFacts};
pub use doors::HttpMetrics;
pub use lane::{CommandCounts, LaneCounts, LaneMetrics, LaneSnapshot, OUTCOMES, OutcomeKind};
pub use latency::Latency;
pub use node::Metrics;
pub use process::resident_bytes;
