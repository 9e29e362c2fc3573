//! Contact with those not known to be alive: seeds, members of an earlier life's memory, and the dead.

use std::time::Duration;

use rand::RngExt;

use super::Swim;
use crate::attributes::Address;
use crate::event::Effects;

impl Swim {
    /// When somebody is to be contacted next.
    pub(super) fn contact_due(&self) -> Option<Duration> {
        let recall = (!self.members.unverified().is_empty()).then_some(self.next_recall);
        let due = recall.map_or(self.next_contact, |at| at.min(self.next_contact));
        self.is_running().then_some(due)
    }

    pub(super) fn drive_contact(&mut self, now: Duration, effects: &mut Effects) {
        if !self.is_running() {
            return;
        }
        // Who is remembered and gone for good never answers: that must not keep the dead and seeds waiting.
        if now >= self.next_recall
            && let Some(id) = self.draw_unverified()
        {
            self.ping_aside(id, effects);
            self.next_recall = now + self.jitter(self.parameters.gossip_interval);
        }
        if now >= self.next_contact {
            let interval = if self.members.probed().is_empty() {
                self.contact_seed(effects);
                self.contact_dead(effects);
                self.parameters.probe_interval
            } else {
                self.contact_dead_or_seed(effects)
            };
            self.next_contact = now + self.jitter(interval);
        }
    }

    /// One attempt per `min(10 s, live members × 1 s)`, at one of the dead or a seed that is no live member.
    fn contact_dead_or_seed(&mut self, effects: &mut Effects) -> Duration {
        let idle = 10 * self.parameters.probe_interval;
        let Some(longest) = self.parameters.dead_contact_interval else { return idle };
        let silent_seeds = self.silent_seeds();
        let candidates = self.members.down().len() + silent_seeds.len();
        if candidates > 0 {
            let drawn = self.rng.random_range(0..candidates);
            match self.members.down().get(drawn) {
                Some(id) => self.ping_aside(*id, effects),
                None => self.join_by(silent_seeds[drawn - self.members.down().len()], effects),
            }
        }
        let nodes = u32::try_from(self.members.nodes()).unwrap_or(u32::MAX);
        longest.min(self.parameters.probe_interval * nodes)
    }

    fn contact_dead(&mut self, effects: &mut Effects) {
        let dead = self.members.down();
        if self.parameters.dead_contact_interval.is_some() && !dead.is_empty() {
            let id = dead[self.rng.random_range(0..dead.len())];
            self.ping_aside(id, effects);
        }
    }

    fn contact_seed(&mut self, effects: &mut Effects) {
        if !self.seeds.is_empty() {
            let seed = self.seeds[self.rng.random_range(0..self.seeds.len())];
            self.join_by(seed, effects);
        }
    }

    fn join_by(&mut self, seed: Address, effects: &mut Effects) {
        let message = self.join_message();
        self.send_stream(None, seed, &message, effects);
    }

    fn draw_unverified(&mut self) -> Option<crate::identity::NodeId> {
        let unverified = self.members.unverified();
        (!unverified.is_empty()).then(|| unverified[self.rng.random_range(0..unverified.len())])
    }

    /// Seeds at whose address no member is believed alive: the way back after a split longer than the dead are
    /// remembered.
    fn silent_seeds(&self) -> Vec<Address> {
        let own = self.members.own().attributes.map(|attributes| attributes.peer);
        let live = |seed: Address| {
            self.members.probed().iter().any(|id| {
                self.members.get(*id).and_then(|m| m.attributes).is_some_and(|a| a.peer == seed)
            })
        };
        self.seeds.iter().copied().filter(|seed| Some(*seed) != own && !live(*seed)).collect()
    }
}
