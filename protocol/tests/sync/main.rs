//! Sync: whatever replicas have come to lack, and whatever is lost on the way, they end equal.
#![expect(clippy::print_stdout, reason = "what was measured")]

#[path = "../harness/mod.rs"]
mod harness;

mod barriers;
mod converges;
mod costs;
mod keys;
mod transfers;
mod writes;
