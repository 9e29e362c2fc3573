//! The commands, by what they are about.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a shape knows the few replies that its operation has"
)]

mod acl;
mod client;
mod cluster;
mod coterie;
pub(crate) mod handshake;
mod info;
pub(crate) mod introspection;
mod keyspace;
mod object;
mod server;
mod string;

use crate::table::Command;

/// All of them, in the order of the documents.
pub static TABLES: &[&[Command]] = &[
    string::COMMANDS,
    keyspace::COMMANDS,
    object::COMMANDS,
    handshake::COMMANDS,
    client::COMMANDS,
    introspection::COMMANDS,
    server::COMMANDS,
    acl::COMMANDS,
    cluster::COMMANDS,
    coterie::COMMANDS,
];
