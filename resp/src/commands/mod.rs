//! The commands, by what they are about.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a shape knows the few replies that its operation has"
)]

pub(crate) mod handshake;
mod string;

use crate::table::Command;

/// All of them, in the order of the documents.
pub static TABLES: &[&[Command]] = &[string::COMMANDS, handshake::COMMANDS];
