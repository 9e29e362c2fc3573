//! Probing: one member per interval, directly and then through helpers; and helping others to.

use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use smallvec::SmallVec;

use super::{Swim, URGENT_MAX};
use crate::attributes::Address;
use crate::event::Effects;
use crate::health::Isolation;
use crate::identity::NodeId;
use crate::parameters::ProbeOrder;
use crate::probe::{ERRAND, Errand, Errands, Phase, Probe};
use crate::record::{Accusers, Rank, Record};
use crate::wire::Message;

/// Clusters in which the member silent for longest is probed first.
const SMALL: usize = 16;

/// Draws made to find helpers that suit.
const DRAWS: usize = 24;

impl Swim {
    pub(super) fn probe_soon(&mut self, peer: NodeId, now: Duration) {
        if self.urgent.len() < URGENT_MAX && !self.urgent.contains(&peer) {
            self.urgent.push_back(peer);
            if self.probe.is_none() {
                self.next_probe = now;
            }
        }
    }

    pub(super) fn drive_probe(&mut self, now: Duration, effects: &mut Effects) {
        if let Some(probe) = &self.probe {
            if probe.phase == Phase::Direct && now >= probe.direct_until {
                self.ask_helpers(now, effects);
            }
            if self.probe.as_ref().is_some_and(|probe| now >= probe.window_until) {
                self.fail_probe(now, effects);
            }
        }
        if now >= self.next_probe && self.is_running() {
            let interval = self.parameters.probe_interval * self.health.factor();
            self.next_probe = now + self.jitter(interval);
            self.start_probe(now, effects);
        } else if now >= self.next_probe {
            self.next_probe = now + self.parameters.probe_interval;
        }
    }

    fn start_probe(&mut self, now: Duration, effects: &mut Effects) {
        // The greatest round heard of is this one, unless this node has probed in it already.
        let ahead = self.heard_round.wrapping_sub(self.round) & !ERRAND;
        let behind = ahead > ERRAND / 2;
        self.round = if ahead == 0 || behind { self.round + 1 } else { self.heard_round } & !ERRAND;
        let Some(target) = self.next_target() else { return };
        let member = self.members.note(target).expect("targets are members");
        member.probed_at = Some(now);
        let attributes = member.attributes.expect("targets have addresses");
        let factor = self.health.factor();
        let window = self.parameters.probe_interval * factor * 9 / 10;
        let direct = member.round_trip.timeout(self.parameters.direct_timeout) * factor;
        let generation = member.evidence.generation;
        let sequence = self.round;
        self.counters.probes += 1;
        self.probe = Some(Probe {
            target,
            sequence,
            sent: now,
            direct_until: now + direct,
            window_until: now + window,
            phase: Phase::Direct,
            helpers: SmallVec::new(),
            nackers: SmallVec::new(),
        });
        effects.send(target, attributes.gossip, Message::Ping { sequence, target, generation });
    }

    fn next_target(&mut self) -> Option<NodeId> {
        while let Some(id) = self.urgent.pop_front() {
            if self.members.probed().binary_search(&id).is_ok() {
                return Some(id);
            }
        }
        match self.parameters.probe_order {
            ProbeOrder::Rotation => self.rotation_target(),
            ProbeOrder::Shuffled => self.shuffled_target(),
        }
    }

    /// The member whose place is this node's own plus the round number. Of nodes that agree on the members and
    /// the round, every one probes another one.
    fn rotation_target(&self) -> Option<NodeId> {
        let others = self.members.probed();
        if others.len() <= SMALL {
            // A silent member is not probed again before the others had their turn.
            let tried_at = |id: &&NodeId| {
                self.members.get(**id).and_then(|member| member.heard_at.max(member.probed_at))
            };
            return others.iter().min_by_key(tried_at).copied();
        }
        let place = others.binary_search(&self.own).unwrap_or_else(|place| place);
        Some(others[(place + self.round as usize) % others.len()])
    }

    fn shuffled_target(&mut self) -> Option<NodeId> {
        for _pass in 0..2 {
            while let Some(id) = self.shuffled.pop() {
                if self.members.probed().binary_search(&id).is_ok() {
                    return Some(id);
                }
            }
            self.shuffled.extend_from_slice(self.members.probed());
            self.shuffled.shuffle(&mut self.rng);
        }
        None
    }

    fn ask_helpers(&mut self, now: Duration, effects: &mut Effects) {
        let Some(probe) = &self.probe else { return };
        let target = probe.target;
        let sequence = probe.sequence;
        let remaining = probe.window_until.saturating_sub(now);
        let helpers = self.choose_helpers(target);
        let budget = remaining * self.parameters.helper_budget_percent / 100;
        let budget_millis = u16::try_from(budget.as_millis()).unwrap_or(u16::MAX);
        for helper in &helpers {
            if let Some(attributes) = self.members.get(*helper).and_then(|m| m.attributes) {
                let request = Message::PingRequest { sequence, target, budget_millis };
                effects.send(*helper, attributes.gossip, request);
            }
        }
        if let Some(member) = self.members.get(target)
            && let Some(attributes) = member.attributes
        {
            let generation = member.evidence.generation;
            effects.send(target, attributes.gossip, Message::Ping { sequence, target, generation });
        }
        if let Some(probe) = &mut self.probe {
            probe.phase = Phase::Indirect;
            probe.helpers = helpers;
        }
    }

