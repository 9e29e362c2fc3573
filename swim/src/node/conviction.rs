//! From doubt to verdict, and the guards that keep a node from judging when the fault may be its own.

use std::time::Duration;

use rand::seq::SliceRandom;

use super::Swim;
use crate::event::{Change, DownReason, Effects};
use crate::health::Isolation;
use crate::identity::NodeId;
use crate::members::{Member, Status};
use crate::record::{Accusers, Rank};
use crate::suspicion::Suspicion;

/// Members asked for a sign when too few are heard.
const SIGNS_ASKED: usize = 16;

/// Doubts up to which a change of the others' number changes every expiry.
const FEW: usize = 32;

impl Swim {
    /// Opens a doubt.
    pub(super) fn suspect(&mut self, id: NodeId, accusers: Accusers, now: Duration) {
        let not_before = now;
        let doubt = Suspicion { since: now, expires: now, not_before, accusers, hearsay: false };
        let expires = self.expiry(id, &doubt);
        self.suspicions.insert(id, Suspicion { expires, ..doubt });
        self.reschedule_few();
    }

    /// More accusers: the doubt is settled earlier.
    pub(super) fn confirm(&mut self, id: NodeId, accusers: &Accusers, now: Duration) {
        let Some(mut doubt) = self.suspicions.remove(id) else {
            return self.suspect(id, accusers.clone(), now);
        };
        doubt.accusers = accusers.clone();
        doubt.expires = self.expiry(id, &doubt);
        self.suspicions.insert(id, doubt);
    }

    /// Shows a death told by others as a suspicion first.
    pub(super) fn hold(&mut self, id: NodeId, now: Duration) {
        let expires = now + self.patience();
        let accusers = Accusers::default();
        let doubt = Suspicion { since: now, expires, not_before: now, accusers, hearsay: true };
        self.suspicions.insert(id, doubt);
    }

    /// In a small cluster every suspect is one less who could confirm the other suspicions.
    pub(super) fn reschedule_few(&mut self) {
        if self.suspicions.len() > FEW {
            return;
        }
        let mut suspicions = std::mem::take(&mut self.suspicions);
        suspicions.update(|id, doubt| {
            if !doubt.hearsay {
                doubt.expires = self.expiry(id, doubt);
            }
        });
        self.suspicions = suspicions;
    }

    fn expiry(&self, id: NodeId, doubt: &Suspicion) -> Duration {
        let refutations =
            self.members.get(id).map_or(0, |member| member.recent_refutations(doubt.since));
        let damping = 1 + refutations.min(self.parameters.damping_max);
        let needed = self.confirmations_needed();
        let confirmed = doubt.accusers.as_slice().len().saturating_sub(1);
        let timeout =
            self.parameters.suspicion_timeout(self.patience() * damping, confirmed, needed);
        (doubt.since + timeout).max(doubt.not_before)
    }

    /// Never more than there are members left who could confirm.
    fn confirmations_needed(&self) -> usize {
        self.parameters.confirmations.min(self.members.unsuspected())
    }

    /// The shortest suspicion at the present size.
    pub(super) fn patience(&self) -> Duration {
        self.parameters.suspicion_min(self.members.nodes())
    }

    pub(super) fn drive_suspicions(&mut self, now: Duration, effects: &mut Effects) {
        for id in self.suspicions.expired(now) {
            let Some(doubt) = self.suspicions.get(id) else { continue };
            if doubt.hearsay {
                self.suspicions.remove(id);
                self.show(id, DownReason::Told, effects);
                continue;
            }
            let confirmed = doubt.accusers.as_slice().len().saturating_sub(1);
            let limit = self.parameters.convictions(self.members.nodes());
            let may_convict = self.fit_to_judge(now, effects)
                && (confirmed >= self.confirmations_needed() || self.budget.take(now, limit));
            if may_convict {
                self.convict(id, now, effects);
            } else {
                self.counters.postponed += 1;
                let doubtful = matches!(self.isolation, Isolation::Doubtful { .. });
                let pause = if doubtful {
                    self.parameters.gossip_interval
                } else {
                    self.parameters.probe_interval
                };
                self.postpone(id, now + pause);
            }
        }
    }

