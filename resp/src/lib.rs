//! The Redis protocol: what clients say, what it asks of the store, and how that is answered.
//!
//! Everything that decides is here and pure: bytes and answers in, requests and bytes out. The daemon moves the
//! bytes, knows the time and hands requests to the lanes.
//!
//! Read in this order: `encoder`, `arguments`, `plan`, `table`, and any file of `commands`.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod arguments;
pub mod commands;
pub mod encoder;
pub mod plan;
pub mod table;

pub use arguments::{Arguments, CommandError};
pub use encoder::{Encoder, Protocol};
pub use plan::Plan;
