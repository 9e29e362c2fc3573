//! Moving a partition from its old owners to its new ones without a stale read.
//!
//! Moves are per partition and replica count, with no barrier across the cluster. A layout that gives
//! them other owners adds an owner set; for a while several sets are live ([`LiveSets`]).
//!
//! - **Fence.** A replica that knows a set refuses writes tagged with an older one.
//! - **Write.** To all live sets, and W must answer in each. In the newest only a stored write counts; in
//!   an older one a retired or removed owner counts too.
//! - **Push.** Each owner of an older set, once fenced, brings each owner of the newest up to date.
//! - **Read.** From R owners of one live set. An owner answers for a set only while it has not retired
//!   from it, and only once it holds the pushes of R owners of each older set.
//! - **Retire.** When all of the newest set hold the pushes of all older owners, the older sets end.
//!
//! Why it is sound, for every R + W > N: a write acknowledged under an older set was stored before W of
//! its owners fenced, and any R of them that push include one that had it; a write acknowledged under the
//! newest set is on W of it and on W of each older set, or owners there that will never answer again.
//! `tests/moves` runs this code under loss, repetition, reordering, stale coordinators and crashes, and
//! shows for each rule what happens without it.
//!
//! Reliability invariants 17 and 18.

mod linearizable;
mod quorum;
mod reads;
mod replica;
mod rules;
mod sets;
mod wire;
mod writes;

pub use linearizable::{DigestAnswer, LinearizableOutcome};
pub use quorum::Quorum;
pub use reads::{ReadAnswer, ReadOutcome, ReadSet};
pub use replica::{Effect, Event, HOLD, ReadRefusal, Replica, Status, WriteRefusal};
#[cfg(feature = "mutants")]
pub use rules::Rule;
pub use sets::{LIVE_SETS_MAX, LiveSets, OwnerSet, SetVersion, SetsError};
pub use writes::{WriteAnswer, WriteOutcome};
