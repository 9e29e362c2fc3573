//! Asking other owners what they have of a key, before a reply or a change rests on it.

use std::time::Duration;

use coterie_crdt::{Footprint, Partial, State};
use coterie_ring::NodeId;
use coterie_ring::moves::{LiveSets, OwnerSet};
use coterie_wire::peer::read::{Digests, Read, ReadAnswer};
use coterie_wire::{Body, RequestId};
use smallvec::SmallVec;

use super::request::{Plan, Table, UnderWay};
use crate::digests;
use crate::effects::{Class, Effects};
use crate::lane::Shared;
use crate::replica::show;
use crate::rows::fetch;
use crate::slice::SliceState;
use crate::view::{Liveness, View};

/// What an owner that was asked has said.
#[derive(Debug)]
enum Said {
    /// Nothing yet.
    Nothing,
    /// The same as this node had when it asked.
    Same,
    /// What it has.
    State(Box<Partial>),
    /// It does not take part.
    Refused,
}

/// One owner that was asked.
#[derive(Debug)]
struct Asked {
    node: NodeId,
    said: Said,
}

/// Owners of one live set are asked for what they have.
#[derive(Debug)]
pub(super) struct Gathering {
    /// The set that is read.
    pub(super) set: OwnerSet,
    /// Whether this node counts in it.
    counts_itself: bool,
    /// What they are asked for.
    pub(super) footprint: Footprint,
    /// What this node has of it.
    digests: Digests,
    /// The purge epoch in which this began.
    pub(super) epoch: u64,
    asked: SmallVec<[Asked; 3]>,
    /// When another owner is asked in place of one that is slow.
    next_ask: Duration,
}

/// What the answers amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// Enough have shown what they have.
    Enough,
    /// More have to.
    Open,
    /// Too few can.
    TooFew,
}

/// How long an owner may take before another is asked.
const SLOW: Duration = Duration::from_millis(200);

impl Gathering {
    /// Chooses a live set of which enough owners may show `footprint`, and what this node has of it.
    pub(super) fn new(
        view: &View,
        state: &SliceState,
        plan: &Plan,
        footprint: Footprint,
        own: &State,
    ) -> Option<Self> {
        let sets: &LiveSets = state.replica.sets();
        let readiness = plan.read.readiness();
        let alone = |set: &OwnerSet| state.replica.may_answer_read(set.version, readiness).is_ok();
        let alive = |set: &OwnerSet| {
            let count = plan.read.count(view, set, |node| view.is_live(node));
            count.have >= count.need
        };
        let usable = |set: &&OwnerSet| alive(set);
        let set = sets.all().iter().filter(usable).find(|set| alone(set));
        let set = set.or_else(|| sets.all().iter().find(usable))?.clone();
        let shown = Partial::extract(own, &footprint);
        let footprint_digest = fetch::is_cells(&footprint).then(|| digests::of_shown(&shown));
        let digests = Digests { key: own.digest(), footprint: footprint_digest };
        let counts_itself = alone(&set);
        let epoch = state.epoch;
        let (asked, next_ask) = (SmallVec::new(), Duration::MAX);
        Some(Gathering { set, counts_itself, footprint, digests, epoch, asked, next_ask })
    }

    /// Asks as many owners as are missing.
    pub(super) fn ask(
        &mut self,
        shared: &Shared,
        id: RequestId,
        under_way: &UnderWay,
        effects: &mut Effects,
    ) {
        let view = &shared.view;
        let candidates = self.candidates(view);
        let counted = |node| self.may_count(shared.me, node);
        let next = under_way.plan.read.missing(view, &self.set, counted, &candidates);
        for node in next {
            let read = Read {
                key: under_way.request.key.clone(),
                set: self.set.version,
                quorum: under_way.plan.read.readiness(),
                footprint: self.footprint.clone(),
                digests: Some(self.digests),
                session: under_way.request.session.clone(),
                hints: under_way.plan.sloppy,
            };
            let id = Table::message_id(id, under_way.round);
            let mut message = shared.message(id, under_way.slice, Body::Read(Box::new(read)));
            message.time_left = Some(under_way.deadline.saturating_sub(shared.now.monotonic));
            message.trace = under_way.trace();
            effects.send(node, Class::Requests, message);
            self.asked.push(Asked { node, said: Said::Nothing });
        }
        self.next_ask = shared.now.monotonic + SLOW;
    }

