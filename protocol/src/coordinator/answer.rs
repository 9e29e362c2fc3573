//! Answering those who wait, and remembering what they were told.

use coterie_wire::Outcome;

use super::Coordinator;
use super::request::{Phase, UnderWay};
use crate::effects::{After, Effects};
use crate::lane::Shared;

impl Coordinator {
    /// Answers all who wait for a request.
    pub(super) fn respond(
        &mut self,
        shared: &Shared,
        under_way: &mut UnderWay,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let about = &mut under_way.about;
        let outcome = about.basis.answer(outcome);
        let outcome = about.answers.explain(shared, about.slice, outcome);
        let (key, id) = (&about.request.key, about.request.id);
        self.forwarded.remove(&id);
        if about.writes() {
            match &outcome {
                Outcome::Done(_) | Outcome::Unknown { .. } => {
                    let until = shared.now.monotonic + shared.settings.remember_requests;
                    let bytes_max = shared.settings.remember_bytes_max;
                    self.memory.answered(key, id, &outcome, (until, bytes_max));
                }
                // Nothing was done: a retry is a new request.
                Outcome::Refused(_) | Outcome::Unavailable(_) => self.memory.undone(key, id),
            }
        }
        let mut origins = std::mem::take(&mut under_way.origins);
        if let Some(last) = origins.pop() {
            for origin in origins {
                origin.answer(shared, id, outcome.clone(), After::Written, effects);
            }
            last.answer(shared, id, outcome, After::Written, effects);
        }
        // A write goes on until every owner has it.
        if !matches!(under_way.phase, Phase::Writing(_)) {
            self.table.over(under_way);
        }
    }
}
