//! What the controls of two nodes say to each other.

use bytes::Bytes;
use coterie_ring::Intent;
use coterie_ring::decision::{self, Tip};
use coterie_ring::moves::SetVersion;
use serde::{Deserialize, Serialize};

use crate::grows::grows;
use crate::{Run, Slice};

/// From control to control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ControlMessage {
    /// A message of the failure detector that goes over a stream.
    Swim(Bytes),
    /// How far the sender is. Who is further says so, who is less far asks.
    Compare(Compare),
    /// What is asked for, as far as it is known to the sender.
    Intent(Box<Intent>),
    /// Of the agreement on layouts.
    Decision(Box<decision::Message>),
    /// A new node, which has no layout yet, asks for one.
    Join,
    /// A node that has just started asks what is remembered of it.
    Remembered {
        /// Which run of it asks.
        run: Run,
    },
    /// The answer.
    Remember(Remember),
    /// Moves of the decision `tip` that are done, as far as the sender knows.
    MovesDone {
        /// Of which decision.
        tip: Tip,
        /// Which slices.
        slices: Vec<Slice>,
    },
}

/// How far a node is in what all nodes come to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The xxh3-128 of the intent it knows, encoded.
    pub intent: u128,
    /// Its last decision.
    pub tip: Tip,
    /// The last that an operator gave up.
    pub given_up: Option<GivenUp>,
}

/// What an operator gave up, so that moves go on without the pushes of owners that are removed. Of two, the
/// greater holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GivenUp {
    /// In moves to sets that are no newer.
    pub version: SetVersion,
    /// What fewer owners than so many acknowledged.
    pub owners: u8,
}

/// What a node remembers of another (invariant 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remember {
    /// The run that asked.
    pub run: Run,
    /// What was heard of the last of its runs, in the order in which they were heard of.
    pub heard: Vec<Heard>,
    /// The last decision that the one who answers knows, if any.
    pub tip: Option<Tip>,
    /// Whether it may have heard of more: its process before this one did not end in order, and this one has not heard from
    /// every lane of the other yet.
    pub forgot: bool,
}

/// What a node acknowledged in one run, as far as another has heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which run.
    pub run: Run,
    /// The highest commit that each of its lanes acknowledged: lane and number.
    pub commits: Vec<(u16, u64)>,
}

/// What two nodes tell each other first on a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's wall clock when it sent this: milliseconds since 1970.
    pub wall_millis: u64,
    /// Lowest and highest wire version that it speaks.
    pub protocols: (u16, u16),
}

grows! {
    Compare { intent, tip, given_up }
    GivenUp { version, owners }
    Heard { run, commits }
    Hello { wall_millis, protocols }
    Remember { run, heard, tip; later forgot }
}
