//! Who had a part in a request and what they said, for people who ask.

use bytes::Bytes;
use coterie_crdt::{Address, State};
use coterie_ring::NodeId;
use coterie_wire::{Explanation, Outcome, Slice};

use super::found::Own;
use crate::lane::Shared;

/// What is gathered for an explanation, where one was asked for.
#[derive(Debug, Default)]
pub(super) struct Answers(Option<Box<Explanation>>);

impl Answers {
    /// Gathered only where `explain` says so.
    pub(super) fn new(explain: bool) -> Self {
        Answers(explain.then(Box::default))
    }

    /// A node said something.
    pub(super) fn note(&mut self, node: NodeId, word: &'static str) {
        if let Some(explanation) = &mut self.0 {
            explanation.answers.push((node, Bytes::from_static(word.as_bytes())));
        }
    }

    /// A hint is kept here for an owner.
    pub(super) fn hinted(&mut self, owner: NodeId) {
        if let Some(explanation) = &mut self.0 {
            explanation.hinted.push(owner);
        }
    }

    /// What the coordinator had when it evaluated.
    pub(super) fn saw(&mut self, own: &Own) {
        let Some(explanation) = &mut self.0 else { return };
        explanation.digest = own.digest();
        let root = own.root().cloned().unwrap_or_default();
        let resident = [(Address::REGISTER, &root.register), (Address::EXPIRY, &root.expiry)];
        let resident = resident.iter().map(|(address, cell)| (address, *cell));
        explanation.dots = resident
            .chain(own.small().map(State::cells).into_iter().flatten())
            .filter(|(_, cell)| !cell.dots().is_empty())
            .map(|(address, cell)| {
                let name = [&[address.kind as u8], &address.path[..]].concat();
                (name.into(), cell.dots().iter().map(|(dot, _)| *dot).collect())
            })
            .collect();
    }

    /// Completes an outcome that was done here with the explanation.
    pub(super) fn explain(&mut self, shared: &Shared, slice: Slice, outcome: Outcome) -> Outcome {
        let Outcome::Done(mut answered) = outcome else { return outcome };
        // What another node has coordinated, that node has explained.
        if answered.explanation.is_none()
            && let Some(mut explanation) = self.0.take()
        {
            let sets = shared.view.live_sets(slice);
            explanation.coordinator = Some(shared.me);
            explanation.owners = sets.newest().members.to_vec();
            let older = sets.older().iter().flat_map(|set| set.members.iter().copied());
            explanation.older_owners = older.collect();
            explanation.epoch = shared.slices.get(&slice).map_or(0, |state| state.epoch);
            answered.explanation = Some(explanation);
        }
        Outcome::Done(answered)
    }
}
