//! The commands, by what they are about.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a shape knows the few replies that its operation has"
)]

mod acl;
mod client;
mod cluster;
mod coterie;
mod float;
mod generic;
pub(crate) mod handshake;
mod hash;
mod hyperloglog;
mod info;
pub(crate) mod introspection;
mod keyspace;
mod list;
mod object;
mod random;
mod scan;
mod server;
mod set;
mod several;
mod shape;
mod sorted_set;
mod string;
mod subsequence;

use crate::table::Command;

/// All of them, in the order of the documents.
pub static TABLES: &[&[Command]] = &[
    generic::COMMANDS,
    string::COMMANDS,
    hash::COMMANDS,
    hash::EXPIRY,
    set::COMMANDS,
    sorted_set::COMMANDS,
    list::COMMANDS,
    hyperloglog::COMMANDS,
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
