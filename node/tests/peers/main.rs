//! Peers and gossip on loopback, with real certificates.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod connections;
mod gossip;
mod nodes;
mod proxy;
mod refusals;
mod rotation;
