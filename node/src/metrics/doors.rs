//! What the HTTP door counts. It is one thread's, and far from hot: shared counters do.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};

use std::collections::BTreeMap;

use super::latency::Latency;

/// Requests by route and status, with how long they took.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    requests: Mutex<BTreeMap<(&'static str, String, u16), Latency>>,
    connections: AtomicI64,
}

impl HttpMetrics {
    /// A request was answered. Routes are few, methods are those of routes, statuses are ours: this is bounded.
    pub fn request(&self, method: &'static str, route: &str, status: u16, micros: u64) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry((method, route.to_owned(), status)).or_default().observe(micros);
    }

    /// A connection was opened (1) or closed (−1).
    pub fn connection(&self, change: i64) {
        self.connections.fetch_add(change, Ordering::Relaxed);
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> i64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// All that was counted.
    pub(super) fn requests(&self) -> Vec<((&'static str, String, u16), Latency)> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|(key, latency)| (key.clone(), *latency)).collect()
    }
}
