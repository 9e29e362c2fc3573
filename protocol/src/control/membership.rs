//! Driving the failure detector, and what follows from what it says.

use std::collections::BTreeMap;
use std::sync::Arc;

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;
use coterie_swim::{Change, Effects, Generation, Layout, Now, Status, snapshot};
use coterie_wire::Body;
use coterie_wire::peer::control::ControlMessage;

use super::effects::{ControlAction, ControlEffects, StopCause};
use super::event::Event;
use super::report::Report;
use super::{Control, frame, rows};
use crate::rows::address;
use crate::view::Liveness;

/// The same node, as the failure detector names it.
pub(super) fn swim_id(node: NodeId) -> coterie_swim::NodeId {
    coterie_swim::NodeId(node.0)
}

fn node_id(member: coterie_swim::NodeId) -> NodeId {
    NodeId(member.0)
}

impl Control {
    /// Hands an event to the failure detector.
    pub(super) fn drive(
        &mut self,
        event: coterie_swim::Event<'_>,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let mut asked = Effects::default();
        self.swim.handle(event, now, &mut asked);
        // Before anything is sent: a change may say that it must wait.
        for change in &asked.changes {
            if let Change::GenerationRaised(generation) = change {
                self.store_generation(*generation, effects);
            }
        }
        if self.muted.is_none() {
            for transmit in asked.transmits {
                effects.now(ControlAction::Packet(transmit));
            }
            for stream in asked.streams {
                let message = frame(Body::Control(ControlMessage::Swim(stream.bytes.into())));
                let (to, address) = (stream.to.map(node_id), stream.address);
                effects.now(ControlAction::Send { to, address, message });
            }
        }
        self.look_at_members(&asked.changes, now, effects);
        for change in asked.changes {
            self.changed(change, now, effects);
        }
    }

    /// Puts a generation into its row; until it is on disk, nothing is sent that bears it.
    pub(super) fn store_generation(
        &mut self,
        generation: Generation,
        effects: &mut ControlEffects,
    ) {
        self.muted = Some(generation);
        let body = generation.0.to_be_bytes();
        rows::put(&mut effects.batch, address::node_row(rows::GENERATION), &body);
        effects.synced(ControlAction::Control(Box::new(Event::GenerationStored(generation))));
    }

    /// Brings this node's picture of who is alive up to date.
    fn look_at_members(&mut self, changes: &[Change], now: Now, effects: &mut ControlEffects) {
        let announced = changes.iter().any(|change| {
            matches!(change, Change::AddressChanged(_) | Change::AttributesChanged(_))
        });
        let version = self.swim.view_version();
        if self.members_version == Some(version) && !announced {
            return;
        }
        self.members_version = Some(version);
        let liveness = |status| match status {
            Status::Up => Liveness::Up,
            Status::Suspect => Liveness::Suspect,
            Status::Hidden | Status::Unreachable | Status::Down | Status::Left => Liveness::Down,
        };
        let members: BTreeMap<_, _> = self
            .swim
            .view()
            .map(|(id, status, attributes)| (node_id(id), (status, *attributes)))
            .collect();
        self.liveness = members.iter().map(|(id, (status, _))| (*id, liveness(*status))).collect();
        let here = members.into_iter().filter(|(_, (status, _))| *status != Status::Left);
        let attributes: BTreeMap<_, _> = here.map(|(id, (_, theirs))| (id, theirs)).collect();
        let moved = attributes.iter().any(|(id, theirs)| {
            self.attributes
                .get(id)
                .is_none_or(|known| (known.gossip, known.peer) != (theirs.gossip, theirs.peer))
        });
        self.attributes = Arc::new(attributes);
        self.view_changed = true;
        // Where others are is on disk before anything that they ask for or decide: if the power of all fails and the seeds
        // are gone, nobody could tell a node where those are whom it knows to be members.
        if moved {
            self.save_members(now, effects);
        } else {
            self.members_save_at.get_or_insert(now.monotonic + self.settings.members_interval);
        }
    }

    fn changed(&mut self, change: Change, now: Now, effects: &mut ControlEffects) {
        match change {
            Change::Up(peer) => {
                let peer = node_id(peer);
                self.asking.ask_soon(now.monotonic);
                self.compare_with(peer, effects);
            }
            Change::OtherLayout { peer, layout: _ } => self.compare_with(node_id(peer), effects),
            Change::SelfIsolated(isolated) => {
                self.isolated = isolated;
                effects.report(Report::Isolated(isolated));
            }
            Change::DuplicateIdentity { halted } => {
                effects.report(Report::DuplicateIdentity { halted });
                if halted {
                    effects.now(ControlAction::Stop(StopCause::DuplicateIdentity));
                }
            }
            Change::ForeignCluster { from } => effects.report(Report::ForeignCluster { from }),
            Change::LeaveFinished => effects.now(ControlAction::Stop(StopCause::Removed)),
            // Seen in the picture of all members, or before.
            Change::Suspect(_)
            | Change::Cleared(_)
            | Change::Unreachable(_)
            | Change::Down { .. }
            | Change::Left(_)
            | Change::Restarted { .. }
            | Change::AddressChanged(_)
            | Change::AttributesChanged(_)
            | Change::SelfAccused
            | Change::LocalHealth(_)
            | Change::GenerationRaised(_)
            | Change::Converged { .. } => {}
        }
    }

    /// Writes down whom to ask after a restart.
    pub(super) fn save_members(&mut self, now: Now, effects: &mut ControlEffects) {
        self.members_save_at = None;
        let members = snapshot::encode(self.swim.memory(now));
        rows::put(&mut effects.batch, address::node_row(rows::MEMBERS), &members);
    }

    /// Announces the layout in force in every packet, so that peers notice a newer one.
    pub(super) fn announce_layout(&mut self, now: Now, effects: &mut ControlEffects) {
        let Some(layouts) = &self.layouts else { return };
        let tip = layouts.agreement.tip();
        let hash = tip.hash.0.to_le_bytes();
        let hash = u64::from_le_bytes(*hash.first_chunk().expect("16 bytes have 8"));
        let layout = Layout { version: announced(tip.version), hash };
        self.drive(coterie_swim::Event::Layout(layout), now, effects);
    }
}

/// A version in 32 bits. Wherever two differ, at least one of the two nodes sees that its peer's is another one and not
/// older; it compares in full, and then both know.
fn announced(version: SetVersion) -> u32 {
    u32::try_from(version.number).unwrap_or(u32::MAX)
}
