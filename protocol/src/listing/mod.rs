//! Listing the keys of a bucket: a page at a time, of what enough owners have.
//!
//! The coordinator reads which keys it has from the place asked for on, asks as many owners as a read of the bucket
//! does for theirs, and merges them up to the first end of any. Keys that all have the same are told by the
//! coordinator's own rows; those that differ it reads one by one like any client, which repairs them too.

mod asking;
mod chunk;
mod forward;
mod page;
mod plan;
mod reading;

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::peer::PeerRefusal;
use coterie_wire::peer::listing::{Listing, ShowKeys, ShownKeys};
use coterie_wire::{
    Body, List, Listed, Message, Outcome, QuorumCount, Refused, RequestId, Slice, Unavailable,
};

use crate::effects::{After, Class, ClientId, Effects};
use crate::event::ControlEvent;
use crate::lane::Shared;
use crate::replica::admit;
use crate::rows::{NotResident, Rows};

use asking::{Gathered, Gathering};
use chunk::Chunk;
use forward::Forwarding;
use plan::{Plan, Route, route};
use reading::Reading;

/// Listings under way at once in a lane, before clients are told that the node is busy: each may hold a quarter of a
/// megabyte for each owner that is asked.
const LISTINGS_MAX: usize = 128;

/// How long what is not to be had just now is waited for before it is asked for again.
const AGAIN: Duration = Duration::from_millis(50);

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

/// Who waits for a listing.
#[derive(Clone, Copy, Debug)]
enum Asker {
    Client(ClientId),
    /// Another node, which forwarded it in this message.
    Peer(NodeId, RequestId, Slice),
}

/// How far a listing has come.
#[derive(Debug)]
enum Phase {
    /// Other owners coordinate it.
    Forwarding(Forwarding),
    /// Owners are asked which keys they have.
    Gathering(Box<Gathering>),
    /// It is begun again after a while, as something is not to be had just now.
    Waiting { until: Duration, count: QuorumCount },
    /// Keys that owners differ about are read.
    Reading(Reading),
}

#[derive(Debug)]
struct UnderWay {
    asker: Asker,
    list: List,
    plan: Plan,
    deadline: Duration,
    phase: Phase,
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
        let (slice, wall) = (plan.slice, shared.now.wall_millis);
        let place = (&list.from, list.keys_max);
        chunk::read(slice.partition, &list.bucket, place, wall, rows)
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
            Listing::Show(show) => match admit::listing(shared, from, message, show) {
                Ok(state) => {
                    let (slice, wall) = (state.slice, shared.now.wall_millis);
                    let place = (&show.from, show.keys_max);
                    chunk::read(slice.partition, &show.bucket, place, wall, rows)
                }
                Err(_) => Ok(Found::Nothing),
            },
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

    fn begin(
        &mut self,
        shared: &mut Shared,
        asker: Asker,
        list: List,
        found: Found,
        effects: &mut Effects,
    ) {
        let refused = |refused| Listed::Refused(refused);
        let (here, plan) = match route(shared, &list) {
            Route::Refused(why) => return asker.answer(shared, refused(why), effects),
            Route::Here(plan) => (true, plan),
            Route::Away(plan) => (false, plan),
        };
        if list.time_left.is_zero() {
            return asker.answer(shared, refused(Refused::Expired), effects);
        }
        if let (Asker::Peer(node, request, slice), false) = (asker, here) {
            // What was forwarded is never forwarded again.
            let refusal = match shared.slices.contains_key(&slice) {
                true => PeerRefusal::NotReceived,
                false => PeerRefusal::NotOwner,
            };
            let message = shared.message(request, slice, Body::Refused(refusal));
            return effects.send(node, Class::Requests, message);
        }
        if self.under_way.len() >= LISTINGS_MAX {
            return asker.answer(shared, refused(Refused::Busy), effects);
        }
        let deadline = shared.now.monotonic + list.time_left;
        let phase = Phase::Forwarding(Forwarding::default());
        let under_way = UnderWay { asker, list, plan, deadline, phase };
        if here {
            self.gather(shared, under_way, found, effects);
        } else {
            let id = shared.draw_request();
            self.forward(shared, id, under_way, effects);
        }
    }

    /// Asks other owners which keys they have.
    fn gather(
        &mut self,
        shared: &mut Shared,
        mut under_way: UnderWay,
        found: Found,
        effects: &mut Effects,
    ) {
        let id = shared.draw_request();
        let own = match found {
            Found::Keys(own) => own,
            Found::Damaged => {
                return under_way.unavailable(shared, Unavailable::Damaged, effects);
            }
            Found::Nothing => return under_way.unavailable(shared, Unavailable::Nobody, effects),
        };
        let Some(state) = shared.slices.get(&under_way.plan.slice) else {
            return under_way.unavailable(shared, Unavailable::Nobody, effects);
        };
        match Gathering::new(&shared.view, state, &under_way.plan, own) {
            Ok(gathering) => {
                under_way.phase = Phase::Gathering(Box::new(gathering));
                self.go_on(shared, id, under_way, effects);
            }
            Err(count) => under_way.unavailable(shared, Unavailable::Owners(count), effects),
        }
    }

