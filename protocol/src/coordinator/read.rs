//! Owners that are asked what they have of a key, before a reply or a change rests on it.

use std::time::Duration;

use coterie_crdt::{Footprint, Partial, State};
use coterie_ring::NodeId;
use coterie_ring::moves::OwnerSet;
use coterie_wire::peer::read::{Digests, Read, ReadAnswer};
use coterie_wire::{Body, SessionDots};
use smallvec::SmallVec;

use super::counting::Quota;
use super::found::Own;
use super::latency::Latencies;
use super::request::{About, Plan};
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
    /// Nothing for so long that another was asked in its place.
    Late,
    /// The same as this node had when it asked.
    Same,
    /// What it has.
    State(Box<Partial>),
    /// It has something else, and more than a message should carry: the key is synchronised with it.
    Synchronising,
    /// What it had is in this node's rows by now.
    Synchronised,
    /// It does not take part.
    Refused,
}

/// One node that was asked.
#[derive(Debug)]
struct Asked {
    node: NodeId,
    at: Duration,
    said: Said,
}

/// Owners of one live set are asked for what they have.
#[derive(Debug)]
pub(super) struct Gathering {
    /// The set that is read.
    pub(super) set: OwnerSet,
    /// Who has to show.
    quota: Quota,
    /// Whether this node counts in it.
    counts_itself: bool,
    /// What they are asked for.
    pub(super) footprint: Footprint,
    /// Whether this node has too much of it to join what it is shown: the key is synchronised.
    pub(super) large: bool,
    /// What this node has of it.
    digests: Digests,
    /// The purge epoch in which this began.
    pub(super) epoch: u64,
    /// What the session must see and this node lacks: somebody who has it must show it.
    lacking: Option<SessionDots>,
    asked: SmallVec<[Asked; 3]>,
    /// Whether fallbacks show their hints in place of owners that do not answer, and which do so for whom.
    sloppy: bool,
    stand_ins: SmallVec<[(NodeId, NodeId); 2]>,
    /// When another owner is asked in place of one that is late.
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

impl Gathering {
    /// Chooses a live set of which enough owners may show `footprint`; `None` where there is no such set.
    pub(super) fn new(
        view: &View,
        state: &SliceState,
        plan: &Plan,
        footprint: Footprint,
        own: &Own,
        session: &SessionDots,
    ) -> Option<Self> {
        let (lacking, purged) = state.unseen(session, &own.context());
        let quota = if purged { Quota::all() } else { plan.read };
        let lacking = (!lacking.is_empty()).then_some(lacking);
        let readiness = quota.readiness();
        let alone = |set: &OwnerSet| state.replica.may_answer_read(set.version, readiness).is_ok();
        let fallbacks = match plan.sloppy {
            true => view.fallbacks(state.slice).filter(|node| view.is_live(*node)).count(),
            false => 0,
        };
        let alive = |set: &&OwnerSet| {
            let count = quota.count(view, set, |node| view.is_live(node));
            usize::from(count.have) + fallbacks >= usize::from(count.need)
        };
        let sets = state.replica.sets().all();
        let set = sets.iter().filter(alive).find(|set| alone(set));
        let set = set.or_else(|| sets.iter().find(alive))?.clone();
        let single = own.small().filter(|_| fetch::is_cells(&footprint));
        let footprint_digest =
            single.map(|own| digests::of_shown(&Partial::extract(own, &footprint)));
        let digests = Digests { key: own.digest(), footprint: footprint_digest };
        Some(Gathering {
            counts_itself: alone(&set),
            large: own.small().is_none(),
            set,
            quota,
            footprint,
            digests,
            epoch: state.epoch,
            lacking,
            asked: SmallVec::new(),
            sloppy: plan.sloppy,
            stand_ins: SmallVec::new(),
            next_ask: Duration::MAX,
        })
    }

    /// Asks as many owners as are missing, and others in place of those that are late.
    pub(super) fn ask(
        &mut self,
        shared: &Shared,
        latencies: &Latencies,
        about: &About,
        effects: &mut Effects,
    ) {
        let now = shared.now.monotonic;
        for asked in &mut self.asked {
            let is_late = asked.at + latencies.p99(asked.node) <= now;
            if is_late && matches!(asked.said, Said::Nothing) {
                asked.said = Said::Late;
            }
        }
        let candidates = self.candidates(&shared.view, latencies);
        let next = match &self.lacking {
            // Whoever has what is lacking is to show it.
            Some(_) => SmallVec::from_slice(&candidates),
            None => {
                let counted = |node| self.may_count(shared.me, node);
                self.quota.missing(&shared.view, &self.set, counted, &candidates)
            }
        };
        for node in next {
            self.send(shared, about, (node, false), effects);
        }
        if self.sloppy {
            for node in self.choose_stand_ins(&shared.view, about) {
                self.send(shared, about, (node, true), effects);
            }
        }
        let waited = self.asked.iter().filter(|asked| matches!(asked.said, Said::Nothing));
        let late = waited.map(|asked| asked.at + latencies.p99(asked.node)).min();
        self.next_ask = late.unwrap_or(Duration::MAX);
    }