    /// Unsuspected members: one in the target's zone and one outside this node's, if there are any; in a small
    /// cluster those heard most recently.
    fn choose_helpers(&mut self, target: NodeId) -> SmallVec<[NodeId; 4]> {
        let wanted = self.parameters.helpers;
        let members = &self.members;
        let others = members.probed();
        let suits = |id: NodeId| {
            id != target && members.get(id).is_some_and(|m| m.evidence.rank == Rank::Alive)
        };
        if others.len() <= SMALL {
            let mut near: SmallVec<[NodeId; SMALL]> =
                others.iter().copied().filter(|id| suits(*id)).collect();
            near.sort_by_key(|id| std::cmp::Reverse(members.get(*id).and_then(|m| m.heard_at)));
            return near.into_iter().take(wanted).collect();
        }
        let zone =
            |id: NodeId| members.get(id).and_then(|m| m.attributes).map(|a| (a.region, a.zone));
        let (own_zone, target_zone) = (zone(self.own), zone(target));
        let mut drawn: SmallVec<[NodeId; DRAWS]> = SmallVec::new();
        for _ in 0..DRAWS {
            let id = others[self.rng.random_range(0..others.len())];
            if suits(id) && !drawn.contains(&id) {
                drawn.push(id);
            }
        }
        let mut helpers = SmallVec::new();
        let near = drawn.iter().copied().find(|id| zone(*id) == target_zone);
        let far = drawn.iter().copied().find(|id| zone(*id) != own_zone);
        for id in near.into_iter().chain(far).chain(drawn.iter().copied()) {
            if helpers.len() < wanted && !helpers.contains(&id) {
                helpers.push(id);
            }
        }
        helpers
    }

    /// An answer to this node's probe, straight from the target or through a helper.
    pub(super) fn probe_answered(
        &mut self,
        sequence: u32,
        by: NodeId,
        now: Duration,
        effects: &mut Effects,
    ) {
        let Some(probe) = &self.probe else { return };
        if probe.sequence != sequence {
            return;
        }
        if by == probe.target {
            // After the second ping it is not known which one was answered.
            if probe.phase == Phase::Direct {
                let elapsed = now.saturating_sub(probe.sent);
                if let Some(member) = self.members.note(by) {
                    member.round_trip.sample(elapsed);
                }
            }
        } else if probe.helpers.contains(&by) {
            self.counters.indirect_only += 1;
        } else {
            return;
        }
        self.probe = None;
        self.change_health(0, effects);
    }

    pub(super) fn probe_nacked(
        &mut self,
        sequence: u32,
        helper: NodeId,
        now: Duration,
        effects: &mut Effects,
    ) {
        if let Some(probe) = &mut self.probe
            && probe.sequence == sequence
            && probe.nack(helper)
        {
            self.fail_probe(now, effects);
        }
    }

    /// Nobody saw the target answer: it is accused, by this node and every helper that tried.
    fn fail_probe(&mut self, now: Duration, effects: &mut Effects) {
        let Some(probe) = self.probe.take() else { return };
        self.counters.probes_failed += 1;
        let charge = probe.silence_charge();
        if charge > 0 {
            self.change_health(charge, effects);
        }
        let fit = self.fit_to_judge(now, effects);
        let Some(member) = self.members.get(probe.target) else { return };
        if member.evidence.rank > Rank::Suspect {
            return;
        }
        let witnesses: &[NodeId] =
            if self.parameters.helpers_accuse { &probe.nackers } else { &[] };
        let accusers: Accusers = witnesses.iter().copied().chain([self.own]).collect();
        let accusation = Record {
            id: probe.target,
            evidence: member.evidence.ranked(Rank::Suspect),
            accusers,
            age_seconds: 0,
            attributes: None,
        };
        if fit {
            self.learn(&accusation, now, effects);
            self.show_its_record(probe.target, None, now, effects);
        } else if matches!(self.isolation, Isolation::Doubtful { .. }) {
            self.withheld.push(accusation);
        }
    }

    /// A ping that is no probe: to ask for a sign, or to try whether the dead are back.
    pub(super) fn ping_aside(&mut self, id: NodeId, effects: &mut Effects) {
        let Some(member) = self.members.get(id) else { return };
        let Some(attributes) = member.attributes else { return };
        let generation = member.evidence.generation;
        let sequence = self.errands.number();
        effects.send(id, attributes.gossip, Message::Ping { sequence, target: id, generation });
    }

    /// Pings a member in another node's place.
    pub(super) fn run_errand(
        &mut self,
        requester: (NodeId, Address),
        requested: u32,
        target: NodeId,
        budget: Duration,
        now: Duration,
        effects: &mut Effects,
    ) {
        let member = self.members.get(target).filter(|_| self.errands.len() < Errands::MAX);
        let Some((generation, attributes)) =
            member.and_then(|m| m.attributes.map(|a| (m.evidence.generation, a)))
        else {
            self.counters.errands_refused += 1;
            return;
        };
        let sequence = self.errands.number();
        let (requester, reply_to) = requester;
        let until = now + budget;
        self.errands.push(Errand { requester, reply_to, requested, sequence, target, until });
        effects.send(target, attributes.gossip, Message::Ping { sequence, target, generation });
    }

    pub(super) fn errand_answered(&mut self, sequence: u32, target: NodeId, effects: &mut Effects) {
        if let Some(errand) = self.errands.answered(target, sequence) {
            let sequence = errand.requested;
            effects.send(errand.requester, errand.reply_to, Message::RelayAck { sequence });
        }
    }

    pub(super) fn drive_errands(&mut self, now: Duration, effects: &mut Effects) {
        while let Some(errand) = self.errands.expired(now) {
            let sequence = errand.requested;
            effects.send(errand.requester, errand.reply_to, Message::Nack { sequence });
        }
    }
}
