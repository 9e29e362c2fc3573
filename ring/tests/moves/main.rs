//! Moves: a random explorer that runs the real code, each rule's use, and bytes from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "an explorer prints how much it covered")]

mod cluster;
mod explorer;
mod foreign;
mod operation;
mod safety;
mod scenarios;
