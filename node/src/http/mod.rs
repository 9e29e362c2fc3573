//! The HTTP front door: health, metrics, administration, and data in JSON.
//!
//! It runs on control's thread and asks lanes and control by the [`Gateway`]. Routes are a table (`routes`), of which the
//! OpenAPI description is made; so are the operations on data (`operation`).

mod admin;
mod backups;
mod barrier;
mod bounded;
mod cluster;
mod dashboard;
mod data;
mod door;
mod extract;
mod health;
mod listen;
mod machine;
mod openapi;
mod operation;
mod problem;
mod routes;
mod scan;
mod session;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::backup::Backups;
use crate::config;
use crate::engine::gateway::Gateway;
use crate::engine::memory::ClientMemory;
use crate::metrics::Metrics;

pub use listen::HttpError;

/// What the door needs.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens.
    pub door: config::Door,
    /// The certificate of the door, read.
    pub certificate: Option<config::DoorCertificate>,
    /// Who may come in; everybody where there are none.
    pub users: Option<config::UsersFile>,
    /// The most connections at once.
    pub connections_max: usize,
    /// How long a request may take that does not say.
    pub request_timeout: Duration,
    /// The largest value.
    pub value_bytes_max: usize,
    /// What clients may hold of memory.
    pub memory: ClientMemory,
    /// Whom it asks.
    pub gateway: Gateway,
    /// What it counts into, and shows.
    pub metrics: Arc<Metrics>,
    /// The node's backups.
    pub backups: Option<Backups>,
}

/// The door, open.
pub struct Http {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    door: door::Door,
    permits: Arc<Semaphore>,
    connections_max: usize,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.acceptor.is_some();
        f.debug_struct("Http").field("listener", &self.listener).field("tls", &tls).finish()
    }
}
