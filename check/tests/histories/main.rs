//! Histories, right and wrong, before the checkers.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail loudly and say how much they saw"
)]

mod ill_formed;
mod orders;
mod rejects;
mod replicas;
mod script;
mod subsets;

/// The quick size of a test, or `full` where `COTERIE_PROOF` asks for it.
fn size(quick: u64, full: u64) -> u64 {
    if std::env::var_os("COTERIE_PROOF").is_some() { full } else { quick }
}
