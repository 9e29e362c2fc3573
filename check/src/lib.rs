//! Histories of operations, and the checkers that judge them.
//!
//! A history is what clients know: what they asked, when they sent it, when an answer came, and what
//! it said; and, at the end of a run, what each owner holds. [`History`] takes it in record by record
//! ([`lines`] stores it), checks its form, and hands it out by key ([`KeyHistory`]). Each checker
//! states the property that it judges, what that costs, and what it does not see; [`judge`] runs them
//! all. Nothing here knows how a store works, so whoever can write down a history can be judged: the
//! simulator, processes under test, a load generator.
//!
//! Sets are add-wins and flags enable-wins; fields of maps can stand as elements. There are no lists,
//! no scores and no expiry: a key that expires must not be recorded, as its end would look like a
//! loss.

pub mod counters;
mod history;
mod judge;
pub mod linearizable;
pub mod lines;
pub mod lost;
mod name;
mod operation;
pub mod quorums;
mod record;
pub mod sessions;
mod verdict;

mod claims;
mod index;

pub use history::{History, HistoryError, KeyHistory, Limits};
pub use judge::{Check, Judgement, Open, judge};
pub use name::{Name, NameError};
pub use operation::{
    Action, Answer, Before, BucketId, Condition, Level, Operation, OperationId, Outcome, Part,
    SessionId, Strong, View,
};
pub use record::{
    Bucket, BucketKind, Cell, Dot, FinalState, LiveCell, Nanos, Owner, Record, Session,
};
pub use verdict::{Fault, Judged, Undecided, Verdict, Violation};
