//! Keys that owners differ about, read one by one like any client does.

use coterie_crdt::Shown;
use coterie_crdt::operation::Reply;
use coterie_ring::NodeId;
use coterie_wire::{
    Answered, Key, LIST_KEYS_MAX, ListFrom, Listed, Outcome, Page, Request, RequestId, SessionDots,
    Unavailable,
};

use super::Listings;
use super::asking::Gathering;
use super::chunk::Chunk;
use super::page::Draft;
use super::request::{Phase, UnderWay};
use crate::coordinator;
use crate::effects::{After, Effects};
use crate::lane::Shared;
use crate::origin::Origin;

/// Keys of one listing that are read at once.
const AT_ONCE: usize = 64;

/// A page of which some keys are being read.
#[derive(Debug)]
pub(super) struct Reading {
    draft: Draft,
    owners: Vec<NodeId>,
    /// The next item to look at.
    next: usize,
    /// How many are being read.
    open: usize,
}

impl Reading {
    /// A page of what owners have shown.
    pub(super) fn begin(gathering: &Gathering, me: NodeId, keys_max: u32) -> Reading {
        let (others, chunks): (Vec<NodeId>, Vec<&Chunk>) = gathering.shown().unzip();
        let keys_max = keys_max.clamp(1, LIST_KEYS_MAX) as usize;
        let draft = Draft::merge(gathering.own(), &chunks, keys_max);
        let owners = [me].into_iter().chain(others).collect();
        Reading { draft, owners, next: 0, open: 0 }
    }
}

impl Listings {
    /// Reads further keys; answers once all are known.
    pub(super) fn read_on(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        mut under_way: UnderWay,
        effects: &mut Effects,
    ) {
        let (list, plan) = (&under_way.list, under_way.plan);
        let Phase::Reading(reading) = &mut under_way.phase else { return };
        let time_left = under_way.deadline.saturating_sub(shared.now.monotonic);
        while let Some(item) =
            reading.draft.items.get(reading.next).filter(|_| reading.open < AT_ONCE)
        {
            if item.shown.is_none() {
                let (operation, levels) = plan.read();
                let request = Request {
                    id: shared.draw_request(),
                    key: Key::new(list.bucket.clone(), item.name.clone()),
                    operations: vec![operation],
                    levels,
                    time_left,
                    session: SessionDots::default(),
                    explain: false,
                };
                let number = u32::try_from(reading.next).expect("a page has few keys");
                let origin = Origin::Listing { listing: id, item: number };
                let event = coordinator::Event::Item { origin, request: Box::new(request) };
                effects.lane(After::Written, crate::Event::Coordinator(event));
                reading.open += 1;
            }
            reading.next += 1;
        }
        if reading.open > 0 {
            self.under_way.insert(id, under_way);
            return;
        }
        let Phase::Reading(reading) = under_way.phase else { return };
        let partitioner = shared.view.decision.layout().partitioner();
        let Draft { end, .. } = &reading.draft;
        let next =
            end.clone().or_else(|| ListFrom::next_partition(plan.slice.partition, partitioner));
        let page = Page { keys: reading.draft.keys(), next, owners: reading.owners };
        under_way.asker.answer(shared, Listed::Page(page), effects);
    }

    /// A key was read.
    pub(super) fn item_read(
        &mut self,
        shared: &mut Shared,
        id: RequestId,
        item: u32,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let Some(mut under_way) = self.under_way.remove(&id) else { return };
        let Phase::Reading(reading) = &mut under_way.phase else {
            self.under_way.insert(id, under_way);
            return;
        };
        let listed = match outcome {
            Outcome::Done(answered) => match shown(&answered) {
                Some(shown) => {
                    if let Some(item) = reading.draft.items.get_mut(item as usize) {
                        item.shown = Some(shown);
                    }
                    reading.open = reading.open.saturating_sub(1);
                    return self.read_on(shared, id, under_way, effects);
                }
                // Only rows that are not to be had would have told.
                None => Listed::Unavailable(Unavailable::Damaged),
            },
            Outcome::Refused(refused) => Listed::Refused(refused),
            Outcome::Unavailable(unavailable) => Listed::Unavailable(unavailable),
            Outcome::Unknown { count, .. } => Listed::Unavailable(Unavailable::Answers(count)),
        };
        under_way.asker.answer(shared, listed, effects);
    }
}

/// What a key is to a client.
fn shown(answered: &Answered) -> Option<Shown> {
    match answered.replies.first()? {
        Ok(Reply::Type(shown)) => Some(*shown),
        // Of a strong key it is only known whether it is there.
        Ok(Reply::Integer(there)) => Some(if *there == 0 { Shown::Nothing } else { Shown::String }),
        Ok(_) | Err(_) => None,
    }
}
