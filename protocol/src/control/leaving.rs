//! How a node leaves: drained, it asks to be removed; removed, it says goodbye (invariant 18).

use coterie_ring::{NodeIntent, NodeState};
use coterie_swim::Now;

use super::Control;
use super::effects::ControlEffects;
use super::report::Report;

impl Control {
    /// A draining node that owns nothing in any live set, and keeps no hints, has nothing left to hand over.
    pub(super) fn leave_if_empty(&mut self, now: Now, effects: &mut ControlEffects) {
        let Some(layouts) = &self.layouts else { return };
        let all_lanes = self.hints.len() == usize::from(self.lanes);
        let no_hints = all_lanes && self.hints.values().all(|any| !any);
        let Some(wanted) = layouts.agreement.intent().node(self.me) else { return };
        let drained = wanted.state == NodeState::Draining
            && layouts.state_of(self.me) == Some(NodeState::Draining)
            && !layouts.decision.is_owner(self.me);
        if !drained || !no_hints {
            return;
        }
        let (me, wanted) = (self.me, NodeIntent { state: NodeState::Removed, ..wanted.clone() });
        // Out of revisions it stays as it is: nothing is lost by that.
        if self.edit(|intent| intent.set_node(me, wanted), now, effects).is_ok() {
            self.hints.clear();
        }
    }

    /// Once it is decided that this node is removed, it says goodbye and ends.
    pub(super) fn leave_if_removed(&mut self, now: Now, effects: &mut ControlEffects) {
        let removed = self.layouts.as_ref().and_then(|layouts| layouts.state_of(self.me));
        if removed == Some(NodeState::Removed) && !self.removed_told {
            self.removed_told = true;
            effects.report(Report::Removed);
            self.drive(coterie_swim::Event::Leave, now, effects);
        }
    }
}
