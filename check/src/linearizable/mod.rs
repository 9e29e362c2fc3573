//! Linearizability: some order of the operations, in which each takes effect between its invocation and
//! its return, explains every answer.
//!
//! # What is checked
//! Of keys in strong buckets, all operations against a compare-and-set register. Of other
//! keys, the operations at level `linearizable` against the sequential specification of adds, single-cell removes, flags, register assignment, increments and reads. Writes of unknown
//! outcome, and those at other levels, take effect at any time after their invocation or never; reads
//! at other levels are left out, and so are keys without linearizable operations.
//!
//! # Cost
//! Keys to which elements are only added, each by one operation, are judged in O(n log n +
//! elements shown). Others are searched, in exponential time at the worst, within a budget.
//!
//! # What it does not see
//! Order between keys. A delete of a whole mergeable key makes the key undecided: it is not one cell,
//! and nobody is promised when it takes effect. Strong registers need no unique values.

mod chain;
mod mergeable;
mod search;
mod shrink;
mod strong;

use crate::{
    Action, BucketKind, Fault, Judged, KeyHistory, Level, Nanos, Operation, Undecided, Verdict,
    Violation,
};
use search::{Found, search};

/// How much a search may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// States visited, each of a few hundred bytes at most where 1,600 operations have 64 elements;
    /// past that a key is undecided. Shrinking a violation may visit as many again.
    pub states_max: u64,
}

impl Default for Budget {
    /// A million states: some seconds, and some hundred megabytes.
    fn default() -> Self {
        Budget { states_max: 1_000_000 }
    }
}

/// Judges a key.
///
/// Undecided where the budget ends or the specification does.
#[must_use]
pub fn check(key: &KeyHistory, budget: Budget) -> Verdict {
    if key.bucket.kind == BucketKind::Strong {
        let calls = key.operations.iter().enumerate();
        let calls = calls.filter_map(|(at, operation)| strong::call(at, operation)).collect();
        return searched(key, &strong::Register, calls, budget);
    }
    let linearizable = |o: &Operation| o.level == Level::Linearizable && o.is_done();
    if !key.operations.iter().any(linearizable) {
        return Verdict::Kept(Judged::default());
    }
    let delete = |o: &&Operation| o.is_possible() && matches!(o.action, Action::Delete);
    if let Some(delete) = key.operations.iter().find(delete) {
        return Verdict::Undecided(Undecided::NotSpecified(Box::new(delete.clone())));
    }
    if let Some(history) = chain::GrowOnly::of(key) {
        return history.check(key);
    }
    let (specification, calls) = mergeable::of(key);
    searched(key, &specification, calls, budget)
}

/// What operations do, one after the other.
trait Specification {
    /// What the object holds.
    type State: Clone + PartialEq;
    /// An action with its answer.
    type Call: Clone;

    fn initial(&self) -> Self::State;

    /// Every state in which the object may be when the calls begin, as far as the calls can tell; empty
    /// if those are too many. For calls whose beginning is cut off.
    fn starts(&self, calls: &[Timed<Self::Call>]) -> Vec<Self::State>;

    /// The state after the call, or none if it answers otherwise in this state.
    fn step(&self, state: &Self::State, call: &Self::Call) -> Option<Self::State>;

    /// Whether a call with this answer leaves every state as it is.
    fn is_read(&self, call: &Self::Call) -> bool;

    /// The call without its answer, if it can change anything; for calls whose end is cut off.
    fn unanswered(&self, call: &Self::Call) -> Option<Self::Call>;

    /// How many parts the object has that could be left out without the others noticing.
    fn parts(&self) -> usize;

    /// The call without the parts for which `left_out` holds; none if nothing remains.
    fn project(&self, call: &Self::Call, left_out: &dyn Fn(usize) -> bool) -> Option<Self::Call>;

    /// The state as words, different for different states.
    fn encode(&self, state: &Self::State, words: &mut Vec<u64>);
}

/// A call in time.
#[derive(Clone)]
struct Timed<C> {
    /// The operation's index in [`KeyHistory::operations`].
    at: usize,
    invoked: Nanos,
    /// `None` for what may take effect at any later time or never.
    returned: Option<Nanos>,
    call: C,
}

fn searched<S: Specification>(
    key: &KeyHistory,
    specification: &S,
    calls: Vec<Timed<S::Call>>,
    budget: Budget,
) -> Verdict {
    let operations = calls.iter().filter(|call| call.returned.is_some()).count() as u64;
    match search(specification, &calls, specification.initial(), budget.states_max) {
        Found::Order { states } => {
            Verdict::Kept(Judged { operations, claims: operations, excused: 0, states })
        }
        Found::GaveUp { states } => Verdict::Undecided(Undecided::Budget { states }),
        Found::NoOrder { .. } => {
            let least = shrink::shrink(specification, calls, budget.states_max);
            let evidence = least.iter().map(|call| call.at);
            Verdict::Broken(Violation::new(key, Fault::NotLinearizable, evidence, []))
        }
    }
}
