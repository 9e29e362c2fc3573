//! Owners that are asked which keys they have.

use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::moves::OwnerSet;
use coterie_wire::peer::listing::{Listing, ShowKeys, ShownKeys};
use coterie_wire::{Body, QuorumCount, RequestId, Unavailable};
use smallvec::SmallVec;

use super::chunk::Chunk;
use super::plan::Plan;
use super::reading::Reading;
use super::request::{Phase, UnderWay};
use super::{Found, Listings};
use crate::coordinator::AGAIN;
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::replica::admit::may_coordinate;
use crate::slice::SliceState;
use crate::view::{Liveness, View};

/// After so long another owner is asked in place of one that has not answered.
const LATE: Duration = Duration::from_millis(250);

/// What an owner that was asked has said.
#[derive(Debug)]
enum Said {
    Nothing,
    /// Nothing for so long that another was asked in its place.
    Late,
    Refused,
    Keys(Chunk),
}

#[derive(Debug)]
struct Asked {
    node: NodeId,
    at: Duration,
    said: Said,
}

/// Owners of one live set are asked which keys they have.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) set: OwnerSet,
    /// What this node has.
    own: Chunk,
    asked: SmallVec<[Asked; 3]>,
}

/// What the answers amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    Enough,
    Open,
    TooFew(QuorumCount),
}

impl Gathering {
    /// Chooses a live set in which this node counts and enough owners are alive.
    ///
    /// # Errors
    /// How many are alive, of how many that have to be.
    pub(super) fn new(
        view: &View,
        state: &SliceState,
        plan: &Plan,
        own: Chunk,
    ) -> Result<Self, QuorumCount> {
        let sets = state.replica.sets();
        let readiness = plan.quota.readiness();
        let counts =
            |set: &&OwnerSet| state.replica.may_answer_read(set.version, readiness).is_ok();
        let alive = |set: &OwnerSet| plan.quota.count(view, set, |node| view.is_live(node));
        let enough = |set: &&OwnerSet| plan.sloppy || alive(set).have >= alive(set).need;
        let set = sets.all().iter().filter(counts).find(enough);
        let set = set.ok_or_else(|| alive(sets.newest()))?.clone();
        Ok(Gathering { set, own, asked: SmallVec::new() })
    }

    /// Who is to be asked now: as many as are missing, and others in place of those that are late.
    pub(super) fn ask(&mut self, view: &View, plan: &Plan, now: Duration) -> SmallVec<[NodeId; 3]> {
        for asked in &mut self.asked {
            if matches!(asked.said, Said::Nothing) && asked.at + LATE <= now {
                asked.said = Said::Late;
            }
        }
        let candidates = self.candidates(view);
        let may = |node| self.may_count(view, node);
        let next = plan.quota.missing(view, &self.set, may, &candidates);
        self.asked.extend(next.iter().map(|node| Asked {
            node: *node,
            at: now,
            said: Said::Nothing,
        }));
        next
    }

    fn candidates(&self, view: &View) -> SmallVec<[NodeId; 3]> {
        let may =
            |node: &NodeId| *node != view.me && self.said(*node).is_none() && view.is_live(*node);
        let mut others: SmallVec<[NodeId; 3]> =
            self.set.members.iter().copied().filter(may).collect();
        others.sort_by_key(|node| view.liveness(*node) == Liveness::Suspect);
        others
    }

    fn said(&self, node: NodeId) -> Option<&Said> {
        self.asked.iter().find(|asked| asked.node == node).map(|asked| &asked.said)
    }

    /// Whether a node is expected to show what it has.
    fn may_count(&self, view: &View, node: NodeId) -> bool {
        let asked = || match self.said(node) {
            Some(Said::Nothing) => view.is_live(node),
            Some(Said::Keys(_)) => true,
            Some(Said::Late | Said::Refused) | None => false,
        };
        node == view.me || asked()
    }

    fn has_shown(&self, me: NodeId, node: NodeId) -> bool {
        node == me || matches!(self.said(node), Some(Said::Keys(_)))
    }

    /// An owner has shown what it has, or will not (`None`).
    pub(super) fn take(&mut self, from: NodeId, shown: Option<Chunk>) {
        let open = |asked: &&mut Asked| matches!(asked.said, Said::Nothing | Said::Late);
        if let Some(asked) = self.asked.iter_mut().filter(|it| it.node == from).find(open) {
            asked.said = shown.map_or(Said::Refused, Said::Keys);
        }
    }

    /// What the answers amount to.
    pub(super) fn progress(&self, view: &View, plan: &Plan) -> Gathered {
        let shown = self.count(view, plan);
        if shown.have >= shown.need {
            return Gathered::Enough;
        }
        let candidates = self.candidates(view);
        let late = |node| matches!(self.said(node), Some(Said::Late)) && view.is_live(node);
        let may = |node| self.may_count(view, node) || late(node) || candidates.contains(&node);
        let hoped = plan.quota.count(view, &self.set, may);
        if hoped.have >= hoped.need {
            return Gathered::Open;
        }
        let open = |asked: &Asked| {
            matches!(asked.said, Said::Nothing | Said::Late) && view.is_live(asked.node)
        };
        match plan.sloppy {
            // Whoever can be reached has to do.
            true if candidates.is_empty() && !self.asked.iter().any(open) => Gathered::Enough,
            true => Gathered::Open,
            false => Gathered::TooFew(shown),
        }
    }

    /// How many have shown what they have, of how many that have to.
    pub(super) fn count(&self, view: &View, plan: &Plan) -> QuorumCount {
        plan.quota.count(view, &self.set, |node| self.has_shown(view.me, node))
    }

    /// What this node has.
    pub(super) fn own(&self) -> &Chunk {
        &self.own
    }

    /// What others have shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = (NodeId, &Chunk)> {
        self.asked.iter().filter_map(|asked| match &asked.said {
            Said::Keys(chunk) => Some((asked.node, chunk)),
            Said::Nothing | Said::Late | Said::Refused => None,
        })
    }

    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        let waited = self.asked.iter().filter(|asked| matches!(asked.said, Said::Nothing));
        waited.map(|asked| asked.at + LATE).min().unwrap_or(Duration::MAX)
    }
}

impl Listings {
    /// Asks other owners which keys they have.
    pub(super) fn gather(
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
    pub(super) fn go_on(
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
        if !may_coordinate(shared, plan.slice, plan.quota.readiness()) {
            return self.pass_on(shared, id, under_way, effects);
        }
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

    /// An owner has shown which keys it has.
    pub(super) fn shown(
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
}
