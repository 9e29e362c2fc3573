//! Commands of one connection on one key that wait for each other, as one request.
//!
//! A pipeline of increments of one counter would otherwise be as slow as single commands: each would wait for the owners to
//! have the one before it. Evaluated together, each sees those before it, and they make one delta. They share an outcome:
//! where it is unknown whether they were done, it is unknown of all.

use coterie_crdt::operation::Operation;
use coterie_ring::{BucketKind, Level};
use coterie_wire::{Key, Outcome};

use super::Connection;
use super::sequence::Number;
use super::slot::{Part, Work};
use crate::desk::Step;
use crate::door::{Door, Surroundings};
use crate::outcome;
use crate::plan::{KeyShape, Plan};

/// Operations of a joint request.
pub(super) const OPERATIONS_MAX: usize = 64;

/// Bytes of the commands in it.
const BYTES_MAX: usize = 64 << 10;

impl Connection {
    /// Asks for a command's operations on a key, with those of the commands that wait for it where they fit.
    pub(super) fn begin_key(
        &mut self,
        number: Number,
        key: Key,
        mut operations: Vec<Operation>,
        shape: KeyShape,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) -> Work {
        let joined = if self.sequence.line(key.hash().0).len() > 1 && may_join(&shape, &operations)
        {
            self.joined(number, &key, &mut operations, around)
        } else {
            Vec::new()
        };
        let first = operations.len() - joined.iter().map(|(_, _, count)| count).sum::<usize>();
        let levels = self.ask_request(number, 0, key.clone(), operations, door);
        if joined.is_empty() {
            return Work::Key { key, levels, shape };
        }
        let mut end = first;
        let mut parts = vec![Part { number, shape, end }];
        for (number, shape, count) in joined {
            end += count;
            parts.push(Part { number, shape, end });
        }
        Work::Joint { key, levels, parts }
    }

    /// Takes the commands that wait for this one at its key, as far as they go with it.
    fn joined(
        &mut self,
        number: Number,
        key: &Key,
        operations: &mut Vec<Operation>,
        around: &Surroundings<'_>,
    ) -> Vec<(Number, KeyShape, usize)> {
        let policy = around.view.policy(key.bucket());
        let linearizable = |level| level == Some(Level::Linearizable);
        let terms = self.terms(number);
        let levels = terms.levels;
        if policy.is_none_or(|policy| {
            policy.kind == BucketKind::Strong
                || linearizable(levels.write.or(Some(policy.write)))
                || linearizable(levels.read.or(Some(policy.read)))
        }) {
            return Vec::new();
        }
        let writes = operations.iter().any(Operation::writes);
        // Replies to writes are small, most of them; those to reads may be as large as values are.
        let most = if writes { OPERATIONS_MAX } else { self.pace.reads_at_once() };
        let line: Vec<Number> = self.sequence.line(key.hash().0).to_vec();
        let mut joined = Vec::new();
        let mut bytes = self.slot_mut(number).map_or(0, |slot| slot.bytes);
        for other in line.into_iter().skip(1) {
            let Some(slot) = self.slot_mut(other) else { break };
            bytes += slot.bytes;
            let Work::Waits(Step::Plan(Plan::Key { key: theirs, operations: more, shape })) =
                &slot.work
            else {
                break;
            };
            let fits = theirs == key
                && slot.terms == terms
                && may_join(shape, more)
                && more.iter().any(Operation::writes) == writes
                && operations.len() + more.len() <= most
                && bytes <= BYTES_MAX;
            if !fits {
                break;
            }
            let work = std::mem::replace(&mut slot.work, Work::Joined);
            let Work::Waits(Step::Plan(Plan::Key { operations: more, shape, .. })) = work else {
                unreachable!("it was looked at just now")
            };
            joined.push((other, shape, more.len()));
            operations.extend(more);
        }
        joined
    }

    /// Answers each command of a joint request.
    pub(super) fn answer_joint(
        &mut self,
        parts: Vec<Part>,
        outcome: &Outcome,
        door: &mut Door,
        around: &Surroundings<'_>,
    ) {
        for Part { number, shape, end } in parts {
            self.reply(number, door, around, |encoder| match outcome::answered(outcome) {
                Ok(answered) => shape.encode_last(answered.replies.get(end - 1), encoder),
                Err(text) => encoder.error(&text),
            });
        }
    }
}

/// Whether a command may be one of several: its reply rests on its own last operation, and it reads no large part of the
/// key, as what is read at once is bounded.
fn may_join(shape: &KeyShape, operations: &[Operation]) -> bool {
    let one = |operation: &Operation| {
        let footprint = operation.footprint();
        footprint.ranges.is_empty() && (footprint.derived.is_empty() || operation.writes())
    };
    !matches!(shape, KeyShape::All(_)) && !operations.is_empty() && operations.iter().all(one)
}