    fn postpone(&mut self, id: NodeId, until: Duration) {
        if let Some(mut doubt) = self.suspicions.remove(id) {
            doubt.not_before = until;
            doubt.expires = doubt.expires.max(until);
            self.suspicions.insert(id, doubt);
        }
    }

    fn convict(&mut self, id: NodeId, now: Duration, effects: &mut Effects) {
        let doubt = self.suspicions.remove(id).expect("only suspects are convicted");
        self.counters.convictions += 1;
        self.members.update(id, |member| {
            member.evidence = member.evidence.ranked(Rank::Down);
            member.died_millis = crate::members::millis(now);
        });
        self.tell_of(id, false, now);
        let accusers = doubt.accusers.as_slice().to_vec();
        self.show(id, DownReason::Convicted(accusers), effects);
        self.reschedule_few();
    }

    /// Whether enough others were heard lately. If not, some are asked for a sign; what is due waits for it,
    /// for one suspicion timeout at most.
    pub(super) fn fit_to_judge(&mut self, now: Duration, effects: &mut Effects) -> bool {
        if self.hears_enough(now) {
            return true;
        }
        if self.isolation == Isolation::Connected {
            self.isolation = Isolation::Doubtful { since: now };
            self.ask_for_signs(now, effects);
        }
        false
    }

    fn hears_enough(&self, now: Duration) -> bool {
        let lately = now.saturating_sub(2 * self.parameters.probe_interval);
        let needed = self.parameters.peers_needed(self.members.nodes());
        self.hearing.count_since(lately) >= needed
    }

    /// Pings some of the members not heard lately, all of them in a small cluster.
    fn ask_for_signs(&mut self, now: Duration, effects: &mut Effects) {
        let lately = now.saturating_sub(2 * self.parameters.probe_interval);
        let members = &self.members;
        let silent =
            |id: &NodeId| members.get(*id).is_some_and(|m| m.heard_at.is_none_or(|at| at < lately));
        let mut silent: Vec<NodeId> = members.probed().iter().copied().filter(silent).collect();
        let (asked, _) = silent.partial_shuffle(&mut self.rng, SIGNS_ASKED);
        for id in asked {
            self.ping_aside(*id, effects);
        }
    }

    /// When too few others will have been heard lately, should nobody speak until then.
    pub(super) fn hearing_lapses(&self) -> Option<Duration> {
        let needed = self.parameters.peers_needed(self.members.nodes());
        let watched = self.isolation == Isolation::Connected && self.suspicions.len() > 0;
        let lately = 2 * self.parameters.probe_interval + Duration::from_millis(1);
        (watched && needed > 0).then(|| self.hearing.nth_last(needed) + lately)
    }

    pub(super) fn drive_isolation(&mut self, now: Duration, effects: &mut Effects) {
        // While somebody is suspected the own hearing is watched: an isolated node probes ever more slowly.
        if self.hearing_lapses().is_some_and(|at| now >= at) {
            self.fit_to_judge(now, effects);
        }
        if let Isolation::Doubtful { since } = self.isolation
            && now >= since + self.patience()
        {
            if self.hears_enough(now) {
                self.end_doubt(since, now, effects);
            } else {
                self.withheld.clear();
                self.isolation = Isolation::Isolated { since, asked: now };
                effects.changes.push(Change::SelfIsolated(true));
                self.show_all(effects);
                self.ask_who_is_left(effects);
            }
        }
        // Twice within a suspicion timeout, so that one packet may be lost.
        if let Isolation::Isolated { since, asked } = self.isolation
            && now >= asked + self.patience() / 2
        {
            let since = since.max(now.saturating_sub(self.patience()));
            self.isolation = Isolation::Isolated { since, asked: now };
            self.show_all(effects);
            self.ask_who_is_left(effects);
        }
    }

