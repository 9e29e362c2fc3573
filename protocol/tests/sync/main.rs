//! Sync: whatever replicas have come to lack, and whatever is lost on the way, they end equal.

#[path = "../harness/mod.rs"]
mod harness;

mod converges;
mod costs;
mod writes;
