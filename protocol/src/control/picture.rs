//! What lanes are told.

use std::sync::Arc;

use coterie_swim::Now;

use super::Control;
use super::effects::{ControlAction, ControlEffects};
use crate::view::{Liveness, View};

impl Control {
    /// Gives lanes another view, if anything in it changed and this node may serve.
    pub(super) fn show(&mut self, now: Now, effects: &mut ControlEffects) {
        let served = self.asking.over;
        if !self.may_serve(now) || (served && !self.view_changed) {
            return;
        }
        let Some(layouts) = &self.layouts else { return };
        self.view_changed = false;
        self.view_version += 1;
        let mut members = self.liveness.clone();
        for peer in self.unfit.keys() {
            members.insert(*peer, Liveness::Down);
        }
        let decision = Arc::clone(&layouts.decision);
        let view = View {
            version: self.view_version,
            members,
            attributes: Arc::clone(&self.attributes),
            protocol: self.protocol(),
            run: self.asking.runs.present(),
            amnesiac: self.identity.amnesiac,
            went_back: self.identity.went_back,
            skipped: self.skipped,
            overruled: Arc::clone(&self.overruled),
            given_up: self.given_up,
            ..View::new(self.me, self.identity.incarnation, decision)
        };
        // An incarnation, and that it began with a loss, are on disk before anything is said under them.
        effects.synced(ControlAction::View(Arc::new(view)));
    }
}
