//! Turns: of the owners that are to bring a copy up to date, one does so at a time.
//!
//! Each has nearly the same to bring. Where they did it at once each row would be sent as often as there are owners;
//! after the first, the others find little that differs. A turn is a courtesy and nothing rests on it: it ends also
//! where its holder falls silent (docs/decisions/0452).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_wire::peer::moving::Move;
use coterie_wire::{Body, RequestId, Slice};

use super::Moving;
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::replica::admit::{self, Refusal};
use crate::slice::Reception;

/// A holder that has not said for so long that it goes on does not: it says so each half second.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    holder: NodeId,
    /// What it offered.
    request: RequestId,
    heard: Duration,
    /// Others that offered meanwhile.
    waiting: BTreeMap<NodeId, RequestId>,
}

impl Turn {
    fn new(holder: NodeId, request: RequestId, heard: Duration) -> Self {
        Turn { holder, request, heard, waiting: BTreeMap::new() }
    }

    /// An owner offers, or goes on: whether it is its turn.
    fn offered(&mut self, from: NodeId, request: RequestId, now: Duration) -> bool {
        let is_over = now >= self.heard + SILENCE_MAX;
        if self.holder == from && self.request == request && !is_over {
            self.heard = now;
            return true;
        }
        self.waiting.insert(from, request);
        // One that begins again has failed: others go first.
        if self.holder == from || is_over {
            let next = self.next(|_| true);
            self.pass(next.unwrap_or(from), now);
        }
        self.holder == from
    }

    /// Of those that wait the one after the holder, round and round, and the holder last: however often all of the others fail,
    /// each has its turn.
    fn next(&self, such: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let after = (Bound::Excluded(self.holder), Bound::Unbounded);
        let waiting = self.waiting.range(after).chain(self.waiting.range(..=self.holder));
        waiting.map(|(node, _)| *node).find(|node| such(*node))
    }

    /// Gives the turn to one that waits.
    fn pass(&mut self, to: NodeId, now: Duration) {
        if let Some(request) = self.waiting.remove(&to) {
            (self.holder, self.request, self.heard) = (to, request, now);
        }
    }
}

impl Moving {
    /// Answers one that offers to bring this copy up to date, once it is its turn.
    pub(super) fn offered(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        (from, request): (NodeId, RequestId),
        layout: SetVersion,
        effects: &mut Effects,
    ) {
        let refusal = match shared.slices.get(&slice) {
            None => Refusal::NotOwner,
            // It asks again; until then there is nothing to say.
            Some(state) if state.reception == Reception::Dropping => return,
            Some(state) if state.replica.sets().tag() != layout => {
                Refusal::of_other(layout, state.replica.sets().tag())
            }
            Some(_) => {
                if self.gives_turn(shared, slice, from, request) {
                    ready(shared, slice, (from, request), effects);
                }
                return;
            }
        };
        admit::note(shared, from, refusal, effects);
        let answer = shared.message(request, slice, Body::Refused(refusal.to_peer()));
        effects.send_after(After::Synced, from, Class::Bulk, answer);
    }

    fn gives_turn(
        &mut self,
        shared: &Shared,
        slice: Slice,
        from: NodeId,
        request: RequestId,
    ) -> bool {
        // What has come to rest here is brought little that is new.
        let Some(work) = self.work.get_mut(&slice) else { return true };
        let now = shared.now.monotonic;
        work.turn.get_or_insert_with(|| Turn::new(from, request, now)).offered(from, request, now)
    }

    /// An owner has brought what it had: the turn is another's.
    pub(super) fn end_turn(
        &mut self,
        shared: &mut Shared,
        slice: Slice,
        from: NodeId,
        effects: &mut Effects,
    ) {
        let Some(work) = self.work.get_mut(&slice) else { return };
        let Some(turn) = &mut work.turn else { return };
        turn.waiting.remove(&from);
        if turn.holder != from {
            return;
        }
        let Some(next) = turn.next(|node| shared.view.is_live(node)) else {
            work.turn = None;
            return;
        };
        turn.pass(next, shared.now.monotonic);
        let offer = (turn.holder, turn.request);
        ready(shared, slice, offer, effects);
    }
}

/// Tells one that this copy is ready for it.
fn ready(shared: &Shared, slice: Slice, (to, request): (NodeId, RequestId), effects: &mut Effects) {
    let Some(state) = shared.slices.get(&slice) else { return };
    let answer = shared.message(request, slice, Body::Move(Move::Ready { life: state.life() }));
    // The life may have been drawn a moment ago.
    effects.send_after(After::Synced, to, Class::Bulk, answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 6402. Of three that failed each time, two had a turn for ever; the third one's copy was what the others waited for.
    #[test]
    fn each_has_a_turn_however_often_the_others_fail() {
        let now = Duration::from_secs;
        let mut turn = Turn::new(NodeId(1), RequestId(0), now(0));
        let mut offers = BTreeMap::from([1, 2, 3].map(|node| (NodeId(node), RequestId(0))));
        let mut holders = Vec::new();
        for round in 0..6 {
            for (node, request) in &offers {
                turn.offered(*node, *request, now(round));
            }
            holders.push(turn.holder.0);
            // It fails, and begins again.
            offers.insert(turn.holder, RequestId(u128::from(round) + 1));
        }
        assert_eq!(holders, [1, 2, 3, 1, 2, 3]);
    }
}