    /// Looks at how far the answers of owners are.
    fn go_on(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let now = shared.now.monotonic;
        let UnderWay { list, plan, deadline, phase, .. } = &mut under_way;
        let Phase::Gathering(gathering) = phase else {
            self.under_way.insert(id, under_way);
            return;
        };
        match gathering.progress(&shared.view, plan) {
            Gathered::Enough => {
                let reading = Reading::begin(gathering, shared.me, list.keys_max);
                *phase = Phase::Reading(reading);
                self.read_on(shared, id, under_way, effects);
            }
            Gathered::TooFew(count) => {
                *phase = Phase::Waiting { until: now + AGAIN, count };
                self.under_way.insert(id, under_way);
            }
            Gathered::Open => {
                for node in gathering.ask(&shared.view, plan, now) {
                    let show = ShowKeys {
                        bucket: list.bucket.clone(),
                        from: list.from.clone(),
                        keys_max: list.keys_max,
                        set: gathering.set.version,
                        quorum: plan.quota.readiness(),
                    };
                    let body = Body::Listing(Box::new(Listing::Show(show)));
                    let mut message = shared.message(id, plan.slice, body);
                    message.time_left = Some(deadline.saturating_sub(now));
                    effects.send(node, Class::Requests, message);
                }
                self.under_way.insert(id, under_way);
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
        let id = message.request;
        if let Body::Refused(refusal) = message.body {
            if let PeerRefusal::OtherLayout { known } = refusal {
                effects.control(ControlEvent::LayoutBehind { peer: from, known });
            }
            return self.not_taken(shared, from, id, effects);
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
            Listing::Show(show) => show_keys(shared, from, &message, show, found, effects),
            Listing::Shown(shown) => self.shown(shared, from, id, shown, effects),
        }
    }

    /// An owner has shown which keys it has.
    fn shown(
        &mut self,
        shared: &mut Shared,
        from: NodeId,
        id: RequestId,
        shown: &ShownKeys,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.under_way.remove(&id) else { return };
        if let Phase::Gathering(gathering) = &mut under_way.phase {
            let list = &under_way.list;
            let partitioner = shared.view.decision.layout().partitioner();
            let place = (&list.bucket[..], &list.from);
            gathering.take(from, Some(Chunk::shown_by(shown.clone(), place, partitioner)));
        }
        self.go_on(shared, id, under_way, effects);
    }

    /// A node has not taken a message, or it was lost.
    fn not_taken(
        &mut self,
        shared: &mut Shared,
        node: NodeId,
        id: RequestId,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.under_way.remove(&id) else { return };
        match &mut under_way.phase {
            Phase::Gathering(gathering) => {
                gathering.take(node, None);
                self.go_on(shared, id, under_way, effects);
            }
            Phase::Forwarding(forwarding) => {
                forwarding.lost(node);
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
        self.not_taken(shared, to, request, effects);
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
            Event::Again { listing } => {
                let Some(mut under_way) = self.under_way.remove(&listing) else { return };
                match route(shared, &under_way.list) {
                    Route::Here(plan) => {
                        under_way.plan = plan;
                        self.gather(shared, under_way, found, effects);
                    }
                    Route::Away(_) => under_way.unavailable(shared, Unavailable::Nobody, effects),
                    Route::Refused(why) => {
                        under_way.asker.answer(shared, Listed::Refused(why), effects);
                    }
                }
            }
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

impl UnderWay {
    fn next_deadline(&self) -> Duration {
        let phase = match &self.phase {
            Phase::Forwarding(forwarding) => forwarding.next_deadline(),
            Phase::Gathering(gathering) => gathering.next_deadline(),
            Phase::Waiting { until, .. } => *until,
            Phase::Reading(_) => Duration::MAX,
        };
        phase.min(self.deadline)
    }

    /// How many have answered, of how many that have to.
    fn count(&self, shared: &Shared) -> QuorumCount {
        match &self.phase {
            Phase::Gathering(gathering) => gathering.count(&shared.view, &self.plan),
            Phase::Waiting { count, .. } => *count,
            Phase::Forwarding(_) | Phase::Reading(_) => {
                let sets = shared.view.live_sets(self.plan.slice);
                self.plan.quota.count(&shared.view, sets.newest(), |_| false)
            }
        }
    }

    fn unavailable(self, shared: &Shared, why: Unavailable, effects: &mut Effects) {
        self.asker.answer(shared, Listed::Unavailable(why), effects);
    }
}

impl Asker {
    fn answer(self, shared: &Shared, listed: Listed, effects: &mut Effects) {
        match self {
            Asker::Client(client) => effects.listed(client, listed),
            Asker::Peer(node, request, slice) => {
                let body = Body::Listing(Box::new(Listing::Forwarded(listed)));
                let message = shared.message(request, slice, body);
                effects.send(node, Class::Requests, message);
            }
        }
    }
}

/// Shows another owner which keys this one has.
fn show_keys(
    shared: &mut Shared,
    from: NodeId,
    message: &Message,
    show: &ShowKeys,
    found: Found,
    effects: &mut Effects,
) {
    let (id, Some(slice)) = (message.request, message.slice) else { return };
    let refusal = admit::listing(shared, from, message, show).err();
    let body = match (refusal, found) {
        (None, Found::Keys(own)) => Body::Listing(Box::new(Listing::Shown(own.show()))),
        // What it has not read it cannot show; another owner may.
        (None, Found::Nothing | Found::Damaged) => Body::Refused(PeerRefusal::NotReceived),
        (Some(refusal), _) => {
            admit::note(shared, from, refusal, effects);
            Body::Refused(refusal.to_peer())
        }
    };
    let answer = admit::answer(shared, id, slice, body);
    effects.send(from, Class::Requests, Message { trace: message.trace, ..answer });
}
