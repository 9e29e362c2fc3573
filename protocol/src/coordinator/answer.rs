//! Answering those who wait, and remembering what they were told.

use coterie_wire::Outcome;

use super::Coordinator;
use super::request::UnderWay;
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
        let outcome = about.answers.explain(shared, about.slice, outcome);
        let (key, id) = (&about.request.key, about.request.id);
        self.forwarded.remove(&id);
        if about.writes() {
            match &outcome {
                Outcome::Done(_) | Outcome::Unknown { .. } => {
                    let until = shared.now.monotonic + shared.settings.remember_requests;
                    self.memory.answered(key, id, &outcome, until);
                }
                // Nothing was done: a retry is a new request.
                Outcome::Refused(_) | Outcome::Unavailable(_) => self.memory.undone(key, id),
            }
        }
        for origin in std::mem::take(&mut under_way.origins) {
            origin.answer(shared, id, outcome.clone(), After::Written, effects);
        }
    }
}
