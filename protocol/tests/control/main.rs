//! Whole controls under virtual time: a cluster begins, grows, splits, loses nodes, and goes on.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "seeds and counts of what was run")]

mod amnesia;
mod chaos;
mod cluster;
mod life;
mod operators;
mod storage;