    /// Owners of the set that may still be asked, best first.
    fn candidates(&self, view: &View) -> SmallVec<[NodeId; 3]> {
        let asked = |node: NodeId| self.asked.iter().any(|asked| asked.node == node);
        let others = self.set.members.iter().copied();
        let mut others: SmallVec<[NodeId; 3]> =
            others.filter(|node| *node != view.me && !asked(*node)).collect();
        others.retain(|node| view.is_live(*node));
        others.sort_by_key(|node| view.liveness(*node) == Liveness::Suspect);
        others
    }

    /// Whether a node has shown what it has, or may do so in time.
    fn may_count(&self, me: NodeId, node: NodeId) -> bool {
        if node == me {
            return self.counts_itself;
        }
        let asked = self.asked.iter().find(|asked| asked.node == node);
        asked.is_some_and(|asked| !matches!(asked.said, Said::Refused))
    }

    fn has_shown(&self, me: NodeId, node: NodeId) -> bool {
        if node == me {
            return self.counts_itself;
        }
        let asked = self.asked.iter().find(|asked| asked.node == node);
        asked.is_some_and(|asked| matches!(asked.said, Said::Same | Said::State(_)))
    }

    /// An owner answered.
    pub(super) fn take(&mut self, from: NodeId, answer: ReadAnswer) {
        let said = match answer {
            ReadAnswer::Same => Said::Same,
            ReadAnswer::State(partial) if self.fits(&partial) => Said::State(partial),
            ReadAnswer::State(_)
            | ReadAnswer::Large { .. }
            | ReadAnswer::Counting
            | ReadAnswer::Lacks
            | ReadAnswer::NotReady { .. }
            | ReadAnswer::Damaged => Said::Refused,
        };
        self.say(from, said);
    }

    /// An owner will not answer.
    pub(super) fn refuse(&mut self, from: NodeId) {
        self.say(from, Said::Refused);
    }

    fn say(&mut self, from: NodeId, said: Said) {
        let asked = self.asked.iter_mut().find(|asked| asked.node == from);
        if let Some(asked) = asked.filter(|asked| matches!(asked.said, Said::Nothing)) {
            asked.said = said;
        }
    }

    /// Whether a peer's state is of what was asked for.
    fn fits(&self, partial: &Partial) -> bool {
        Partial::extract(&State::new(), &show::shown(&self.footprint)).join(partial).is_ok()
    }

    /// What the answers amount to.
    pub(super) fn progress(&self, view: &View, plan: &Plan) -> Gathered {
        let shown = plan.read.count(view, &self.set, |node| self.has_shown(view.me, node));
        if shown.have >= shown.need {
            return Gathered::Enough;
        }
        let candidates = self.candidates(view);
        let may = |node| self.may_count(view.me, node) || candidates.contains(&node);
        let hoped = plan.read.count(view, &self.set, may);
        if hoped.have >= hoped.need { Gathered::Open } else { Gathered::TooFew }
    }

    /// What this node and those that answered differently have, joined; `None` where all have the same.
    pub(super) fn joined(&self, own: &State) -> Option<Partial> {
        let mut joined = None;
        for asked in &self.asked {
            if let Said::State(theirs) = &asked.said {
                let shown = show::shown(&self.footprint);
                let all = joined.get_or_insert_with(|| Partial::extract(own, &shown));
                all.join(theirs).expect("taken in only where it fits the footprint");
            }
        }
        joined
    }

    /// Who has shown what it has, this node included.
    pub(super) fn shown_by(&self, me: NodeId) -> Vec<NodeId> {
        self.set.members.iter().copied().filter(|node| self.has_shown(me, *node)).collect()
    }

    /// Owners that showed less than `joined`; those that have the same as this node had are told by it.
    pub(super) fn stale(&self, joined: &Partial) -> SmallVec<[NodeId; 3]> {
        let lacks = |asked: &&Asked| match &asked.said {
            Said::State(shown) => **shown != *joined,
            Said::Same => true,
            Said::Nothing | Said::Refused => false,
        };
        self.asked.iter().filter(lacks).map(|asked| asked.node).collect()
    }

    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        self.next_ask
    }
}
