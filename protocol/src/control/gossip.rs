//! What all nodes come to know: the intent, the last decision, what is done, what was given up.
//!
//! Changes are pushed to a few random members; every second a random one is compared with. Both sides of a
//! difference end up with the join.

use std::time::Duration;

use coterie_ring::decision::{self, Tip};
use coterie_ring::moves::SetVersion;
use coterie_ring::register::Wire;
use coterie_ring::{EditError, Intent, NodeId, NodeIntent, NodeState};
use coterie_swim::Now;
use coterie_wire::Slice;
use coterie_wire::peer::control::{Compare, ControlMessage, GivenUp};
use rand::RngExt;
use xxhash_rust::xxh3::xxh3_128;

use super::effects::ControlEffects;
use super::report::Report;
use super::{Control, rows};
use crate::effects::After;
use crate::rows::address;
use crate::view::Liveness;

/// Members to which a change of the intent is pushed.
const PUSHED_TO: usize = 3;
/// How long finished moves are gathered before the others are told.
const DONE_GATHERED: Duration = Duration::from_millis(200);

impl Control {
    /// Compares with a random member.
    pub(super) fn compare(&mut self, effects: &mut ControlEffects) {
        let Some(peer) = self.random_peers(1).pop() else { return };
        self.compare_with(peer, effects);
        self.say_done(peer, effects);
    }

    /// Says how far this node is; a node without layouts asks for one.
    pub(super) fn compare_with(&mut self, peer: NodeId, effects: &mut ControlEffects) {
        match self.comparison() {
            // Compared with is only what is on disk: a crash would take it back.
            Some(compare) => {
                self.say(After::Synced, peer, ControlMessage::Compare(compare), effects);
            }
            None if self.joins => self.say(After::Written, peer, ControlMessage::Join, effects),
            None => {}
        }
    }

    fn comparison(&self) -> Option<Compare> {
        let layouts = self.layouts.as_ref()?;
        let tip = layouts.agreement.tip();
        Some(Compare { intent: layouts.intent_hash, tip, given_up: self.given_up })
    }

    pub(super) fn compared(
        &mut self,
        from: NodeId,
        theirs: Compare,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let Some(own) = self.comparison() else {
            return self.compare_with(from, effects);
        };
        if theirs.intent != own.intent {
            self.say_intent(from, effects);
        }
        if theirs.tip != own.tip {
            self.agree(decision::Event::Heard { from, tip: theirs.tip }, now, effects);
        }
        if theirs.given_up > own.given_up
            && let Some(given_up) = theirs.given_up
        {
            self.give_up(given_up, effects);
        } else if theirs.given_up < own.given_up {
            self.compare_with(from, effects);
        }
    }

    fn say_intent(&self, to: NodeId, effects: &mut ControlEffects) {
        if let Some(layouts) = &self.layouts {
            let intent = Box::new(layouts.agreement.intent().clone());
            self.say(After::Synced, to, ControlMessage::Intent(intent), effects);
        }
    }

    pub(super) fn push_intent(&mut self, effects: &mut ControlEffects) {
        for peer in self.random_peers(PUSHED_TO) {
            self.say_intent(peer, effects);
        }
    }

    pub(super) fn hear_intent(
        &mut self,
        from: NodeId,
        intent: Intent,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let Some(layouts) = &self.layouts else { return };
        if xxh3_128(&intent.encode()) == layouts.intent_hash {
            return;
        }
        self.agree(decision::Event::Intent(intent.clone()), now, effects);
        let Some(layouts) = &self.layouts else { return };
        let own = layouts.agreement.intent();
        // One that has no room for the union would be answered for ever.
        if own.includes(&intent) && !intent.includes(own) {
            self.say_intent(from, effects);
        }
    }

    /// Changes what is asked for.
    pub(super) fn edit(
        &mut self,
        edit: impl FnOnce(&mut Intent) -> Result<(), EditError>,
        now: Now,
        effects: &mut ControlEffects,
    ) -> Result<(), EditError> {
        let Some(layouts) = &self.layouts else { return Ok(()) };
        let mut intent = layouts.agreement.intent().clone();
        edit(&mut intent)?;
        self.agree(decision::Event::Intent(intent), now, effects);
        Ok(())
    }

