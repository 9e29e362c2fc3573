//! A node that may have lost votes abstains until none of them can matter (invariant 2).
//!
//! A vote that mattered was about a register whose parent decision somebody else knew, or about the one after that. So
//! once every other member has said, after this node came back, what its last decision is, and this node has learned
//! one that is later than all of those, it votes only in registers that it never saw before.
//!
//! Where all nodes went back together, to backups of perhaps different moments, what followed the last decision of any of
//! them is forgotten by all, and each votes once it has learned that one.
//!
//! Where this needs a lost voter itself (it is the only voter of a cluster of several), or one that is gone, an operator
//! forces an epoch.

use coterie_ring::NodeId;
use coterie_ring::moves::SetVersion;

use super::Control;
use super::effects::ControlEffects;

impl Control {
    /// Abstains from what is voted on now, or takes part again.
    pub(super) fn abstain_or_not(&mut self, effects: &mut ControlEffects) {
        let Some(layouts) = &mut self.layouts else { return };
        if !self.identity.abstains {
            return;
        }
        let members = layouts.decision.layout().members();
        let others: Vec<NodeId> =
            members.iter().map(|member| member.id).filter(|id| *id != self.me).collect();
        let answers: Option<Vec<SetVersion>> = others
            .iter()
            .map(|id| {
                Some(self.asking.tips.get(id)?.map_or(SetVersion::default(), |it| it.version))
            })
            .collect();
        let own = layouts.decision.version();
        let together = self.identity.together;
        let is_passed = |tip: &SetVersion| *tip < own || (together && *tip == own);
        if answers.is_some_and(|tips| tips.iter().all(is_passed)) {
            layouts.agreement.vote_again();
            (self.identity.abstains, self.identity.together) = (false, false);
            self.identity.store(&mut effects.batch);
        } else {
            layouts.agreement.abstain();
        }
    }
}
