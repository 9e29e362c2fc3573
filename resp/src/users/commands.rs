//! Which commands a user may give.

use std::collections::BTreeMap;

use super::Verb;
use crate::table::{self, Category, Command, Flag, Group};

/// A set of commands, with exceptions for subcommands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permitted {
    /// By the command's place in the table.
    places: Vec<bool>,
    /// Subcommands that are permitted though their parent is not, or the other way round.
    exceptions: BTreeMap<(usize, &'static str), bool>,
    /// How it came to be, in the words of `ACL SETUSER`.
    rules: Vec<String>,
}

/// What a rule names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    All,
    Category(&'static str),
    Command(usize, &'static Command),
    Subcommand(usize, &'static Command),
}

impl Permitted {
    /// All commands.
    #[must_use]
    pub fn all() -> Permitted {
        Permitted {
            places: vec![true; table::count()],
            exceptions: BTreeMap::new(),
            rules: vec!["+@all".to_owned()],
        }
    }

    /// No command.
    #[must_use]
    pub fn none() -> Permitted {
        Permitted {
            places: vec![false; table::count()],
            exceptions: BTreeMap::new(),
            rules: vec!["-@all".to_owned()],
        }
    }

    /// Whether the command at this place of the table may be given, or, if it has subcommands, any may be.
    #[must_use]
    pub fn permits(&self, place: usize) -> bool {
        self.places[place]
            || self.exceptions.range((place, "")..(place + 1, "")).any(|(_, may)| *may)
    }

    /// The same of a subcommand.
    #[must_use]
    pub fn permits_subcommand(&self, place: usize, name: &str) -> bool {
        self.exceptions
            .iter()
            .find(|((parent, child), _)| *parent == place && *child == name)
            .map_or(self.places[place], |(_, may)| *may)
    }

    /// The rules, in the words of `ACL SETUSER`.
    #[must_use]
    pub fn rules(&self) -> String {
        self.rules.join(" ")
    }

    /// Permits the commands of a verb.
    pub(super) fn permit_verb(&mut self, verb: Verb) {
        self.permit_those(|command| Verb::of(command) == Some(verb));
        self.rules.push(
            match verb {
                Verb::Read => "+@read",
                Verb::Update => "+@write",
                Verb::Admin => "+@admin",
            }
            .to_owned(),
        );
    }

    /// Permits what everybody may do.
    pub(super) fn permit_everybody(&mut self) {
        self.permit_those(|command| Verb::of(command).is_none());
        self.rules.push("+@connection".to_owned());
    }

    fn permit_those(&mut self, those: impl Fn(&Command) -> bool) {
        for (place, command) in table::all().enumerate() {
            // A container is there for any of its subcommands; each of them is judged for itself.
            if command.subcommands.is_empty() {
                self.places[place] |= those(command);
            }
            for child in command.subcommands.iter().filter(|child| those(child)) {
                self.exceptions.insert((place, child.name), true);
            }
        }
    }

    pub(super) fn set(&mut self, named: Named, may: bool) {
        let sign = if may { '+' } else { '-' };
        let rule = match named {
            Named::All => {
                *self = if may { Permitted::all() } else { Permitted::none() };
                return;
            }
            Named::Category(category) => {
                for (place, command) in table::all().enumerate() {
                    if in_category(command, category) {
                        self.places[place] = may;
                    }
                    for child in command.subcommands {
                        if in_category(child, category) {
                            self.exceptions.insert((place, child.name), may);
                        }
                    }
                }
                format!("{sign}@{category}")
            }
            Named::Command(place, command) => {
                self.places[place] = may;
                self.exceptions.retain(|(parent, _), _| *parent != place);
                format!("{sign}{}", command.name)
            }
            Named::Subcommand(place, child) => {
                self.exceptions.insert((place, child.name), may);
                let parent = table::all().nth(place).map_or("", |command| command.name);
                format!("{sign}{}", child.full_name(parent))
            }
        };
        // The last rule about the same counts.
        self.rules.retain(|known| known[1..] != rule[1..]);
        self.rules.push(rule);
    }
}

/// The categories that there are.
pub const CATEGORIES: [&str; 17] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "hyperloglog",
    "geo",
    "admin",
    "fast",
    "slow",
    "dangerous",
    "connection",
    "coterie",
    "cluster",
];

/// Whether a command is in a category: those that it says, and those that follow from its flags.
#[must_use]
pub fn in_category(command: &Command, category: &str) -> bool {
    let says = |category| command.categories.contains(&category);
    match category {
        "keyspace" => says(Category::Keyspace),
        "read" => command.has(Flag::Readonly),
        "write" => command.has(Flag::Write),
        "set" => says(Category::Set),
        "sortedset" => says(Category::SortedSet),
        "list" => says(Category::List),
        "hash" => says(Category::Hash),
        "string" => says(Category::String),
        "hyperloglog" => says(Category::HyperLogLog),
        "geo" => says(Category::Geo),
        "admin" => command.has(Flag::Admin),
        "fast" => command.has(Flag::Fast),
        "slow" => !command.has(Flag::Fast),
        "dangerous" => says(Category::Dangerous) || command.has(Flag::Admin),
        "connection" => says(Category::Connection),
        "coterie" => command.group == Group::Coterie,
        "cluster" => command.group == Group::Cluster,
        _ => false,
    }
}
