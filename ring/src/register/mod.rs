//! A replicated register with compare-and-set and no leader: CASPaxos as pure state machines.
//!
//! One [`Acceptor`] per register and replica votes; a [`Proposer`] reads the register, changes it, and
//! retries; a [`Learner`] sees from votes alone that something was chosen. The caller moves
//! [`Request`]s and [`Reply`]s, persists acceptors, and says when time passed.
//!
//! Layouts use one register per version with a write-once change ([`ProposeOnce`]); a `strong` key
//! is one register with many changes.
//!
//! Source: Rystsov 2018, "CASPaxos: Replicated State Machines without logs" (arXiv 1802.07000).
//! Deviations: a ballot names the proposer's session, so that a proposer that forgot its rounds cannot
//! reuse one; rounds may only rise by a bounded jump; a change that keeps the value needs no second
//! phase where the promises already show that it is chosen.

mod acceptor;
mod attempt;
mod ballot;
mod change;
mod electorate;
mod learner;
mod message;
mod proposer;
mod rules;
pub(crate) mod wire;

pub use acceptor::{Acceptor, Answer};
pub use ballot::{Ballot, ROUND_JUMP};
pub use change::{Applied, Change, ProposeOnce};
pub use electorate::{Electorate, ElectorateError, SET_MEMBERS_MAX, SETS_MAX};
pub use learner::Learner;
pub use message::{Accepted, Refusal, Reply, Request};
pub use proposer::{Decided, Delay, DelayCause, Effect, Event, NextPrepare, Proposer, Settings};
#[cfg(feature = "mutants")]
pub use rules::Rule;
pub use wire::{VALUE_BYTES_MAX, Wire};