    fn send(
        &mut self,
        shared: &Shared,
        about: &About,
        (node, hints): (NodeId, bool),
        effects: &mut Effects,
    ) {
        let now = shared.now.monotonic;
        let read = Read {
            key: about.request.key.clone(),
            set: self.set.version,
            quorum: self.quota.readiness(),
            footprint: self.footprint.clone(),
            digests: Some(self.digests),
            session: self.lacking.clone().unwrap_or_default(),
            hints,
        };
        let mut message = about.message(shared, Body::Read(Box::new(read)));
        message.time_left = Some(about.deadline.saturating_sub(now));
        effects.send(node, Class::Requests, message);
        self.asked.push(Asked { node, at: now, said: Said::Nothing });
    }

    /// Fallbacks to be asked for their hints in place of owners that are down or have refused, where too few others can
    /// show what they have.
    fn choose_stand_ins(&mut self, view: &View, about: &About) -> SmallVec<[NodeId; 3]> {
        let mut chosen = SmallVec::new();
        for owner in self.set.members.clone() {
            let hoped = self.quota.count(view, &self.set, |node| self.may_count(view.me, node));
            let stood_in = self.stand_ins.iter().any(|(known, _)| *known == owner);
            if hoped.have >= hoped.need || self.may_count(view.me, owner) || stood_in {
                continue;
            }
            let free = |node: &NodeId| {
                let asked = self.asked.iter().any(|asked| asked.node == *node);
                view.is_live(*node) && !asked && !chosen.contains(node) && *node != view.me
            };
            if let Some(node) = view.fallbacks(about.slice).find(free) {
                self.stand_ins.push((owner, node));
                chosen.push(node);
            }
        }
        chosen
    }

    /// Owners of the set that may still be asked, best first: the suspected last, the quick before the slow.
    fn candidates(&self, view: &View, latencies: &Latencies) -> SmallVec<[NodeId; 3]> {
        let asked = |node: NodeId| self.asked.iter().any(|asked| asked.node == node);
        let may = |node: &NodeId| *node != view.me && !asked(*node) && view.is_live(*node);
        let mut others: SmallVec<[NodeId; 3]> =
            self.set.members.iter().copied().filter(may).collect();
        let suspected = |node| view.liveness(node) == Liveness::Suspect;
        others.sort_by_key(|node| (suspected(*node), latencies.mean(*node)));
        others
    }

    /// Whether a node is expected to show what it has.
    fn may_count(&self, me: NodeId, node: NodeId) -> bool {
        if node == me {
            return self.counts_itself;
        }
        self.any_for(node, |said| !matches!(said, Said::Refused | Said::Late))
    }

    fn has_shown(&self, me: NodeId, node: NodeId) -> bool {
        if node == me {
            return self.counts_itself;
        }
        self.any_for(node, |said| matches!(said, Said::Same | Said::State(_) | Said::Synchronised))
    }

    /// Whether an owner, or who stands in for it, has said something such.
    fn any_for(&self, owner: NodeId, such: impl Fn(&Said) -> bool) -> bool {
        let by = |node| self.stand_ins.contains(&(owner, node));
        let mut asked = self.asked.iter().filter(|asked| asked.node == owner || by(asked.node));
        asked.any(|asked| such(&asked.said))
    }

    /// An owner answered; gives the word for it.
    pub(super) fn take(&mut self, from: NodeId, answer: ReadAnswer) -> &'static str {
        let (said, word) = match answer {
            ReadAnswer::Same => (Said::Same, "same"),
            ReadAnswer::State(_) if self.large => (Said::Synchronising, "different"),
            ReadAnswer::State(partial) if self.fits(&partial) => {
                (Said::State(partial), "different")
            }
            ReadAnswer::State(_) => (Said::Refused, "does not fit"),
            ReadAnswer::Large { .. } => (Said::Synchronising, "different, large"),
            ReadAnswer::Counting => (Said::Refused, "counting"),
            ReadAnswer::Lacks => (Said::Refused, "lacks what the session has seen"),
            ReadAnswer::NotReady { .. } => (Said::Refused, "not ready"),
            ReadAnswer::Damaged => (Said::Refused, "damaged"),
        };
        self.say(from, said);
        word
    }

    /// An owner will not answer.
    pub(super) fn refuse(&mut self, from: NodeId) {
        self.say(from, Said::Refused);
    }

    /// The key was synchronised with an owner, or could not be.
    pub(super) fn synchronised(&mut self, with: NodeId, is_done: bool) {
        let said = if is_done { Said::Synchronised } else { Said::Refused };
        let asked = self.asked.iter_mut().find(|asked| asked.node == with);
        if let Some(asked) = asked.filter(|asked| matches!(asked.said, Said::Synchronising)) {
            asked.said = said;
        }
    }