    /// Pings those whom an isolated node still hears: it convicts nobody, so that who falls silent is missed by this alone.
    fn ask_who_is_left(&mut self, effects: &mut Effects) {
        let own = self.own;
        let heard = |member: &&Member| {
            matches!(member.shown, Status::Up | Status::Suspect) && member.id != own
        };
        let left = self.members.iter().filter(heard).map(|member| member.id).take(SIGNS_ASKED);
        for id in left.collect::<Vec<_>>() {
            self.ping_aside(id, effects);
        }
    }

    /// A packet from a peer has arrived: ends doubts about this node's own hearing.
    pub(super) fn hear(&mut self, peer: NodeId, now: Duration, effects: &mut Effects) {
        let quiet = 2 * self.parameters.probe_interval * self.health.factor();
        let guarded = self.parameters.isolation_peers > 0;
        let long_silent = self.hearing.last().is_some_and(|last| now > last + quiet);
        self.hearing.note(peer, now);
        let unreachable = self.members.get(peer).is_some_and(|m| m.shown == Status::Unreachable);
        if let Some(member) = self.members.note(peer) {
            member.heard_at = Some(now);
        }
        if guarded && long_silent {
            self.recover(now, effects);
        }
        match self.isolation {
            Isolation::Connected => {}
            Isolation::Doubtful { since } if self.hears_enough(now) => {
                self.end_doubt(since, now, effects);
            }
            Isolation::Isolated { .. } if self.hears_enough(now) => {
                self.isolation = Isolation::Connected;
                effects.changes.push(Change::SelfIsolated(false));
                self.show_all(effects);
                self.recover(now, effects);
            }
            Isolation::Isolated { .. } if unreachable => {
                // Somebody from beyond the cut: perhaps the others can be heard again too.
                self.ask_for_signs(now, effects);
                self.show(peer, DownReason::Told, effects);
            }
            Isolation::Isolated { .. } | Isolation::Doubtful { .. } => {}
        }
    }

    /// Enough others gave a sign: whoever gave none since the doubt began stands accused after all.
    fn end_doubt(&mut self, since: Duration, now: Duration, effects: &mut Effects) {
        self.isolation = Isolation::Connected;
        for accusation in std::mem::take(&mut self.withheld) {
            let heard_at = self.members.get(accusation.id).and_then(|member| member.heard_at);
            if heard_at.is_none_or(|at| at < since) {
                self.learn(&accusation, now, effects);
                self.show_its_record(accusation.id, None, now, effects);
            }
        }
    }

    /// If the tick comes far too late, the process was stopped: nobody is judged by what it missed.
    pub(super) fn notice_stall(&mut self, now: Duration, effects: &mut Effects) {
        let late = self.next_deadline().is_some_and(|deadline| {
            now.saturating_sub(deadline) > self.parameters.probe_interval / 2
        });
        if late && self.parameters.isolation_peers > 0 {
            self.recover(now, effects);
        }
    }

    /// Begins to trust itself again: every doubt has its shortest time from now, the probe under way is void,
    /// and the local health score says that something was wrong here.
    fn recover(&mut self, now: Duration, effects: &mut Effects) {
        let lately = self.recovered_at.is_some_and(|at| now < at + self.parameters.probe_interval);
        if lately {
            return;
        }
        self.recovered_at = Some(now);
        self.counters.recoveries += 1;
        self.probe = None;
        let not_before = now + self.patience();
        self.suspicions.update(|_, doubt| {
            doubt.not_before = doubt.not_before.max(not_before);
            doubt.expires = doubt.expires.max(not_before);
        });
        self.change_health(2, effects);
    }

    fn show_all(&mut self, effects: &mut Effects) {
        let ids: Vec<NodeId> = self.members.iter().map(|member| member.id).collect();
        for id in ids {
            self.show(id, DownReason::Told, effects);
        }
    }
}
