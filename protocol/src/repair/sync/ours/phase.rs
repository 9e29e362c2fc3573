//! Where a session that this node began stands, and what comes next.

use coterie_crdt::Address;
use coterie_wire::Key;
use coterie_wire::peer::sync::Chunk;

use super::super::cells::{Measured, NotNow};
use super::super::chunk::Receiving;
use super::super::contents::Held;
use super::super::event::SyncError;
use super::super::halving::Asking;
use super::super::lister::{Listed, Lister};
use super::super::work::{Gave, Taking, Took};
use crate::replica::Stored;

/// Where a session stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// The key is being read.
    Reading,
    /// The key is being joined by the peer.
    Joining,
    /// What is compared first of a large key is being read.
    Measuring,
    /// The sums of its sub-ranges are being compared.
    Matching,
    /// The sums of leaves are being compared.
    Opening,
    /// The rows of some leaves are being listed.
    Listing(Lister),
    /// Ranges are being opened, and then halved.
    Comparing { asking: Box<Asking>, opened: bool },
    /// Rows of the peer are asked for.
    Pulling { equal: u128 },
    /// Rows of the peer are being joined.
    Taking { taking: Taking, then: Then },
    /// Rows for the peer are being read.
    Giving,
    /// Rows for the peer are on their way.
    Given,
    /// Large keys are being synchronised, in sessions of their own.
    Keys,
    /// The whole is compared.
    Closing,
    /// What the peer had seen of a key is being taken in.
    Adopting,
    /// All cells of a key are asked for, in order.
    Fetching,
    /// Those of a chunk are being joined.
    Receiving(Receiving),
    /// All cells of a key go to the peer, in order: those after one are being read.
    Sending(Option<Address>),
    /// A chunk of them is on its way, of those after one.
    Sent(Option<Address>),
}

/// What follows when rows of the peer are joined.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// The peer has more.
    Pull { equal: u128 },
    /// These were all that it found to differ.
    Give,
    /// These were what it has more of than it was given.
    Next { more: bool },
    /// That was all.
    End,
}

/// What one event of a session has read.
#[derive(Debug)]
pub(in super::super) enum Found {
    Nothing,
    Held(Box<Held>),
    Measured(Result<Measured, NotNow>),
    Stored(Option<Box<Stored>>),
    Chunk(Option<Box<Chunk>>),
    Listed(Listed),
    Took(Took),
    Gave(Gave),
}

/// What a session wants to have done next.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// Nothing: it waits for an answer.
    Wait,
    /// To be handed its event, to go on with rows.
    Work,
    /// The next large key is to be synchronised, in a session of its own.
    Key(Key),
    /// It has ended.
    End(Result<(), SyncError>),
    /// It has ended, and both sides had this digest of the slice at the end.
    Equal(u128),
}