    /// Whether the key is to be synchronised with an owner.
    pub(super) fn is_synchronising(&self, with: NodeId) -> bool {
        let mut asked = self.asked.iter().filter(|asked| asked.node == with);
        asked.any(|asked| matches!(asked.said, Said::Synchronising))
    }

    /// When an owner was asked that has not answered yet.
    pub(super) fn asked_at(&self, node: NodeId) -> Option<Duration> {
        let open = |asked: &&Asked| matches!(asked.said, Said::Nothing | Said::Late);
        let asked = self.asked.iter().filter(open).find(|asked| asked.node == node);
        asked.map(|asked| asked.at)
    }

    fn say(&mut self, from: NodeId, said: Said) {
        let asked = self.asked.iter_mut().find(|asked| asked.node == from);
        let open = |asked: &&mut Asked| matches!(asked.said, Said::Nothing | Said::Late);
        if let Some(asked) = asked.filter(open) {
            asked.said = said;
        }
    }

    /// Whether a peer's state is of what was asked for.
    fn fits(&self, partial: &Partial) -> bool {
        let asked = show::shown(&self.footprint);
        Partial::extract(&State::new(), &asked).join(partial).is_ok()
    }

    /// What the answers amount to.
    pub(super) fn progress(&self, view: &View, latencies: &Latencies, about: &About) -> Gathered {
        let has_shown = |node| self.has_shown(view.me, node);
        let shown = self.quota.count(view, &self.set, has_shown);
        let seen = self.asked.iter().any(|asked| self.shows_what_lacks(asked));
        if shown.have >= shown.need && (self.lacking.is_none() || seen) {
            return Gathered::Enough;
        }
        let candidates = self.candidates(view, latencies);
        let late = |node| {
            self.asked.iter().any(|asked| asked.node == node && matches!(asked.said, Said::Late))
        };
        let may = |node| self.may_count(view.me, node) || late(node) || candidates.contains(&node);
        let hoped = self.quota.count(view, &self.set, may);
        let fallbacks = match self.sloppy {
            true => self.free_fallbacks(view, about),
            false => 0,
        };
        let open =
            |asked: &Asked| matches!(asked.said, Said::Nothing | Said::Late | Said::Synchronising);
        let hoped_to_see =
            self.lacking.is_none() || seen || !candidates.is_empty() || self.asked.iter().any(open);
        let hoped_for = usize::from(hoped.have) + fallbacks;
        let open = hoped_for >= usize::from(hoped.need) && hoped_to_see;
        if open { Gathered::Open } else { Gathered::TooFew }
    }

    /// Whether somebody has shown what the session must see and this node lacks. An owner that lacks it says so; one that
    /// stands in for it shows whatever hints it keeps.
    fn shows_what_lacks(&self, asked: &Asked) -> bool {
        let Some(lacking) = &self.lacking else { return true };
        match &asked.said {
            Said::Same | Said::Synchronised => self.set.contains(asked.node),
            Said::State(shown) => self.set.contains(asked.node) || lacking.are_in(shown.context()),
            Said::Nothing | Said::Late | Said::Synchronising | Said::Refused => false,
        }
    }

    /// How many fallbacks have not been asked.
    fn free_fallbacks(&self, view: &View, about: &About) -> usize {
        let asked = |node: &NodeId| self.asked.iter().any(|asked| asked.node == *node);
        let free = |node: &NodeId| view.is_live(*node) && !asked(node) && *node != view.me;
        view.fallbacks(about.slice).filter(free).count()
    }

    /// Whether what the session must see is what is missing.
    pub(super) fn lacks(&self) -> bool {
        self.lacking.is_some()
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
        let own = |node: &NodeId| !self.stand_ins.iter().any(|(owner, _)| owner == node);
        let shown = self.set.members.iter().filter(|node| self.has_shown(me, **node));
        shown.copied().filter(own).collect()
    }

    /// The fallbacks that have shown their hints.
    pub(super) fn shown_by_fallbacks(&self) -> Vec<NodeId> {
        let has = |asked: &&Asked| matches!(asked.said, Said::State(_));
        let asked = self.asked.iter().filter(|asked| !self.set.contains(asked.node));
        asked.filter(has).map(|asked| asked.node).collect()
    }

    /// Owners that showed less than `joined`; those that have the same as this node had are told by it.
    pub(super) fn stale(&self, joined: &Partial) -> SmallVec<[NodeId; 3]> {
        let lacks = |asked: &&Asked| match &asked.said {
            Said::State(shown) => **shown != *joined,
            Said::Same => true,
            Said::Nothing
            | Said::Late
            | Said::Synchronising
            | Said::Synchronised
            | Said::Refused => false,
        };
        let asked = self.asked.iter().filter(|asked| self.set.contains(asked.node));
        asked.filter(lacks).map(|asked| asked.node).collect()
    }

    /// When it has to be looked at again, whatever arrives.
    pub(super) fn next_deadline(&self) -> Duration {
        self.next_ask
    }
}
