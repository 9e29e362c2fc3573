//! A history under way: records are taken one by one, checked for form, and kept by key.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::{
    Action, Answer, Bucket, BucketId, BucketKind, FinalState, Name, Operation, OperationId,
    Outcome, Owner, Part, Record, Session, SessionId, Strong,
};

/// How much of a history is kept at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Operations not yet taken out, of all keys.
    pub operations_max: usize,
    /// Names and dots in them and in final states.
    pub items_max: usize,
}

impl Default for Limits {
    /// A million operations and 32 million names and dots: a few gigabytes at the worst.
    fn default() -> Self {
        Limits { operations_max: 1 << 20, items_max: 1 << 25 }
    }
}

/// Why a record does not belong into the history. It was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// A bucket was declared twice.
    #[error("bucket {} is declared twice", .0.0)]
    BucketTwice(BucketId),
    /// A session was declared twice.
    #[error("session {} is declared twice", .0.0)]
    SessionTwice(SessionId),
    /// Not declared before it was named.
    #[error("bucket {} was not declared", .0.0)]
    UnknownBucket(BucketId),
    /// Not declared before it was named.
    #[error("session {} was not declared", .0.0)]
    UnknownSession(SessionId),
    /// Two operations of one number.
    #[error("operation {} is there twice", .0.0)]
    OperationTwice(OperationId),
    /// It returned before it was sent.
    #[error("operation {} returned before it was sent", .0.0)]
    ReturnedBeforeInvoked(OperationId),
    /// Its answer is not one to what was asked.
    #[error("operation {} has an answer to something else", .0.0)]
    WrongAnswer(OperationId),
    /// A strong action in another bucket, or another action in a strong bucket.
    #[error("operation {} does not belong into a bucket of this kind", .0.0)]
    WrongBucket(OperationId),
    /// It returned after the final states were read, or they were read before it returned.
    #[error("operation {} was not over when a final state was read", .0.0)]
    NotOverAtTheEnd(OperationId),
    /// The final state of an owner is there twice.
    #[error("the final state of {key} at owner {} is there twice", owner.0)]
    FinalTwice {
        /// Whose.
        owner: Owner,
        /// Of which key.
        key: Name,
    },
    /// A bucket without owners.
    #[error("bucket {} has no owners", .0.0)]
    NoReplicas(BucketId),
    /// More than [`Limits`] allow.
    #[error("more is kept than the limits allow; judge keys as they end, and take them out")]
    TooMuch,
}

/// All that a history holds of one key.
#[derive(Debug, Clone)]
pub struct KeyHistory {
    /// The key's bucket.
    pub bucket: Bucket,
    /// The key.
    pub key: Name,
    /// By time of invocation, then by number.
    pub operations: Vec<Operation>,
    /// By owner.
    pub finals: Vec<FinalState>,
    /// The sessions that touched the key.
    pub sessions: BTreeMap<SessionId, Session>,
}

/// A history under way.
///
/// A run of any length is judged in bounded memory if its keys end: when a key's final states are in,
/// [`History::take`] hands out all that is known of it and forgets it.
#[derive(Debug, Default)]
pub struct History {
    limits: Limits,
    buckets: BTreeMap<BucketId, Bucket>,
    sessions: BTreeMap<SessionId, Session>,
    keys: BTreeMap<(BucketId, Name), KeyRecords>,
    kept: BTreeSet<OperationId>,
    items: usize,
}

#[derive(Debug, Default)]
struct KeyRecords {
    operations: Vec<Operation>,
    finals: BTreeMap<Owner, FinalState>,
    items: usize,
}

