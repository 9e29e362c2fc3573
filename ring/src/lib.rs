//! Key to owners, and how ownership moves.
