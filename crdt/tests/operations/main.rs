//! What every operation answers and changes on one replica, checked against what Redis documents.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]
#![expect(clippy::print_stdout, reason = "a run says how large it was")]

mod algebra;
mod assigned;
mod field_expiry;
mod flags;
mod hashes;
mod keys;
mod maps;
mod sets;
mod sorted_sets;
mod strings;
mod support;
