//! Listing the keys of a bucket: a page at a time, of what enough owners have.
//!
//! The coordinator reads which keys it has from the place asked for on, asks as many owners as a read of the bucket
//! does for theirs, and merges them up to the first end of any. Keys that all have the same are told by the
//! coordinator's own rows; those that differ it reads one by one like any client, which repairs them too.

mod admission;
mod asking;
mod chunk;
mod forward;
mod owner;
mod page;
mod plan;
mod reading;
mod request;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::listing::Listing;
use coterie_wire::{Body, List, Message, Outcome, RequestId, Unavailable};

use crate::effects::{After, ClientId, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::rows::{NotResident, Rows};

use chunk::Chunk;
use plan::{Route, route};
use request::{Asker, Phase, UnderWay};

/// What happens to listings from within their lane.
#[derive(Clone, Debug)]
pub enum Event {
    /// One begins again, on rows read anew.
    Again {
        /// Which.
        listing: RequestId,
    },
    /// A key that owners differ about was read.
    Read {
        /// For which listing.
        listing: RequestId,
        /// The key's number on its page.
        item: u32,
        /// What it has come to.
        outcome: Box<Outcome>,
    },
}

/// The rows that an event of a listing needs.
#[derive(Debug)]
pub enum Found {
    /// None.
    Nothing,
    /// Those of the next keys.
    Keys(Chunk),
    /// They are damaged so that it cannot be told which key they are of.
    Damaged,
}

/// The listings that a lane coordinates or has forwarded, by the id of their messages: another one each time that they
/// begin again.
#[derive(Debug, Default)]
pub struct Listings {
    under_way: BTreeMap<RequestId, UnderWay>,
}

impl Listings {
    /// Whether a message is of a listing.
    #[must_use]
    pub fn takes(&self, message: &Message) -> bool {
        let refused = matches!(message.body, Body::Refused(_));
        matches!(message.body, Body::Listing(_))
            || refused && self.under_way.contains_key(&message.request)
    }

    /// Reads what a listing needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read(
        &self,
        shared: &Shared,
        list: &List,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let Route::Here(plan) = route(shared, list) else { return Ok(Found::Nothing) };
        let (partition, wall) = (plan.slice.partition, shared.now.wall_millis);
        chunk::read(partition, &list.bucket, (&list.from, list.keys_max), wall, rows)
    }

    /// Reads what a peer's message needs.
    ///
    /// # Errors
    /// [`NotResident`]
    pub fn read_message(
        &self,
        shared: &Shared,
        from: NodeId,
        message: &Message,
        rows: &impl Rows,
    ) -> Result<Found, NotResident> {
        let Body::Listing(said) = &message.body else { return Ok(Found::Nothing) };
        match &**said {
            Listing::Forward(list) => self.read(shared, list, rows),
            Listing::Show(show) => owner::read(shared, from, message, show, rows),
            Listing::Forwarded(_) | Listing::Shown(_) => Ok(Found::Nothing),
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
            Event::Again { listing } => match self.under_way.get(listing) {
                Some(under_way) => self.read(shared, &under_way.list, rows),
                None => Ok(Found::Nothing),
            },
            Event::Read { .. } => Ok(Found::Nothing),
        }
    }

    /// Begins a client's listing.
    pub fn list(
        &mut self,
        shared: &mut Shared,
        client: ClientId,
        list: List,
        found: Found,
        effects: &mut Effects,
    ) {
        self.begin(shared, Asker::Client(client), list, found, effects);
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
        let id = message.request;
        if let Body::Refused(refusal) = message.body {
            if let PeerRefusal::OtherLayout { known } = refusal {
                effects.control(ControlEvent::LayoutBehind { peer: from, known });
            }
            return self.not_taken(shared, (from, true), id, effects);
        }
        let Body::Listing(ref said) = message.body else { return };
        match &**said {
            Listing::Forward(list) => {
                // Without a slice the answer would not find the lane that asked.
                if let Some(slice) = message.slice {
                    let asker = Asker::Peer(from, id, slice);
                    self.begin(shared, asker, list.clone(), found, effects);
                }
            }
            Listing::Forwarded(listed) => self.forwarded(shared, from, id, listed, effects),
            Listing::Show(show) => owner::show(shared, from, &message, show, found, effects),
            Listing::Shown(shown) => self.shown(shared, from, id, shown, effects),
        }
    }

    /// A node has not taken a message, and has said so or not.
    fn not_taken(
        &mut self,
        shared: &mut Shared,
        (node, refuses): (NodeId, bool),
        id: RequestId,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.under_way.remove(&id) else { return };
        match &mut under_way.phase {
            Phase::Gathering(gathering) => {
                gathering.take(node, None);
                self.go_on(shared, id, under_way, effects);
            }
            Phase::Forwarding(handed) => {
                handed.over(node);
                if refuses {
                    handed.refused();
                }
                self.forward(shared, id, under_way, effects);
            }
            Phase::Waiting { .. } | Phase::Reading(_) => {
                self.under_way.insert(id, under_way);
            }
        }
    }

    /// A node that was asked cannot be reached.
    pub fn unreachable(
        &mut self,
        shared: &mut Shared,
        to: NodeId,
        request: RequestId,
        effects: &mut Effects,
    ) {
        self.not_taken(shared, (to, false), request, effects);
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
            Event::Again { listing } => self.again(shared, listing, found, effects),
            Event::Read { listing, item, outcome } => {
                self.item_read(shared, listing, item, *outcome, effects);
            }
        }
    }

    /// Others are alive, or own, than before.
    pub fn view_changed(&mut self, shared: &mut Shared, effects: &mut Effects) {
        for id in self.under_way.keys().copied().collect::<Vec<_>>() {
            let Some(under_way) = self.under_way.remove(&id) else { continue };
            self.go_on(shared, id, under_way, effects);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, shared: &mut Shared, effects: &mut Effects) {
        let now = shared.now.monotonic;
        let due = |(id, it): (&RequestId, &UnderWay)| (it.next_deadline() <= now).then_some(*id);
        for id in self.under_way.iter().filter_map(due).collect::<Vec<_>>() {
            let Some(mut under_way) = self.under_way.remove(&id) else { continue };
            if under_way.deadline <= now {
                let count = under_way.count(shared);
                under_way.unavailable(shared, Unavailable::Answers(count), effects);
                continue;
            }
            match &mut under_way.phase {
                Phase::Forwarding(_) => self.forward(shared, id, under_way, effects),
                Phase::Waiting { until, .. } => {
                    *until = Duration::MAX;
                    let again = Event::Again { listing: id };
                    effects.lane(After::Written, crate::Event::Listing(again));
                    self.under_way.insert(id, under_way);
                }
                Phase::Gathering(_) | Phase::Reading(_) => {
                    self.go_on(shared, id, under_way, effects);
                }
            }
        }
    }

    /// When it next wants to be told that time has passed.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.under_way.values().map(UnderWay::next_deadline).min()
    }
}
