//! The table of commands: what dispatch, `COMMAND`, the rights of users and `docs/commands.md` are made from.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::arguments::{Arguments, CommandError};
use crate::commands;
use crate::desk::{Desk, Step};
use crate::encoder::Encoder;
use crate::plan::Plan;

/// The longest name that a command may have.
pub const NAME_BYTES_MAX: usize = 32;

/// One command, or subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name, in small letters.
    pub name: &'static str,
    /// How many words it has, the name included; at least so many where negative. A subcommand counts its parent's
    /// name, too.
    pub arity: i32,
    /// What it does, as `COMMAND` tells it.
    pub flags: &'static [Flag],
    /// Categories beside those that follow from the flags.
    pub categories: &'static [Category],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Where it is listed.
    pub group: Group,
    /// The version of Redis that brought it.
    pub since: &'static str,
    /// What it costs here.
    pub complexity: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What concurrent ones of it come to, in a sentence, for `docs/commands.md`.
    pub semantics: &'static str,
    /// Its subcommands.
    pub subcommands: &'static [Command],
    /// What carries it out.
    pub run: Run,
}

impl Command {
    /// What entries leave out: `..Command::BASE`.
    pub const BASE: Command = Command {
        name: "",
        arity: 1,
        flags: &[],
        categories: &[],
        keys: &[],
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        semantics: "",
        subcommands: &[],
        run: Run::Container,
    };

    /// Whether so many words are enough and not too many.
    #[must_use]
    pub fn takes(&self, words: usize) -> bool {
        let least = usize::try_from(self.arity.unsigned_abs()).expect("arities are small");
        if self.arity < 0 { words >= least } else { words == least }
    }

    /// Whether it has a flag.
    #[must_use]
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Its name as clients write it: `parent|child` of a subcommand; `parent` is empty for one that is none.
    #[must_use]
    pub fn full_name(&self, parent: &str) -> String {
        if parent.is_empty() { self.name.to_owned() } else { format!("{parent}|{}", self.name) }
    }

    /// The subcommand of a name, in whatever case.
    #[must_use]
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command> {
        self.subcommands.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// What carries a command out.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// It becomes a plan.
    Data(fn(&Arguments<'_>) -> Result<Plan, CommandError>),
    /// It is about the connection, the node or the cluster: it may be answered at once, changes what the connection knows
    /// of its client, or asks the node.
    Desk(fn(&mut Desk<'_>, &Arguments<'_>, &mut Encoder<'_>) -> Result<Step, CommandError>),
    /// Its subcommands do.
    Container,
}

/// What a command does, as `COMMAND` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// It may change keys.
    Write,
    /// It changes none.
    Readonly,
    /// It may take memory or disk.
    DenyOom,
    /// It is for operators.
    Admin,
    /// It costs little whatever the key holds.
    Fast,
    /// It may be given before AUTH.
    NoAuth,
    /// It may be given while the node opens.
    Loading,
    /// It may be given whatever the state of the node.
    Stale,
    /// It is not for scripts.
    NoScript,
    /// Where its keys are follows from more than their places.
    MovableKeys,
}

/// A category of commands, by which rights are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Deals with keys whatever their type.
    Keyspace,
    /// Strings.
    String,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Lists.
    List,
    /// HyperLogLogs.
    HyperLogLog,
    /// Geospatial indices.
    Geo,
    /// The connection itself.
    Connection,
    /// What may hurt others.
    Dangerous,
}

/// Where a command is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Keys whatever their type.
    Generic,
    /// Strings.
    String,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Lists.
    List,
    /// HyperLogLogs.
    HyperLogLog,
    /// Geospatial indices.
    Geo,
    /// The connection.
    Connection,
    /// The node.
    Server,
    /// The cluster.
    Cluster,
    /// What Redis does not have.
    Coterie,
}

/// Where some keys of a command are, and what becomes of them.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Where they are.
    pub place: Place,
    /// What becomes of them.
    pub access: Access,
}

/// Where keys are among the words; the name is word 0.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// From `first` on every `step`-th word, to `last`; a negative `last` counts from the end, −1 is the last word.
    Range {
        /// The first.
        first: usize,
        /// The last.
        last: isize,
        /// How far apart.
        step: usize,
    },
    /// As many as the word at `at` says, from the one after it on.
    Count {
        /// Where the number is.
        at: usize,
    },
    /// After a word: `STORE key`. Looked for from the word at `from` on.
    Keyword {
        /// The word, in capitals.
        word: &'static str,
        /// Where it may be first.
        from: usize,
    },
    /// Where a function says: indices of words.
    Function(fn(&[Bytes]) -> Vec<usize>),
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Read,
    /// It is changed by what is in it.
    Update,
    /// Something is added.
    Insert,
    /// It is replaced.
    Overwrite,
    /// Something of it is removed, or all.
    Delete,
}

