//! A node that has started asks what is remembered of it before it serves (invariant 2).
//!
//! A disk can lie about what it synced, and a storage can have been set back. Neither shows; only the others can
//! tell. So a node that was a member before gives its lanes no view, and hence serves nothing, until every other
//! member has answered, is down, or has had [`Settings::ask_max`](super::Settings::ask_max) to answer. It goes on
//! asking those who did not: a late answer counts, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_ring::decision::Tip;
use coterie_swim::{Now, Rank};
use coterie_wire::Incarnation;
use coterie_wire::peer::control::{ControlMessage, Remember};
use rand::RngExt;

use super::Control;
use super::effects::ControlEffects;
use super::membership::swim_id;
use super::report::{AmnesiaCause, Report};
use super::runs::Runs;
use crate::effects::After;
use crate::view::Liveness;

/// Time between two questions to one that does not answer.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// Who has been asked, and what was recovered.
#[derive(Debug)]
pub(super) struct Asking {
    /// The life that the storage knew of.
    pub(super) life: Incarnation,
    /// Whether nothing was ever on it.
    pub(super) is_first: bool,
    /// Which process asks, and those before it.
    pub(super) runs: Runs,
    /// The last commit of each lane, as the storage has it.
    pub(super) recovered: BTreeMap<u16, u64>,
    /// Members that have not answered.
    pub(super) unanswered: BTreeSet<NodeId>,
    /// The last decisions of those who have.
    pub(super) tips: BTreeMap<NodeId, Option<Tip>>,
    /// Until when serving waits for answers.
    pub(super) until: Duration,
    pub(super) next: Duration,
    /// Whether it may serve.
    pub(super) over: bool,
}

impl Asking {
    /// When it next wants to be told that time has passed.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let ask = (!self.unanswered.is_empty()).then_some(self.next);
        let serve = (!self.over).then_some(self.until);
        ask.into_iter().chain(serve).min()
    }

    /// Somebody is back who may not have been asked.
    pub(super) fn ask_soon(&mut self, now: Duration) {
        self.next = self.next.min(now);
    }
}

impl Control {
    /// Every other member is to be asked.
    pub(super) fn ask_members(&mut self, now: Now) {
        let Some(layouts) = &self.layouts else { return };
        let members = layouts.decision.layout().members().iter().map(|member| member.id);
        self.asking.unanswered = members.filter(|id| *id != self.me).collect();
        self.asking.ask_soon(now.monotonic);
    }

    /// Asks those who have not answered.
    pub(super) fn ask(&mut self, now: Now, effects: &mut ControlEffects) {
        if self.asking.next > now.monotonic {
            return;
        }
        self.asking.next = now.monotonic + ASK_INTERVAL;
        for peer in &self.asking.unanswered {
            if self.liveness.get(peer).is_some_and(|liveness| *liveness != Liveness::Down) {
                let message = ControlMessage::Remembered { run: self.asking.runs.present() };
                self.say(After::Written, *peer, message, effects);
            }
        }
    }

    /// Whether this node may begin to serve. Where somebody has not said what it remembers, it mints nothing under the actors
    /// that it had.
    pub(super) fn may_serve(&mut self, now: Now) -> bool {
        if self.asking.over {
            return true;
        }
        let somebody_answered = !self.asking.tips.is_empty();
        let down = |peer: &NodeId| {
            // Whom others convicted is shown as suspect here for a while, or not at all if an earlier life knew already;
            // it is dead all the same. But what a life knew counts only once somebody is heard from.
            let evidence = self.swim.evidence(swim_id(*peer));
            let dead = evidence.is_some_and(|evidence| evidence.rank >= Rank::Down);
            self.liveness.get(peer) == Some(&Liveness::Down) || (dead && somebody_answered)
        };
        self.asking.over =
            self.asking.unanswered.iter().all(down) || now.monotonic >= self.asking.until;
        if self.asking.over && !self.asking.unanswered.is_empty() {
            self.doubt();
        }
        self.asking.over
    }

    /// Who could tell whether this storage lacks something that it has minted has forgotten, or does not answer: lanes begin with
    /// other actors (invariant 1).
    fn doubt(&mut self) {
        self.actors_spent |= !self.asking.is_first;
    }

    /// Whether this node may have heard of more that a peer has acknowledged than it remembers. Where it knows no layout yet, its
    /// storage may be a new one.
    pub(super) fn forgot(&self, peer: NodeId) -> bool {
        let lanes = self.attributes.get(&peer).map(|attributes| attributes.lanes);
        self.layouts.is_none() || self.memory.forgot(peer, lanes)
    }

    /// Whether that is so of any member.
    pub(super) fn forgot_any(&self) -> bool {
        let layout = self.layouts.iter().map(|layouts| layouts.decision.layout());
        let mut others = layout.flat_map(|layout| layout.members()).map(|member| member.id);
        others.any(|peer| peer != self.me && self.forgot(peer))
    }

    /// A member says what it remembers.
    pub(super) fn told(
        &mut self,
        from: NodeId,
        remember: Remember,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let asking = &mut self.asking;
        if remember.run != asking.runs.present() || !asking.unanswered.remove(&from) {
            return;
        }
        asking.tips.insert(from, remember.tip);
        if let Some(cause) = asking.runs.lost(from, &remember.heard, &asking.recovered) {
            asking.runs.give_up(&remember.heard);
            asking.runs.store(&mut effects.batch);
            // All went back together: others less far, perhaps. Nothing that counts is lost by that.
            if !self.identity.together {
                self.lose(cause, effects);
            }
        }
        if remember.forgot {
            self.doubt();
        }
        if let Some(tip) = remember.tip {
            self.agree(coterie_ring::decision::Event::Heard { from, tip }, now, effects);
        }
        self.abstain_or_not(effects);
    }

    /// This node may hold less than it acknowledged: it leads another life from now on, and is as one that has
    /// received nothing.
    pub(super) fn lose(&mut self, cause: AmnesiaCause, effects: &mut ControlEffects) {
        // Votes are synced before they are told, whatever the setting: an honest disk keeps them.
        let synced_lost = cause != AmnesiaCause::UncleanStop;
        let known = self.identity.amnesiac && self.identity.incarnation != self.asking.life;
        let worse = synced_lost && !(self.identity.abstains && self.identity.went_back);
        if known && !worse {
            return;
        }
        effects.report(Report::Amnesia(cause));
        self.memory.is_short();
        if !known {
            self.identity.incarnation = Incarnation(self.random.random());
            self.identity.amnesiac = true;
            self.actors_spent = true;
            self.received.clear();
        }
        self.view_changed = true;
        self.identity.abstains |= synced_lost;
        self.identity.went_back |= synced_lost;
        self.identity.together &= !synced_lost;
        self.identity.store(&mut effects.batch);
        self.abstain_or_not(effects);
    }

    /// A lane has made good the loss.
    pub(super) fn lane_received(
        &mut self,
        lane: u16,
        incarnation: Incarnation,
        effects: &mut ControlEffects,
    ) {
        if !self.identity.amnesiac || incarnation != self.identity.incarnation {
            return;
        }
        self.received.insert(lane);
        if self.received.len() == usize::from(self.lanes) {
            (self.identity.amnesiac, self.identity.went_back) = (false, false);
            self.identity.store(&mut effects.batch);
            effects.report(Report::Recovered);
            self.view_changed = true;
        }
    }
}
