//! Who is to be answered.

use coterie_ring::NodeId;
use coterie_wire::{Body, Outcome, RequestId, Response, Slice};

use crate::coordinator;
use crate::effects::{After, Class, ClientId, Effects};
use crate::lane::Shared;
use crate::listing;

/// Who asked for what this node coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A client of this node.
    Client(ClientId),
    /// Another node, which forwarded it.
    Peer {
        /// Which node.
        node: NodeId,
        /// The slice that it named.
        slice: Slice,
    },
    /// Another request of this lane, of which it is a part and which goes on now.
    Request(RequestId),
    /// A listing of this lane, which looks at one of its keys.
    Listing {
        /// Which.
        listing: RequestId,
        /// The key's number on its page.
        item: u32,
    },
    /// A job of this lane, which looks for the outcome in what it finds next.
    Job,
}

impl Origin {
    /// Answers, once `after` holds.
    pub fn answer(
        self,
        shared: &Shared,
        request: RequestId,
        outcome: Outcome,
        after: After,
        effects: &mut Effects,
    ) {
        let response = Response { outcome };
        match self {
            Origin::Client(client) => effects.respond(after, client, response),
            Origin::Peer { node, slice } => {
                let body = Body::Forwarded(Box::new(response));
                let message = shared.message(request, slice, body);
                effects.send_after(after, node, Class::Requests, message);
            }
            Origin::Request(request) => {
                let again = coordinator::Event::Again { request };
                effects.lane(after, crate::Event::Coordinator(again));
            }
            Origin::Listing { listing, item } => {
                let outcome = Box::new(response.outcome);
                let read = listing::Event::Read { listing, item, outcome };
                effects.lane(after, crate::Event::Listing(read));
            }
            Origin::Job => {}
        }
    }
}