/// The usual places of keys.
impl KeySpec {
    /// Word 1, which is read.
    pub const READ: &'static [KeySpec] = &[KeySpec::range(1, 1, 1, Access::Read)];
    /// Word 1, which is changed by what is in it.
    pub const UPDATE: &'static [KeySpec] = &[KeySpec::range(1, 1, 1, Access::Update)];
    /// Word 1, to which something is added.
    pub const INSERT: &'static [KeySpec] = &[KeySpec::range(1, 1, 1, Access::Insert)];
    /// Word 1, which is replaced.
    pub const OVERWRITE: &'static [KeySpec] = &[KeySpec::range(1, 1, 1, Access::Overwrite)];
    /// Word 1, of which something is removed.
    pub const DELETE: &'static [KeySpec] = &[KeySpec::range(1, 1, 1, Access::Delete)];
    /// All words, which are read.
    pub const READ_ALL: &'static [KeySpec] = &[KeySpec::range(1, -1, 1, Access::Read)];
    /// All words, which are deleted.
    pub const DELETE_ALL: &'static [KeySpec] = &[KeySpec::range(1, -1, 1, Access::Delete)];

    /// Every `step`-th word from `first` to `last`.
    #[must_use]
    pub const fn range(first: usize, last: isize, step: usize, access: Access) -> KeySpec {
        KeySpec { place: Place::Range { first, last, step }, access }
    }

    /// As many as the word at `at` says, from the one after it on.
    #[must_use]
    pub const fn count(at: usize, access: Access) -> KeySpec {
        KeySpec { place: Place::Count { at }, access }
    }
}

/// All commands, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Command> {
    commands::TABLES.iter().flat_map(|table| table.iter())
}

/// How many commands there are.
#[must_use]
pub fn count() -> usize {
    all().count()
}

/// The command of a name, in whatever case.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    lookup(name).map(|(command, _)| command)
}

/// The command of a name, in whatever case, and its place in [`all`].
#[must_use]
pub fn lookup(name: &[u8]) -> Option<(&'static Command, usize)> {
    let index: &Index = &INDEX;
    let mut at = Index::hash(name);
    loop {
        let (command, place) = index.slots[at % Index::SLOTS]?;
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some((command, place));
        }
        at += 1;
    }
}

/// What a name as [`Command::full_name`] gives it says, in whatever case: a command with its place in [`all`], and its
/// subcommand where the name is of one.
#[must_use]
pub fn named(name: &[u8]) -> Option<(&'static Command, usize, Option<&'static Command>)> {
    let mut parts = name.splitn(2, |byte| *byte == b'|');
    let (parent, place) = lookup(parts.next()?)?;
    match parts.next() {
        None => Some((parent, place, None)),
        Some(child) => Some((parent, place, Some(parent.subcommand(child)?))),
    }
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::make);

/// Commands by the hash of their names, so that none is looked for by comparing hundreds of names.
struct Index {
    slots: Vec<Option<(&'static Command, usize)>>,
}

impl Index {
    const SLOTS: usize = 1_024;

    fn make() -> Index {
        let mut slots: Vec<Option<(&'static Command, usize)>> = vec![None; Index::SLOTS];
        for (place, command) in all().enumerate() {
            assert!(2 * place < Index::SLOTS, "the index has room for what is in the table");
            let mut at = Index::hash(command.name.as_bytes());
            while slots[at % Index::SLOTS].is_some() {
                at += 1;
            }
            slots[at % Index::SLOTS] = Some((command, place));
        }
        Index { slots }
    }

    /// FNV-1a of the name in small letters, folded.
    fn hash(name: &[u8]) -> usize {
        let hash = name.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
        });
        usize::try_from((hash >> 16) ^ (hash & 0xffff)).expect("16 bits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for command in all() {
            assert!(command.name.len() <= NAME_BYTES_MAX, "{}", command.name);
            for name in [command.name.to_owned(), command.name.to_uppercase()] {
                let found = find(name.as_bytes()).unwrap();
                assert!(std::ptr::eq(found, command), "{name} is there twice");
            }
        }
        assert!(find(b"no-such-command").is_none());
        assert!(find(b"").is_none());
    }

    #[test]
    fn every_command_is_described() {
        for command in all() {
            let described = [command.summary, command.semantics, command.complexity, command.since];
            assert!(described.iter().all(|text| !text.is_empty()), "{}", command.name);
            assert!(command.summary.ends_with('.') && command.semantics.ends_with('.'));
        }
    }
}
