//! Clusters of real `coterie-node` processes on loopback: started, watched, broken on purpose, and stopped.
//!
//! ```no_run
//! use std::time::Duration;
//! use coterie_local::{Cluster, Shape};
//!
//! # fn main() -> Result<(), coterie_local::LocalError> {
//! let mut cluster = Cluster::start("/tmp/shop".as_ref(), Shape { nodes: 5, ..Shape::default() })?;
//! cluster.wait_ready(Duration::from_secs(60))?;
//! cluster.network().partition(&[vec![0, 1], vec![2, 3, 4]]); // nobody hears of the other side
//! cluster.network().cut(&[0], &[1]);                         // one direction only
//! cluster.network().heal();
//! cluster.kill(4)?;                                          // as kill -9 does
//! cluster.start_node(4)?;
//! let sixth = cluster.add_node()?;
//! println!("redis-cli -p {}", cluster.node(sixth)?.resp.port());
//! cluster.stop()
//! # }
//! ```
//!
//! A [`Cluster`] belongs to the process that started it. When that process ends, however it ends, the nodes stop in order:
//! each watches a pipe from it. One that stands still ([`Cluster::pause`]) cannot notice; on most systems the kernel hangs it
//! up. The next cluster in the directory, or [`Remote::reclaim`], kills what is left.
//!
//! With [`Wiring::Proxied`], the default, every pair of nodes talks through a [`Network`] of userspace UDP proxies, which
//! can be cut, made to lose and made slow in each direction by itself, without any rights. With [`Wiring::Direct`] it
//! costs nothing and cannot be cut.
//!
//! [`supervise`] keeps a cluster for other processes, which act on it by its directory: [`Remote::open`], then
//! [`Remote::ask`]. The directory holds certificates, data, logs (`node-N/log`), the last [`Status`] (`cluster.json`)
//! and the socket of the supervisor (`control`).
//!
//! What nodes tell by HTTP is [`ask`]ed one request at a time; [`digests`] tells whether all owners are equal.

mod cluster;
mod control;
mod error;
mod network;
mod node;
mod owners;
mod ports;
mod program;
mod ready;
mod shape;
mod status;
mod web;

pub use cluster::Cluster;
pub use control::{Ask, Remote, Until, supervise};
pub use error::LocalError;
pub use network::{Network, Traffic};
pub use owners::{Asked, digests, owners};
pub use ports::free_base_port;
pub use program::program;
pub use ready::{Readiness, readiness, wait_ready};
pub use shape::{Durability, Shape, Wiring};
pub use status::{Condition, NodeStatus, Status};
pub use web::{answer, ask};
