//! A node that may have lost votes abstains until none of them can matter (invariant 2).
//!
//! A vote that mattered was about a register whose parent decision somebody else knew, or about the one after that. So
//! once every other member has said, after this node came back, what its last decision is, and this node has learned
//! one that is later than all of those, it votes only in registers that it never saw before.
//!
//! Where this needs the lost voter itself (it is the only voter of a cluster of several), an operator forces an
//! epoch.

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
        let passed = answers.is_some_and(|tips| tips.iter().all(|tip| *tip < own));
        if passed {
            layouts.agreement.vote_again();
            self.identity.abstains = false;
            self.identity.store(&mut effects.batch);
        } else {
            layouts.agreement.abstain();
        }
    }
}
