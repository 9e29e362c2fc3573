//! `docs/commands.md`, out of the table.

use std::fmt::Write;

use crate::table::{self, Command, Group};

/// The groups, in the order of the document, with what they are about.
const GROUPS: [(Group, &str); 12] = [
    (Group::Generic, "Keys of any type"),
    (Group::String, "Strings"),
    (Group::Hash, "Hashes"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::List, "Lists"),
    (Group::HyperLogLog, "HyperLogLogs"),
    (Group::Geo, "Places"),
    (Group::Coterie, "What Redis does not have"),
    (Group::Connection, "The connection"),
    (Group::Server, "The node"),
    (Group::Cluster, "The cluster"),
];

/// The document.
#[must_use]
pub fn commands() -> String {
    let mut text = String::from(
        "# Commands\n\nMade from the table of commands; do not edit. After a change of the table:\n\n```\n\
         cargo run --release -p coterie-resp --example commands > docs/commands.md\n```\n\n\
         Replies and error texts are those of Redis 7, whatever else is not said. What is not here is answered as an\n\
         unknown command. *Concurrent* says what becomes of operations that do not know of each other: on the two sides\n\
         of a broken network, or at two nodes at the same moment. A command on several keys is one request per key: it\n\
         is not atomic, and its error says how many keys were done.\n\n\
         Errors beside those of Redis begin with `UNAVAILABLE` (nothing was stored; try again), `UNKNOWN have/need`\n\
         (it was stored at fewer owners than asked for, and may take effect), `FULL` (the disk), `BUSY` and `LOADING`\n\
         (this node, now).\n",
    );
    for (group, title) in GROUPS {
        let members: Vec<&Command> =
            table::all().filter(|command| command.group == group).collect();
        if members.is_empty() {
            continue;
        }
        writeln!(text, "\n## {title}\n").expect("a string takes all");
        text.push_str("| command | what it does | concurrent | cost | since |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for command in members {
            line(&mut text, command, "");
            for child in command.subcommands {
                line(&mut text, child, command.name);
            }
        }
    }
    text
}

fn line(text: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.name).trim().to_uppercase();
    // A container's own sentences are said by its subcommands.
    let semantics = if command.subcommands.is_empty() { command.semantics } else { "" };
    // What Redis has not is since the beginning here.
    let since = if command.group == Group::Coterie { "Coterie 0.1" } else { command.since };
    writeln!(
        text,
        "| `{name}` | {} | {} | {} | {since} |",
        cell(command.summary),
        cell(semantics),
        cell(command.complexity)
    )
    .expect("a string takes all");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
