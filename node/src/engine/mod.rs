//! Threads that run the decisions of `protocol`.
