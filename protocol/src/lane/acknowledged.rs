//! What peers say they have on disk, gathered for control to remember (invariants 1 and 2).

use std::collections::BTreeMap;
use std::time::Duration;

use coterie_ring::NodeId;
use coterie_wire::Committed;

use crate::effects::Effects;
use crate::event::ControlEvent;

/// How long acknowledgements are gathered.
const GATHERED: Duration = Duration::from_millis(100);

/// The highest that each lane of each peer said lately and control was not told of.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    highest: BTreeMap<(NodeId, u16), Committed>,
    tell_at: Option<Duration>,
}

impl Acknowledged {
    /// A peer's message says what it has committed.
    pub(super) fn note(
        &mut self,
        peer: NodeId,
        committed: Committed,
        now: Duration,
        effects: &mut Effects,
    ) {
        // Runs are told in the order they were heard of.
        let held = self.highest.range((peer, 0)..=(peer, u16::MAX)).next();
        if held.is_some_and(|(_, held)| held.run != committed.run) {
            self.tell(effects);
        }
        let highest = self.highest.entry((peer, committed.lane)).or_insert(committed);
        highest.number = highest.number.max(committed.number);
        self.tell_at.get_or_insert(now + GATHERED);
    }

    /// Tells control, if it is time.
    pub(super) fn tick(&mut self, now: Duration, effects: &mut Effects) {
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell(effects);
        }
    }

    fn tell(&mut self, effects: &mut Effects) {
        self.tell_at = None;
        for ((peer, _), committed) in std::mem::take(&mut self.highest) {
            effects.control(ControlEvent::Acknowledged { peer, committed });
        }
    }

    /// When it next wants to be told that time has passed.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.tell_at
    }
}

#[cfg(test)]
mod tests {
    use coterie_wire::Run;

    use super::*;
    use crate::effects::Action;

    fn told(effects: &Effects) -> Vec<(u64, u16, u64)> {
        let told = effects.actions.iter().filter_map(|(_, action)| {
            let Action::Control(event) = action else { return None };
            let ControlEvent::Acknowledged { committed, .. } = **event else { return None };
            Some((committed.run.0, committed.lane, committed.number))
        });
        told.collect()
    }

    #[test]
    fn the_highest_of_a_moment_is_told_and_runs_in_order() {
        let mut acknowledged = Acknowledged::default();
        let mut effects = Effects::new();
        let mut note = |run, lane, number| {
            let committed = Committed { run: Run(run), lane, number };
            acknowledged.note(NodeId(1), committed, Duration::ZERO, &mut effects);
        };
        note(9, 1, 5);
        note(9, 0, 7);
        note(9, 1, 4);
        note(2, 0, 8);
        assert_eq!(acknowledged.next_deadline(), Some(GATHERED));
        acknowledged.tick(GATHERED / 2, &mut effects);
        assert_eq!(told(&effects), [(9, 0, 7), (9, 1, 5)]);
        acknowledged.tick(GATHERED, &mut effects);
        assert_eq!(told(&effects), [(9, 0, 7), (9, 1, 5), (2, 0, 8)]);
        assert_eq!(acknowledged.next_deadline(), None);
    }
}
