//! What becomes of a command's words: it is looked up, checked, and made a plan of.

use bytes::Bytes;

use super::sequence::{self, Hashes};
use super::{Connection, is_fence};
use crate::arguments::{Arguments, CommandError};
use crate::client::Replies;
use crate::desk::{Desk, Step};
use crate::door::{Door, Surroundings};
use crate::encoder::Encoder;
use crate::facts::Ended;
use crate::keys;
use crate::outcome;
use crate::plan::Plan;
use crate::table::{self, Command, Flag, Run};
use coterie_protocol::gather::Command as GatherCommand;

use super::slot::Work;

/// Keys that one command may name: each is a request.
const KEYS_MAX: usize = 1 << 16;

/// Bytes of a word that an error repeats.
const SHOWN_BYTES: usize = 128;

impl Connection {
    pub(super) fn run(
        &mut self,
        words: &[Bytes],
        bytes: usize,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        self.client.replies = match self.client.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other @ (Replies::On | Replies::Off) => other,
        };
        let Some((parent, place)) = table::lookup(&words[0]) else {
            return self.unknown(words, around);
        };
        match self.checked(parent, place, words) {
            Ok(command) => {
                self.last = parent.name;
                self.carry_out(command, place, words, bytes, door, around);
            }
            Err(error) => {
                door.calls[place].rejected += 1;
                self.at_once(around, |encoder| encoder.error(error.text()));
            }
        }
    }

    /// The command, or subcommand, that the words are, if the client may give it.
    fn checked(
        &self,
        parent: &'static Command,
        place: usize,
        words: &[Bytes],
    ) -> Result<&'static Command, CommandError> {
        let command = match words.get(1) {
            Some(name) if !parent.subcommands.is_empty() => {
                parent.subcommand(name).ok_or_else(|| unknown_subcommand(parent, name))?
            }
            Some(_) | None => parent,
        };
        let is_child = !std::ptr::eq(command, parent);
        let full_name = || command.full_name(if is_child { parent.name } else { "" });
        if !command.takes(words.len()) {
            return Err(CommandError::arity(&full_name()));
        }
        let Some(user) = &self.client.user else {
            return if command.has(Flag::NoAuth) { Ok(command) } else { Err(NO_AUTH) };
        };
        let may = if is_child {
            user.commands.permits_subcommand(place, command.name)
        } else {
            user.commands.permits(place)
        };
        if !may && !command.has(Flag::NoAuth) {
            return Err(no_permission(&user.name, &full_name()));
        }
        let mut all = true;
        keys::each(command, words, |index, access| {
            all = all && user.may_access(&self.client.bucket, &words[index], access);
        });
        if all { Ok(command) } else { Err(NO_KEY) }
    }

    fn carry_out(
        &mut self,
        command: &'static Command,
        place: usize,
        words: &[Bytes],
        bytes: usize,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        let bucket = self.client.bucket.clone();
        let random = door.random();
        let arguments = Arguments::new(words, &bucket, around.wall_millis, random);
        let done = match command.run {
            Run::Data(_) if !self.has_room(bytes, around.memory) => {
                Err(CommandError::Owned(outcome::no_memory(around.memory)))
            }
            Run::Data(plan) => {
                plan(&arguments).and_then(|plan| self.enter(place, Step::Plan(plan), bytes, around))
            }
            Run::Desk(run) => {
                let mut reply = Vec::new();
                let mut encoder = Encoder::new(&mut reply, self.client.protocol);
                let facts = self.facts(around.now);
                let mut desk = Desk { client: &mut self.client, door, around: *around, facts };
                let step = run(&mut desk, &arguments, &mut encoder);
                self.parser.set_authenticated(self.client.user.is_some());
                match step {
                    Ok(step @ (Step::Done | Step::Close)) => {
                        door.answered(place, std::time::Duration::ZERO, None, Ended::of(&reply));
                        self.at_once(around, |encoder| encoder.raw(&reply));
                        if matches!(step, Step::Close) {
                            self.end_after_replies();
                        }
                        Ok(())
                    }
                    Ok(step) => self.enter(place, step, bytes, around),
                    Err(error) => Err(error),
                }
            }
            Run::Container => Err(CommandError::arity(command.name)),
        };
        if let Err(error) = done {
            door.calls[place].failed += 1;
            self.at_once(around, |encoder| encoder.error(error.text()));
        }
    }

    /// A plan becomes a slot, and begins unless others use its keys before it.
    fn enter(
        &mut self,
        place: usize,
        step: Step,
        bytes: usize,
        around: &Surroundings<'_>,
    ) -> Result<(), CommandError> {
        let hashes = hashes_of(&step)?;
        let fence = is_fence(&step);
        let slot = self.slot(Some(place), around, bytes);
        let number = self.push(slot);
        let waits = self.sequence.enter(number, &hashes);
        let slot = self.slot_mut(number).expect("it was just pushed");
        (slot.hashes, slot.waits) = (hashes, waits);
        // It begins once all that has been read is parsed: commands on one key may then go together.
        slot.work = Work::Waits(step);
        self.fenced |= fence;
        if !fence && waits == 0 {
            self.ready.push_back(number);
        }
        Ok(())
    }

    fn unknown(&mut self, words: &[Bytes], around: &Surroundings<'_>) {
        // What a browser was made to send: see Redis's protection against cross-protocol scripting.
        if words[0].eq_ignore_ascii_case(b"post") || words[0].eq_ignore_ascii_case(b"host:") {
            return self.kill();
        }
        let name = shown(&words[0], SHOWN_BYTES);
        let mut others = String::new();
        for word in &words[1..] {
            if others.len() >= SHOWN_BYTES {
                break;
            }
            let word = shown(word, SHOWN_BYTES - others.len());
            others.push_str(&format!("'{word}' "));
        }
        let text = format!("ERR unknown command '{name}', with args beginning with: {others}");
        self.at_once(around, |encoder| encoder.error(&text));
    }

    /// Whether the client may give the command whose name is there, before the rest of it is kept.
    pub(super) fn check_name(&mut self, door: &mut Door) {
        let Some((command, place)) = self.parser.name(&self.input).and_then(table::lookup) else {
            return;
        };
        let refused = match &self.client.user {
            None if command.has(Flag::NoAuth) || !command.subcommands.is_empty() => None,
            None => Some(NO_AUTH),
            Some(user) if user.commands.permits(place) || command.has(Flag::NoAuth) => None,
            Some(user) => Some(no_permission(&user.name, command.name)),
        };
        if let Some(error) = refused {
            door.calls[place].rejected += 1;
            self.let_go(error.text());
        }
    }

    /// Keeps nothing of the command under way, if there is one: at its end, this is said.
    pub(super) fn let_go(&mut self, why: &str) {
        if self.parser.let_go(&mut self.input) {
            self.refused = Some(why.to_owned());
        }
    }
}

