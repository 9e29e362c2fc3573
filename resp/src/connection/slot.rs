//! Slots: commands of a connection that are not answered yet, in order.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use coterie_protocol::gather::{self, Gather};
use coterie_wire::{Key, Levels};

use super::sequence::{Hashes, Number};
use crate::desk::{Step, TellShape};
use crate::encoder::Protocol;
use crate::keyspace::Walk;
use crate::plan::{ElementScan, FirstOf, KeyShape, KeysShape};

/// A command that is not answered yet.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its place in the table, where it has one.
    pub(super) place: Option<usize>,
    /// What its client spoke when it gave it.
    pub(super) protocol: Protocol,
    /// What its client had asked for when it gave it.
    pub(super) terms: Terms,
    /// Whether its reply goes nowhere.
    pub(super) silent: bool,
    /// When it was given.
    pub(super) begun: Duration,
    /// Bytes of it that are kept.
    pub(super) bytes: usize,
    /// The keys that it uses.
    pub(super) hashes: Hashes,
    /// How many of them others use before it.
    pub(super) waits: usize,
    /// How far it is.
    pub(super) work: Work,
}

/// What a client has asked for: it holds for the commands that it gives afterwards, whenever they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) levels: Levels,
    /// `None`: what the node gives to requests.
    pub(super) deadline: Option<Duration>,
}

/// How far a command is.
pub(super) enum Work {
    /// It waits for commands before it.
    Waits(Step),
    /// A request on one key is under way.
    Key { key: Key, levels: Levels, shape: KeyShape },
    /// One request for several commands on one key is: this one, and those that [`Work::Joined`] says.
    Joint { key: Key, levels: Levels, parts: Vec<Part> },
    /// It is part of the request of a command before it.
    Joined,
    /// Requests on several keys are.
    Gather(Box<Gathering>),
    /// One key after another is tried.
    FirstOf { first_of: Box<FirstOf>, index: usize, levels: Levels },
    /// A page of elements is.
    Scan(Box<ElementScan>),
    /// A walk over keys is.
    Walk(Box<Walk>),
    /// The node is asked.
    Ask(TellShape),
    /// A barrier is waited for.
    Wait,
    /// It is answered, and others before it are not.
    Answered(Vec<u8>),
    /// Being dealt with just now.
    Busy,
}

/// One command of a joint request.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) number: Number,
    pub(super) shape: KeyShape,
    /// Where its operations end among those of the request.
    pub(super) end: usize,
}

/// A command on several keys.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) gather: Gather,
    pub(super) shape: KeysShape,
    /// Requests to be made.
    pub(super) to_ask: VecDeque<gather::Ask>,
    /// Requests under way.
    pub(super) asked: usize,
    /// What each item was about.
    pub(super) keys: Vec<Key>,
    pub(super) levels: Levels,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Work::Waits(_) => "Waits",
            Work::Key { .. } => "Key",
            Work::Joint { .. } => "Joint",
            Work::Joined => "Joined",
            Work::Gather(_) => "Gather",
            Work::FirstOf { .. } => "FirstOf",
            Work::Scan(_) => "Scan",
            Work::Walk(_) => "Walk",
            Work::Ask(_) => "Ask",
            Work::Wait => "Wait",
            Work::Answered(_) => "Answered",
            Work::Busy => "Busy",
        })
    }
}
