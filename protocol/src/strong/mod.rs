//! Strong buckets: every key is one compare-and-set register, agreed on by its owners.
//!
//! The coordinator's side proposes ([`coordinator`](self)), each owner's side votes. While a partition moves, a
//! majority of every live owner set must agree. Plain writes are refused here: mixing both is what makes
//! conditional writes of other stores unsafe.
//!
//! Source: reliability.md §3B; the register is `ring::register` (CASPaxos).

mod change;
mod requests;
pub(crate) mod row;
mod value;
mod voter;

use std::time::Duration;

use bytes::Bytes;
use coterie_ring::NodeId;
use coterie_wire::peer::strong::{RegisterReply, RegisterRequest};
use coterie_wire::{Body, Key, Message, Request, RequestId};

use crate::effects::Effects;
use crate::lane::Shared;
use crate::origin::Origin;
use crate::rows::address::KeyPrefix;
use crate::rows::{NotResident, Rows, Space};

pub use change::{StrongChange, StrongOperation};
pub use requests::Requests;
pub use row::{Acceptor, DamagedRow, decode, digest, encode, is_register};
pub use value::{MalformedValue, REMEMBERED_MAX, Remembered, STRONG_VALUE_BYTES_MAX, StrongValue};
pub use voter::{store, vote_row};

/// What happens to strong keys from within the lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// The coordinator was asked for a strong key and found this node to be the one to propose.
    Begin {
        /// Who is to be answered.
        origin: Origin,
        /// What was asked.
        request: Box<Request>,
    },
    /// Owners were found to hold different votes for a key, and copying them over did not help: what is
    /// chosen is written once more, so that all come to hold it.
    Settle {
        /// The key.
        key: Key,
    },
    /// This node's own acceptor is asked.
    AskOwn {
        /// By which proposal.
        request: RequestId,
        /// What.
        asked: Box<RegisterRequest>,
    },
    /// This node's own acceptor has answered, durably.
    OwnReply {
        /// Which proposal.
        request: RequestId,
        /// What.
        reply: Box<RegisterReply>,
    },
}

/// The row that an event of a strong key needs.
#[derive(Debug)]
pub struct Found {
    /// The stored row of the key's acceptor; not read where only the proposer is concerned.
    row: Option<Bytes>,
}

/// Strong keys of a lane.
#[derive(Debug, Default)]
pub struct Strong {
    requests: Requests,
}

impl Strong {
    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        shared: &Shared,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        if let Body::Register(asked) = &message.body {
            read(shared, &asked.key, rows)
        } else if let Body::Vote(late) = &message.body {
            read(shared, &late.key, rows)
        } else {
            Ok(Found { row: None })
        }
    }

    /// Reads what an event of its own needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_event(
        &self,
        shared: &Shared,
        event: &Event,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        match event {
            Event::AskOwn { asked, .. } => read(shared, &asked.key, rows),
            Event::Begin { .. } | Event::Settle { .. } | Event::OwnReply { .. } => {
                Ok(Found { row: None })
            }
        }
    }

    /// Takes a peer's message in.
    pub fn message(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        message: Message,
        found: Found,
        effects: &mut Effects,
    ) {
        if matches!(message.body, Body::Register(_)) {
            voter::register(shared, from, message, found.row, effects);
        } else if matches!(message.body, Body::Vote(_)) {
            voter::late_vote(shared, from, message, found.row, effects);
        } else {
            self.requests.reply(shared, from, message, effects);
        }
    }

    /// Takes an event of its own in.
    pub fn event(
        &mut self,
        shared: &mut Shared,
        event: Event,
        found: Found,
        effects: &mut Effects,
    ) {
        match event {
            Event::Begin { origin, request } => {
                self.requests.begin(shared, origin, *request, effects);
            }
            Event::Settle { key } => self.requests.settle(shared, key, effects),
            Event::AskOwn { request, asked } => {
                voter::own(shared, request, *asked, found.row, effects);
            }
            Event::OwnReply { request, reply } => {
                self.requests.own(shared, request, *reply, effects);
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        self.requests.tick(shared, effects);
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.requests.next_deadline()
    }
}

fn read(shared: &Shared, key: &Key, rows: &impl Rows) -> Result<Found, NotResident> {
    let prefix = KeyPrefix::new(shared.view.partition(key), key);
    Ok(Found { row: rows.get(Space::Rows, &prefix.root())? })
}