    /// Asks to be taken in, unless that was done.
    pub(super) fn ask_to_join(&mut self, now: Now, effects: &mut ControlEffects) {
        let Some(layouts) = &self.layouts else { return };
        if !self.joins || layouts.agreement.intent().node(self.me).is_some() {
            return;
        }
        let (me, weight, place) = (self.me, self.weight, self.place.clone());
        let joining = NodeIntent { state: NodeState::Joining, weight, place };
        if let Err(error) = self.edit(|intent| intent.set_node(me, joining), now, effects) {
            let error = coterie_ring::PlanError::Intent(error);
            effects.report(Report::LayoutRefused(error.into()));
        }
    }

    /// A new node asks for a layout.
    pub(super) fn welcome(&mut self, newcomer: NodeId, effects: &mut ControlEffects) {
        let Some(layouts) = &self.layouts else { return };
        let last = decision::Message::Decisions(vec![(*layouts.decision).clone()]);
        self.say(After::Synced, newcomer, ControlMessage::Decision(Box::new(last)), effects);
        self.say_intent(newcomer, effects);
    }

    /// All owners of a slice said that its move is done.
    pub(super) fn move_done(
        &mut self,
        slice: Slice,
        version: SetVersion,
        now: Now,
        effects: &mut ControlEffects,
    ) {
        let Some(layouts) = &self.layouts else { return };
        let current = layouts.moving.contains(&slice)
            && layouts.decision.live_sets(slice.partition, slice.replicas).tag() == version;
        if current && self.note_done(slice, now, effects) {
            self.done_tell_at.get_or_insert(now.monotonic + DONE_GATHERED);
        }
    }

    fn note_done(&mut self, slice: Slice, now: Now, effects: &mut ControlEffects) -> bool {
        let Some(layouts) = &mut self.layouts else { return false };
        if !layouts.moving.contains(&slice) || !layouts.done.insert(slice) {
            return false;
        }
        let Slice { partition, replicas } = slice;
        let version = layouts.decision.live_sets(partition, replicas).tag();
        self.agree(decision::Event::MoveDone { partition, replicas, version }, now, effects);
        true
    }

    pub(super) fn hear_done(
        &mut self,
        tip: Tip,
        slices: &[Slice],
        now: Now,
        effects: &mut ControlEffects,
    ) {
        for slice in slices {
            // One of them may complete what is to be decided next.
            if self.layouts.as_ref().is_none_or(|layouts| layouts.agreement.tip() != tip) {
                return;
            }
            self.note_done(*slice, now, effects);
        }
    }

    /// Tells all members which moves are done.
    pub(super) fn tell_done(&mut self, effects: &mut ControlEffects) {
        self.done_tell_at = None;
        for peer in self.random_peers(usize::MAX) {
            self.say_done(peer, effects);
        }
    }

    fn say_done(&self, to: NodeId, effects: &mut ControlEffects) {
        let Some(layouts) = &self.layouts else { return };
        if !layouts.done.is_empty() {
            let slices = layouts.done.iter().copied().collect();
            let message = ControlMessage::MovesDone { tip: layouts.agreement.tip(), slices };
            self.say(After::Written, to, message, effects);
        }
    }

    /// Takes in what an operator gave up, here or elsewhere.
    pub(super) fn give_up(&mut self, given_up: GivenUp, effects: &mut ControlEffects) {
        if Some(given_up) <= self.given_up {
            return;
        }
        self.given_up = Some(given_up);
        let mut body = vec![given_up.owners];
        given_up.version.write(&mut body);
        rows::put(&mut effects.batch, address::node_row(rows::GIVEN_UP), &body);
        self.view_changed = true;
    }

    /// At most so many members that are not down.
    fn random_peers(&mut self, count: usize) -> Vec<NodeId> {
        let live = self.liveness.iter().filter(|(_, liveness)| **liveness != Liveness::Down);
        let mut peers: Vec<NodeId> = live.map(|(peer, _)| *peer).collect();
        for drawn in 0..peers.len().min(count) {
            let other = self.random.random_range(drawn..peers.len());
            peers.swap(drawn, other);
        }
        peers.truncate(count);
        peers
    }
}
