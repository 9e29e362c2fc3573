//! An owner's side of a lap: it joins what it is given and says how its key compares.

use coterie_crdt::digest::key_digest;
use coterie_crdt::{Cells, Footprint, Partial};
use coterie_ring::NodeId;
use coterie_ring::moves::{Quorum, SetVersion};
use coterie_wire::peer::linearizable::{Compared, Query, QueryAnswer};
use coterie_wire::peer::write::Change;
use coterie_wire::{Body, RequestId, Slice};

use super::Found;
use crate::effects::{After, Class, Effects};
use crate::lane::Shared;
use crate::repair::scrub;
use crate::replica::{self, Stored, admit};
use crate::rows::Whole;

/// A lap that came from another node.
pub(super) struct Asked {
    pub(super) from: NodeId,
    pub(super) request: RequestId,
    pub(super) slice: Slice,
    pub(super) layout: SetVersion,
    pub(super) epoch: u64,
    pub(super) query: Query,
}

pub(super) fn answer(shared: &mut Shared, asked: Asked, found: Found, effects: &mut Effects) {
    let (from, request, slice) = (asked.from, asked.request, asked.slice);
    if let Some(state) = shared.slices.get(&slice)
        && let Err(refusal) = admit::exactly(state, asked.layout, asked.epoch)
    {
        admit::note(shared, from, refusal, effects);
    }
    let digest = asked.query.digest;
    let compared = compare(shared, asked, found, effects);
    let body = Body::Queried(Box::new(QueryAnswer { asked: digest, compared }));
    let message = shared.message(request, slice, body);
    // Equal means equal on disk: an owner that forgets what it showed would break the majority.
    effects.send_after(After::Synced, from, Class::Requests, message);
}

fn compare(shared: &mut Shared, asked: Asked, found: Found, effects: &mut Effects) -> Compared {
    let (slice, query) = (asked.slice, asked.query);
    let me = shared.me;
    if shared.view.slice(&query.key) != Some(slice) || admit::member(shared, asked.from).is_err() {
        return Compared::NotReady;
    }
    let Some(state) = shared.slices.get(&slice) else { return Compared::NotReady };
    let known = state.replica.sets().tag();
    if asked.layout != known {
        return Compared::OtherLayout { known };
    }
    if asked.epoch != state.epoch {
        return Compared::OtherEpoch { epoch: state.epoch };
    }
    if state.replica.status().retired && !state.replica.sets().newest().contains(me) {
        return Compared::Retired;
    }
    if !state.is_received() || !state.replica.sets().owners().contains(&me) {
        return Compared::NotReady;
    }
    let whole = match found {
        Found::Key(whole) => *whole,
        Found::Damaged => {
            scrub::damaged(slice, &query.key, effects);
            return Compared::NotReady;
        }
        Found::Nothing => return Compared::NotReady,
    };
    let ready = state.replica.may_answer_read(known, Quorum::Majority).is_ok();
    match whole {
        Whole::Large(root) if root.is_counting() => Compared::Counting,
        Whole::Large(root) => match key_digest(&root) {
            digest if digest == query.digest => Compared::Equal { ready },
            digest => Compared::Large { digest },
        },
        Whole::Small(rows) => {
            let mut stored = Stored::from(rows);
            if let Some(join) = query.join {
                let change = Change::Whole(join);
                replica::apply(shared, slice, &query.key, &mut stored, &change, effects);
            }
            let rows = stored.state;
            if rows.root().is_some_and(|root| root.is_counting()) {
                return Compared::Counting;
            }
            if rows.digest() == query.digest {
                Compared::Equal { ready }
            } else {
                Compared::Different(Box::new(Partial::extract(&rows, &Footprint::whole())))
            }
        }
    }
}
