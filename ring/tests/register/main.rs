//! The register: every interleaving of a small scope, each rule's use, messages from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a model prints how much it covered")]

mod agreement;
mod foreign;
mod model;
