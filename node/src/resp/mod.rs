//! The RESP front door: sockets around `coterie-resp`.
//!
//! One listener deals connections to lanes; each lives on its lane's thread. What a connection asks goes into the lane's
//! next turn, and what a turn answers is written once at its end.

mod client;
mod connections;
mod listener;
mod node;
mod people;
mod stream;

use std::sync::LazyLock;

pub use connections::{Connections, ConnectionsSettings};
pub use listener::Listener;
pub(crate) use node::change_users;
pub use people::People;

/// The names of all commands, by their place in the table.
#[must_use]
pub fn command_names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| coterie_resp::table::all().map(|command| command.name).collect());
    &NAMES
}
