//! The planner, judged from outside.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]
#![expect(clippy::print_stdout, reason = "seeds and counts are printed")]

mod brute_force;
mod fleet;
mod promises;
mod refusals;
