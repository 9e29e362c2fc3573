//! The chain of decisions: random clusters under faults, named scenarios, and bytes from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a simulation prints how much it covered")]

mod agreement;
mod cluster;
mod foreign;
mod scenarios;
