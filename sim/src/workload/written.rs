//! Keys of types that the checkers know nothing of: what is there in the end was written, is the same everywhere, and
//! what was acknowledged and nobody has taken back is among it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coterie_crdt::operation::{
    HashOperation, HyperLogLogOperation, KeyOperation, ListOperation, MapOperation, Operation,
    Reply, SetKind, SetOperation, SetVerb, SortedSetOperation,
};
use coterie_crdt::{Context, Dot};
use coterie_wire::{ChangedDots, Key, Outcome, Response};

use super::others::members;
use super::{Asked, Pending};

/// What clients tried to write, by key.
#[derive(Clone, Debug, Default)]
pub struct Written {
    values: BTreeMap<Key, BTreeSet<Bytes>>,
    /// What was acknowledged and lives until somebody observes it.
    acknowledged: BTreeMap<Key, Vec<Dot>>,
    /// What some operation that may have taken place has observed, and so dropped or replaced.
    observed: BTreeMap<Key, Context>,
    /// Keys of which something may have been dropped that is not known: an operation was not answered, or they expire.
    unclear: BTreeSet<Key>,
    /// What a read showed that nobody had tried to write.
    pub phantoms: Vec<String>,
}

impl Written {
    /// A client asks for this.
    pub(super) fn asked(&mut self, asked: &Asked) {
        let values = self.values.entry(asked.key.clone()).or_default();
        match &asked.operation {
            Operation::List(ListOperation::Push(_, pushed)) => {
                values.extend(pushed.iter().cloned())
            }
            Operation::Set(SetOperation { verb: SetVerb::Add(added), .. }) => {
                values.extend(added.iter().cloned());
            }
            Operation::Hash(HashOperation::Set(fields)) => {
                values.extend(fields.iter().map(|(_, value)| value.clone()));
            }
            Operation::Map(MapOperation::Set { value, .. }) => {
                values.insert(value.clone());
            }
            Operation::SortedSet(SortedSetOperation::Add { members, .. }) => {
                values.extend(members.iter().map(|(member, _)| member.clone()));
            }
            Operation::Key(KeyOperation::ExpireAt { .. })
            | Operation::Hash(HashOperation::ExpireAt { .. }) => {
                self.unclear.insert(asked.key.clone());
            }
            _ => {}
        }
    }

    pub(super) fn answered(&mut self, pending: &Pending, response: &Response) {
        let asked = &pending.asked;
        match &response.outcome {
            Outcome::Done(answered) => {
                let Some(Ok(reply)) = answered.replies.first() else { return };
                self.check(&asked.key, reply, "an answer");
                self.observe(&asked.key, &answered.changed);
                if lives_on(&asked.operation) {
                    let acknowledged = self.acknowledged.entry(asked.key.clone()).or_default();
                    acknowledged.extend(&answered.changed.minted);
                }
            }
            Outcome::Unknown { changed, .. } if !changed.minted.is_empty() => {
                self.observe(&asked.key, changed);
            }
            Outcome::Unknown { .. } => self.abandoned(asked),
            Outcome::Refused(_) | Outcome::Unavailable(_) => {}
        }
    }

    /// An operation was not answered.
    pub(super) fn abandoned(&mut self, asked: &Asked) {
        // What is added to a large set replaces nothing.
        if asked.key.name().first() != Some(&b'x') {
            self.unclear.insert(asked.key.clone());
        }
    }

    fn observe(&mut self, key: &Key, changed: &ChangedDots) {
        self.observed.entry(key.clone()).or_default().join(&changed.observed);
    }

    /// Notes what a reply shows that was not written.
    pub fn check(&mut self, key: &Key, reply: &Reply, whose: &str) {
        let Some(values) = self.values.get(key) else { return };
        let shown: Vec<&Bytes> = match reply {
            Reply::Values(shown) => shown.iter().flatten().collect(),
            Reply::Pairs(pairs) => pairs.iter().map(|(_, value)| value).collect(),
            Reply::Entries(entries) => entries.iter().map(|(_, value)| value).collect(),
            Reply::Scored(scored) => scored.iter().map(|(member, _)| member).collect(),
            _ => Vec::new(),
        };
        for phantom in shown.into_iter().filter(|value| !values.contains(*value)) {
            self.phantoms.push(format!("{key:?} shows {phantom:?} in {whose}: nobody wrote it"));
        }
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.values.keys()
    }

    /// What was acknowledged of a key, was observed by nobody, and is not among the `live` dots.
    pub fn lost(&self, key: &Key, live: &BTreeSet<Dot>) -> Vec<Dot> {
        if self.unclear.contains(key) {
            return Vec::new();
        }
        let observed = self.observed.get(key);
        let acknowledged = self.acknowledged.get(key).into_iter().flatten();
        let standing =
            acknowledged.filter(|dot| !observed.is_some_and(|observed| observed.contains(**dot)));
        standing.filter(|dot| !live.contains(*dot)).copied().collect()
    }

    /// The read that shows all of a key.
    #[must_use]
    pub fn whole(key: &Key) -> Operation {
        match key.name().first() {
            Some(b'l') => Operation::List(ListOperation::Range { start: 0, stop: -1 }),
            Some(b'h') => Operation::Hash(HashOperation::All),
            Some(b'm') => Operation::Map(MapOperation::Entries(None)),
            Some(b'g') => members(),
            Some(b'z') => Operation::SortedSet(SortedSetOperation::Count),
            Some(b'x') => Operation::Set(SetOperation::new(SetVerb::Members)),
            _ => Operation::HyperLogLog(HyperLogLogOperation::Registers),
        }
    }
}

/// Whether the dots of an operation live in cells until they are observed: those of others live in none, or in a cell
/// that takes them up.
fn lives_on(operation: &Operation) -> bool {
    match operation {
        Operation::List(ListOperation::Push(..))
        | Operation::Hash(HashOperation::Set(_))
        | Operation::Map(MapOperation::Set { .. })
        | Operation::SortedSet(SortedSetOperation::Add { .. })
        | Operation::Set(SetOperation { verb: SetVerb::Add(_), .. }) => true,
        // Removal wins, so it is there until an add has seen it.
        Operation::Set(SetOperation { kind, verb: SetVerb::Remove(_) }) => {
            *kind == SetKind::RemoveWins
        }
        _ => false,
    }
}