/// The keys that a step uses.
fn hashes_of(step: &Step) -> Result<Hashes, CommandError> {
    let one = |hash| Ok(sequence::hashes([hash]));
    match step {
        Step::Plan(Plan::Key { key, .. }) | Step::Explain(key) => one(key.hash()),
        Step::Plan(Plan::Scan(scan)) => one(scan.key.hash()),
        Step::Plan(Plan::FirstOf(first_of)) => {
            few(first_of.keys.len())?;
            Ok(sequence::hashes(first_of.keys.iter().map(|key| key.hash())))
        }
        Step::Plan(Plan::Gather { command, .. }) => gathered(command),
        Step::Plan(Plan::Keyspace(_))
        | Step::Done
        | Step::Close
        | Step::Ask(..)
        | Step::Wait { .. } => Ok(Hashes::new()),
    }
}

fn gathered(command: &GatherCommand) -> Result<Hashes, CommandError> {
    let hashes = match command {
        GatherCommand::Each(asked) => {
            few(asked.len())?;
            sequence::hashes(asked.iter().map(|(key, _)| key.hash()))
        }
        GatherCommand::Sets { keys, into, .. } => {
            few(keys.len())?;
            sequence::hashes(keys.iter().chain(into).map(|key| key.hash()))
        }
        GatherCommand::SortedSets { keys, into, .. } => {
            few(keys.len())?;
            sequence::hashes(keys.iter().map(|(key, _)| key).chain(into).map(|key| key.hash()))
        }
        GatherCommand::Copy { from, to, .. } | GatherCommand::MoveMember { from, to, .. } => {
            sequence::hashes([from.hash(), to.hash()])
        }
        GatherCommand::MoveElement { from, to } => sequence::hashes([from.0.hash(), to.0.hash()]),
        GatherCommand::Merge { keys, into } => {
            few(keys.len())?;
            sequence::hashes(keys.iter().chain([into]).map(|key| key.hash()))
        }
        GatherCommand::StoreRange { from, into, .. } => {
            sequence::hashes([from.hash(), into.hash()])
        }
        GatherCommand::Sort(sort) => {
            sequence::hashes([&sort.key].into_iter().chain(&sort.into).map(|key| key.hash()))
        }
    };
    Ok(hashes)
}

fn few(keys: usize) -> Result<(), CommandError> {
    if keys <= KEYS_MAX {
        Ok(())
    } else {
        Err(CommandError::Owned(format!("ERR {keys} keys exceed the limit of {KEYS_MAX}")))
    }
}

const NO_AUTH: CommandError = CommandError::Text("NOAUTH Authentication required.");
const NO_KEY: CommandError = CommandError::Text("NOPERM No permissions to access a key");

fn no_permission(user: &str, command: &str) -> CommandError {
    let text = format!("NOPERM User {user} has no permissions to run the '{command}' command");
    CommandError::Owned(text)
}

fn unknown_subcommand(parent: &Command, name: &[u8]) -> CommandError {
    let (name, parent) = (shown(name, SHOWN_BYTES), parent.name.to_uppercase());
    CommandError::Owned(format!("ERR unknown subcommand '{name}'. Try {parent} HELP."))
}

/// A word as text, cut off.
fn shown(word: &[u8], bytes_max: usize) -> String {
    String::from_utf8_lossy(&word[..word.len().min(bytes_max)]).into_owned()
}
