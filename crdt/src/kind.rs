//! Kinds of cells, and which of them a key shows.

use crate::payload::Payload;
use crate::tally::Unit;

/// What a cell is part of. The first byte of every cell's address.
///
/// Concurrent operations may leave cells of several kinds under one key. The order here says which of
/// them is visible: the first that has a live cell. The others stay until the next delete or `SET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The key's register: strings, counters, numeric registers. Lives in the root.
    Register = 1,
    /// A field of a hash; its path is the field.
    Field = 2,
    /// A value deeper in a map; its path is two or more [segments](crate::address::nested_path).
    Nested = 3,
    /// An element of a list; its path is a [position](crate::position).
    Element = 4,
    /// A member of an add-wins set.
    Member = 5,
    /// A member of a remove-wins set.
    GuardedMember = 6,
    /// A member of a grow-only set.
    GrowOnlyMember = 7,
    /// A member of a sorted set.
    Scored = 8,
    /// A register of a HyperLogLog; its path is the index, big-endian. One with an empty path says that
    /// the key is there though it has seen nothing.
    Sketch = 9,
    /// An enable-wins flag; its path is empty.
    EnableFlag = 10,
    /// A disable-wins flag; its path is empty.
    DisableFlag = 11,
    /// The key's expiry. Lives in the root and makes nothing visible.
    Expiry = 15,
}

/// Kinds of which a root counts the live cells: all but the two that live in the root.
pub const COUNTED_KINDS: [Kind; 10] = [
    Kind::Field,
    Kind::Nested,
    Kind::Element,
    Kind::Member,
    Kind::GuardedMember,
    Kind::GrowOnlyMember,
    Kind::Scored,
    Kind::Sketch,
    Kind::EnableFlag,
    Kind::DisableFlag,
];

impl Kind {
    /// The kind with this address byte.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        match byte {
            1 => Some(Kind::Register),
            15 => Some(Kind::Expiry),
            _ => COUNTED_KINDS.into_iter().find(|&kind| kind as u8 == byte),
        }
    }

    /// Whether its cell is kept in the root row.
    pub fn lives_in_root(self) -> bool {
        matches!(self, Kind::Register | Kind::Expiry)
    }

    /// Whether it has one cell, at the empty path.
    pub fn is_single(self) -> bool {
        self.lives_in_root() || matches!(self, Kind::EnableFlag | Kind::DisableFlag)
    }

    /// How tallies of its cells are read.
    pub fn unit(self) -> Unit {
        if self == Kind::Scored { Unit::Float } else { Unit::Decimal }
    }

    /// Whether its cells may hold tallies.
    pub fn has_tallies(self) -> bool {
        matches!(self, Kind::Register | Kind::Field | Kind::Nested | Kind::Scored)
    }

    /// Whether its cells may hold `payload`.
    pub fn admits(self, payload: &Payload) -> bool {
        match payload {
            Payload::Present => !matches!(self, Kind::Element | Kind::Expiry),
            Payload::Removed => matches!(self, Kind::GuardedMember | Kind::DisableFlag),
            Payload::Value(..) => {
                matches!(self, Kind::Register | Kind::Field | Kind::Nested | Kind::Element)
            }
            Payload::Score(..) => self == Kind::Scored,
            Payload::Rank(_) => self == Kind::Sketch,
            Payload::Deadline(_, Some(_)) => matches!(self, Kind::Field | Kind::Expiry),
            // Of fields, which hold no dot where they never expire, nobody says so.
            Payload::Deadline(_, None) => self == Kind::Expiry,
        }
    }

    /// What a client sees it as.
    pub fn shown_as(self) -> Shown {
        match self {
            Kind::Register => Shown::String,
            Kind::Field | Kind::Nested => Shown::Hash,
            Kind::Element => Shown::List,
            Kind::Member => Shown::Set,
            Kind::GuardedMember => Shown::RemoveWinsSet,
            Kind::GrowOnlyMember => Shown::GrowOnlySet,
            Kind::Scored => Shown::SortedSet,
            Kind::Sketch => Shown::HyperLogLog,
            Kind::EnableFlag | Kind::DisableFlag => Shown::Flag,
            Kind::Expiry => Shown::Nothing,
        }
    }
}

/// What a key is to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Shown {
    /// No such key.
    Nothing,
    /// A string, number or counter.
    String,
    /// A hash or nested map.
    Hash,
    /// A list.
    List,
    /// An add-wins set.
    Set,
    /// A remove-wins set.
    RemoveWinsSet,
    /// A grow-only set.
    GrowOnlySet,
    /// A sorted set.
    SortedSet,
    /// A HyperLogLog.
    HyperLogLog,
    /// A flag.
    Flag,
}

impl Shown {
    /// The word that Redis's TYPE answers; flags, which Redis has not, are "flag".
    pub fn redis_name(self) -> &'static str {
        match self {
            Shown::Nothing => "none",
            Shown::String | Shown::HyperLogLog => "string",
            Shown::Hash => "hash",
            Shown::List => "list",
            Shown::Set | Shown::RemoveWinsSet | Shown::GrowOnlySet => "set",
            Shown::SortedSet => "zset",
            Shown::Flag => "flag",
        }
    }
}