impl History {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        History { limits, ..History::default() }
    }

    /// Takes a record in; operations may come in any order.
    ///
    /// # Errors
    /// If it is ill-formed by itself or beside what is kept; then nothing has changed.
    pub fn push(&mut self, record: Record) -> Result<(), HistoryError> {
        match record {
            Record::Bucket(bucket) => self.declare_bucket(bucket),
            Record::Session(session) => {
                if self.sessions.contains_key(&session.session) {
                    return Err(HistoryError::SessionTwice(session.session));
                }
                self.sessions.insert(session.session, session);
                Ok(())
            }
            Record::Operation(operation) => self.push_operation(operation),
            Record::Final(state) => self.push_final(state),
        }
    }

    /// Keys of which something is kept, in order.
    pub fn keys(&self) -> impl Iterator<Item = (BucketId, &Name)> {
        self.keys.keys().map(|(bucket, key)| (*bucket, key))
    }

    /// All that is kept of a key, which is then forgotten.
    pub fn take(&mut self, bucket: BucketId, key: &Name) -> Option<KeyHistory> {
        let records = self.keys.remove(&(bucket, key.clone()))?;
        self.items -= records.items;
        let mut operations = records.operations;
        operations.sort_by_key(|operation| (operation.invoked, operation.id));
        let mut sessions = BTreeMap::new();
        for operation in &operations {
            self.kept.remove(&operation.id);
            sessions.insert(operation.session, self.sessions[&operation.session]);
        }
        let finals = records.finals.into_values().collect();
        let bucket = self.buckets[&bucket];
        Some(KeyHistory { bucket, key: key.clone(), operations, finals, sessions })
    }

    fn declare_bucket(&mut self, bucket: Bucket) -> Result<(), HistoryError> {
        if self.buckets.contains_key(&bucket.bucket) {
            return Err(HistoryError::BucketTwice(bucket.bucket));
        }
        if bucket.replicas == 0 {
            return Err(HistoryError::NoReplicas(bucket.bucket));
        }
        self.buckets.insert(bucket.bucket, bucket);
        Ok(())
    }

    fn push_operation(&mut self, operation: Operation) -> Result<(), HistoryError> {
        let id = operation.id;
        let bucket = self.buckets.get(&operation.bucket);
        let bucket = bucket.ok_or(HistoryError::UnknownBucket(operation.bucket))?;
        if !self.sessions.contains_key(&operation.session) {
            return Err(HistoryError::UnknownSession(operation.session));
        }
        if self.kept.contains(&id) {
            return Err(HistoryError::OperationTwice(id));
        }
        let strong = matches!(operation.action, Action::Strong(_));
        if strong != (bucket.kind == BucketKind::Strong) {
            return Err(HistoryError::WrongBucket(id));
        }
        if operation.answer().is_some_and(|answer| !answers(&operation.action, answer)) {
            return Err(HistoryError::WrongAnswer(id));
        }
        let returned = returned(&operation);
        if returned.is_some_and(|returned| returned < operation.invoked) {
            return Err(HistoryError::ReturnedBeforeInvoked(id));
        }
        let end = returned.unwrap_or(operation.invoked);
        let key = (operation.bucket, operation.key.clone());
        let records = self.keys.get(&key);
        if records.is_some_and(|records| records.finals.values().any(|state| state.at < end)) {
            return Err(HistoryError::NotOverAtTheEnd(id));
        }
        let items = operation_items(&operation);
        self.make_room(items)?;
        self.kept.insert(id);
        let records = self.keys.entry(key).or_default();
        records.items += items;
        records.operations.push(operation);
        Ok(())
    }

    fn push_final(&mut self, state: FinalState) -> Result<(), HistoryError> {
        if !self.buckets.contains_key(&state.bucket) {
            return Err(HistoryError::UnknownBucket(state.bucket));
        }
        let key = (state.bucket, state.key.clone());
        if let Some(records) = self.keys.get(&key) {
            if records.finals.contains_key(&state.owner) {
                return Err(HistoryError::FinalTwice { owner: state.owner, key: state.key });
            }
            let end = |operation: &&Operation| {
                returned(operation).unwrap_or(operation.invoked) > state.at
            };
            if let Some(late) = records.operations.iter().find(end) {
                return Err(HistoryError::NotOverAtTheEnd(late.id));
            }
        }
        let cells = state.cells.iter();
        let items = cells.map(|c| 1 + c.values.len() + c.dots.as_ref().map_or(0, Vec::len)).sum();
        self.make_room(items)?;
        let records = self.keys.entry(key).or_default();
        records.items += items;
        records.finals.insert(state.owner, state);
        Ok(())
    }

    fn make_room(&mut self, items: usize) -> Result<(), HistoryError> {
        let items = self.items.saturating_add(items);
        if items > self.limits.items_max || self.kept.len() >= self.limits.operations_max {
            return Err(HistoryError::TooMuch);
        }
        self.items = items;
        Ok(())
    }
}

fn returned(operation: &Operation) -> Option<crate::Nanos> {
    match operation.outcome {
        Outcome::Done { returned, .. }
        | Outcome::Refused { returned }
        | Outcome::Unavailable { returned } => Some(returned),
        Outcome::Unknown { .. } => None,
    }
}

fn operation_items(operation: &Operation) -> usize {
    let shown = operation.shown().map_or(0, |(_, view)| view.elements.len() + view.register.len());
    2 + shown + operation.observed().map_or(0, <[_]>::len)
}

/// Whether it is the kind of answer that the action has; what was not asked for must be empty.
fn answers(action: &Action, answer: &Answer) -> bool {
    match (action, answer) {
        (Action::Read(part), Answer::Shown(view)) => {
            let asked = |which: Part| *part == which || *part == Part::Whole;
            (asked(Part::Set) || view.elements.is_empty())
                && (asked(Part::Counter) || view.counter == 0)
                && (asked(Part::Register) || view.register.is_empty())
                && (asked(Part::Flag) || !view.flag)
        }
        (Action::Strong(Strong::Get | Strong::GetDelete), Answer::Held(_))
        | (Action::Strong(Strong::Set { .. }), Answer::Set { .. })
        | (Action::Strong(Strong::Increment { .. }), Answer::Number(_) | Answer::NotANumber)
        | (Action::Strong(Strong::Delete), Answer::Deleted(_)) => true,
        (Action::Read(_) | Action::Strong(_), _) => false,
        (_, answer) => *answer == Answer::Stored,
    }
}
