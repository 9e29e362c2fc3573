//! The Redis protocol: what clients say, what it asks of the store, and how that is answered.
//!
//! Everything that decides is here and pure: bytes and answers in, requests and bytes out. The daemon moves the
//! bytes, knows the time and hands requests to the lanes.
//!
//! Read in this order: `parse`, `encoder`, `arguments`, `plan`, `table`, any file of `commands`; then `door`, `desk` and
//! `connection`.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod arguments;
pub mod ask;
pub mod client;
pub mod commands;
pub mod connection;
mod cursors;
pub mod desk;
pub mod documents;
pub mod door;
pub mod encoder;
mod explain;
pub mod facts;
pub mod glob;
pub mod keys;
pub mod keyspace;
pub mod memory;
mod outcome;
pub mod parameters;
pub mod parse;
pub mod plan;
pub mod rdb;
pub mod table;
pub mod users;

pub use arguments::{Arguments, CommandError};
pub use ask::{Answer, Ask, AskId};
pub use connection::Connection;
pub use door::{Door, DoorSettings, Surroundings};
pub use encoder::{Encoder, Protocol};
pub use memory::Memory;
pub use plan::Plan;
