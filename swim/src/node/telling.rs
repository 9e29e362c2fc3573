//! What is told to others (gossip and what rides along) and to consumers.

use std::time::Duration;

use rand::RngExt;
use smallvec::SmallVec;

use super::{Phase, Swim};
use crate::attributes::Address;
use crate::event::{Change, DownReason, Effects, Now, Transmit};
use crate::health::Isolation;
use crate::identity::NodeId;
use crate::members::{Member, Status, Trust};
use crate::record::{Accusers, Rank};
use crate::suspicion::Suspicions;
use crate::wire::{Header, Message, PACKET_BYTES_MIN, PacketWriter};

impl Swim {
    /// The smallest size limit a destination may have.
    pub const PACKET_BYTES_MIN: usize = PACKET_BYTES_MIN;

    /// Makes the bytes of a packet, filled up to `bytes_max` with what is still to be told.
    ///
    /// Own refutations go first, then what is said of the destination, then what was told least.
    ///
    /// # Panics
    /// If `bytes_max` is below [`Swim::PACKET_BYTES_MIN`].
    pub fn write_packet(
        &mut self,
        transmit: &Transmit,
        bytes_max: usize,
        now: Now,
        out: &mut Vec<u8>,
    ) {
        assert!(bytes_max >= PACKET_BYTES_MIN, "a packet has room for a message and a record");
        self.counters.packets_sent += 1;
        let header = self.header();
        let now = now.monotonic;
        let transmissions = self.parameters.transmissions(self.members.nodes());
        let Self { members, broadcasts, suspicions, scratch, own, .. } = self;
        let mut writer = PacketWriter::new(&header, &transmit.message, bytes_max, out, scratch);
        if broadcasts.contains(*own) {
            writer.push(&members.own().record(now, Accusers::default(), true));
        }
        let destination = transmit.to.and_then(|id| members.get(id));
        if let Some(member) = destination
            && (transmit.tell || member.evidence.rank >= Rank::Suspect)
        {
            writer.push(&member.record(now, accusers(suspicions, member.id), true));
        }
        broadcasts.fill(transmissions, |id, with_attributes| {
            // The destination is told above what it does not know better.
            if id == *own || Some(id) == transmit.to {
                return true;
            }
            let member = members.get(id).expect("what is told of is held");
            writer.push(&member.record(now, accusers(suspicions, id), with_attributes))
        });
    }

    pub(crate) fn header(&self) -> Header {
        let own = self.members.own();
        Header {
            sender: self.own,
            generation: own.evidence.generation,
            incarnation: own.evidence.incarnation,
            digest: self.digest(),
            layout: self.layout,
            health: self.health.score(),
        }
    }

    /// Begins to tell others of a member.
    pub(super) fn tell_of(&mut self, id: NodeId, with_attributes: bool, now: Duration) {
        self.broadcasts.push(id, with_attributes);
        if self.next_gossip.is_none() {
            let share = self.rng.random_range(0.0..1.0);
            self.next_gossip = Some(now + self.parameters.gossip_interval.mul_f64(share));
        }
    }

    pub(super) fn drive_gossip(&mut self, now: Duration, effects: &mut Effects) {
        if self.next_gossip.is_none_or(|at| at > now) {
            return;
        }
        if self.broadcasts.is_empty() {
            self.next_gossip = None;
            return;
        }
        self.next_gossip = Some(now + self.parameters.gossip_interval);
        let others = self.members.probed();
        let fanout = self.parameters.gossip_fanout.min(others.len());
        let mut drawn: SmallVec<[NodeId; 8]> = SmallVec::new();
        while drawn.len() < fanout {
            let id = others[self.rng.random_range(0..others.len())];
            if !drawn.contains(&id) {
                drawn.push(id);
            }
        }
        for id in drawn {
            if let Some(attributes) = self.members.get(id).and_then(|member| member.attributes) {
                effects.send(id, attributes.gossip, Message::Gossip);
            }
        }
    }

    /// Shows a member what is known and said of it, at most once per probe interval: answering every packet of a node
    /// that does not take the hint would be a flood. To where it was heard from, if that is known: its own
    /// address may be another process's by now.
    pub(super) fn show_its_record(
        &mut self,
        id: NodeId,
        heard_from: Option<Address>,
        now: Duration,
        effects: &mut Effects,
    ) {
        let interval = self.parameters.probe_interval;
        let Some(member) = self.members.note(id) else { return };
        let announced = member.attributes.map(|attributes| attributes.gossip);
        let Some(address) = heard_from.or(announced) else { return };
        if member.told_at.is_some_and(|at| now < at + interval) {
            return;
        }
        member.told_at = Some(now);
        effects.transmits.push(Transmit {
            to: Some(id),
            address,
            message: Message::Gossip,
            tell: true,
        });
    }

    /// Tells consumers what has become of a member, if that differs from what they were told last.
    pub(super) fn show(&mut self, id: NodeId, reason: DownReason, effects: &mut Effects) {
        if id == self.own {
            return;
        }
        let Some(member) = self.members.get(id) else { return };
        let status = self.status_of(member);
        let shown = member.shown;
        if status == shown {
            return;
        }
        if let Some(member) = self.members.note(id) {
            member.shown = status;
        }
        self.view_version += 1;
        let doubted = matches!(shown, Status::Suspect | Status::Unreachable);
        match status {
            Status::Hidden => {}
            Status::Up if doubted => effects.changes.push(Change::Cleared(id)),
            Status::Up => effects.changes.push(Change::Up(id)),
            Status::Suspect => effects.changes.push(Change::Suspect(id)),
            Status::Unreachable => effects.changes.push(Change::Unreachable(id)),
            Status::Down => effects.changes.push(Change::Down { id, reason }),
            Status::Left if shown == Status::Hidden => {}
            Status::Left => effects.changes.push(Change::Left(id)),
        }
    }

    fn status_of(&self, member: &Member) -> Status {
        if member.evidence.rank == Rank::Left {
            return Status::Left;
        }
        if member.attributes.is_none() || member.trust != Trust::Verified {
            return Status::Hidden;
        }
        if let Isolation::Isolated { since, .. } = self.isolation
            && member.evidence.rank <= Rank::Suspect
            && member.heard_at.is_none_or(|at| at < since)
        {
            return Status::Unreachable;
        }
        match member.evidence.rank {
            Rank::Alive => Status::Up,
            Rank::Suspect => Status::Suspect,
            Rank::Down if self.suspicions.get(member.id).is_some() => Status::Suspect,
            Rank::Down => Status::Down,
            Rank::Left => Status::Left,
        }
    }

    pub(super) fn change_health(&mut self, worse_by: u8, effects: &mut Effects) {
        let before = self.health.score();
        match worse_by {
            0 => self.health.better(),
            by => self.health.worse(by),
        }
        if self.health.score() != before {
            effects.changes.push(Change::LocalHealth(self.health.score()));
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }
}

pub(super) fn accusers(suspicions: &Suspicions, id: NodeId) -> Accusers {
    suspicions.get(id).map(|suspicion| suspicion.accusers.clone()).unwrap_or_default()
}
