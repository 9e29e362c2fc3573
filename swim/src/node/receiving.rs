//! Packets coming in.

use std::time::Duration;

use super::Swim;
use crate::attributes::Address;
use crate::event::{Change, Effects, Transmit};
use crate::identity::NodeId;
use crate::probe::ERRAND;
use crate::record::{Evidence, Rank, Record};
use crate::wire::{DecodeError, Header, Item, Message, Packet, Part, decode_packet};

/// How often at most a foreign cluster is reported.
const FOREIGN_INTERVAL: Duration = Duration::from_secs(10);

impl Swim {
    pub(super) fn receive_packet(
        &mut self,
        from: Address,
        bytes: &[u8],
        now: Duration,
        effects: &mut Effects,
    ) {
        match decode_packet(bytes) {
            Ok(packet) if packet.header.sender == self.own => {
                self.receive_from_double(from, &packet, now, effects);
            }
            Ok(packet) => self.receive_from_peer(from, &packet, now, effects),
            Err(error) => self.count_malformed(error),
        }
    }

    pub(super) fn count_malformed(&mut self, error: DecodeError) {
        if matches!(error, DecodeError::Version(_)) {
            self.counters.unknown_version += 1;
        } else {
            self.counters.malformed += 1;
        }
    }

    pub(super) fn receive_foreign(&mut self, from: Address, now: Duration, effects: &mut Effects) {
        self.counters.foreign += 1;
        if self.foreign_told_at.is_none_or(|at| now >= at + FOREIGN_INTERVAL) {
            self.foreign_told_at = Some(now);
            effects.changes.push(Change::ForeignCluster { from });
        }
    }

    /// The sender claims to be this node: it is shown this node's record, and shows its own in turn.
    fn receive_from_double(
        &mut self,
        from: Address,
        packet: &Packet<'_>,
        now: Duration,
        effects: &mut Effects,
    ) {
        self.counters.own_id_claimed += 1;
        for item in packet.items() {
            if let Item::Record(record) = item
                && record.id == self.own
            {
                self.learn(&record, now, effects);
            }
        }
        let interval = self.parameters.probe_interval;
        let own = self.members.note(self.own).expect("this node is a member");
        if own.told_at.is_none_or(|at| now >= at + interval) && self.is_running() {
            if let Some(own) = self.members.note(self.own) {
                own.told_at = Some(now);
            }
            let message = Message::Gossip;
            effects.transmits.push(Transmit {
                to: Some(self.own),
                address: from,
                message,
                tell: true,
            });
        }
    }

    fn receive_from_peer(
        &mut self,
        from: Address,
        packet: &Packet<'_>,
        now: Duration,
        effects: &mut Effects,
    ) {
        self.receive_header(Some(from), &packet.header, now, effects);
        for part in packet.parts() {
            match part {
                Part::Record(record) if record.head.id == self.own => {
                    self.receive_own_record(
                        from,
                        packet.header.sender,
                        &record.read(),
                        now,
                        effects,
                    );
                }
                Part::Record(record) if self.knows(&record.head) => {}
                Part::Record(record) => self.learn(&record.read(), now, effects),
                Part::Message(message) => {
                    self.receive_message(from, packet.header.sender, &message, now, effects);
                }
            }
        }
        self.ask_who_it_is(from, &packet.header, now, effects);
        self.compare(&packet.header, now, effects);
    }

    /// A peer says what it knows of this node. Where that is little more than the name, it is told the rest.
    fn receive_own_record(
        &mut self,
        from: Address,
        sender: NodeId,
        record: &Record,
        now: Duration,
        effects: &mut Effects,
    ) {
        self.learn(record, now, effects);
        if record.attributes < self.members.own().attributes && self.is_running() {
            self.tell_of(self.own, true, now);
            effects.send(sender, from, Message::Gossip);
        }
    }

    /// A peer of which no attributes are known, or only those of an earlier life, is shown its record. Nobody
    /// else may be there who could tell them, and it cannot be compared with before they are known.
    fn ask_who_it_is(
        &mut self,
        from: Address,
        header: &Header,
        now: Duration,
        effects: &mut Effects,
    ) {
        let Some(member) = self.members.get(header.sender) else { return };
        let unknown = member.attributes.is_none_or(|known| known.generation < header.generation);
        if unknown && member.evidence.rank != Rank::Left && self.is_running() {
            self.show_its_record(header.sender, Some(from), now, effects);
        }
    }

    /// What any message says of its sender.
    pub(super) fn receive_header(
        &mut self,
        from: Option<Address>,
        header: &Header,
        now: Duration,
        effects: &mut Effects,
    ) {
        let sender = header.sender;
        let evidence = Evidence {
            generation: header.generation,
            incarnation: header.incarnation,
            rank: Rank::Alive,
        };
        self.learn_first_hand(sender, evidence, now, effects);
        self.hear(sender, now, effects);
        self.compare_layout(header, now, effects);
        let Some(member) = self.members.get(sender) else { return };
        let leaving =
            member.evidence.rank == Rank::Left && member.evidence.generation == header.generation;
        if member.evidence > evidence && !leaving {
            self.show_its_record(sender, from, now, effects);
        }
    }

    /// Tells of a peer's layout that is newer than this node's, or another one of the same version; again while
    /// that lasts, because whoever fetches it may fail.
    fn compare_layout(&mut self, header: &Header, now: Duration, effects: &mut Effects) {
        let (own, theirs) = (self.layout, header.layout);
        let interval = self.parameters.probe_interval;
        let due = self.layout_told_at.is_none_or(|at| now >= at + interval);
        if theirs.version >= own.version && theirs != own && due {
            self.layout_told_at = Some(now);
            effects.changes.push(Change::OtherLayout { peer: header.sender, layout: theirs });
        }
    }

    fn receive_message(
        &mut self,
        from: Address,
        sender: NodeId,
        message: &Message,
        now: Duration,
        effects: &mut Effects,
    ) {
        match *message {
            Message::Ping { target, .. } if target != self.own => self.counters.misdirected += 1,
            Message::Ping { sequence, .. } => {
                if sequence & ERRAND == 0 {
                    let ahead = sequence.wrapping_sub(self.heard_round) & !ERRAND;
                    if ahead <= ERRAND / 2 {
                        self.heard_round = sequence;
                    }
                }
                // Another address than it announced: it moved, or is another process of that identity.
                let announced = self.members.get(sender).and_then(|member| member.attributes);
                let tell = announced.is_some_and(|attributes| attributes.gossip != from);
                let message = Message::Ack { sequence };
                effects.transmits.push(Transmit { to: Some(sender), address: from, message, tell });
            }
            Message::Ack { sequence } if sequence & ERRAND == 0 => {
                self.probe_answered(sequence, sender, now, effects);
            }
            Message::Ack { sequence } => self.errand_answered(sequence, sender, effects),
            Message::PingRequest { sequence, target, .. } if target == self.own => {
                effects.send(sender, from, Message::RelayAck { sequence });
            }
            Message::PingRequest { sequence, target, budget_millis } => {
                let budget = Duration::from_millis(budget_millis.into());
                self.run_errand((sender, from), sequence, target, budget, now, effects);
            }
            Message::RelayAck { sequence } => self.probe_answered(sequence, sender, now, effects),
            Message::Nack { sequence } => self.probe_nacked(sequence, sender, now, effects),
            Message::Gossip => {}
        }
    }
}
