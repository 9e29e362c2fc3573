//! What a node decides: with a request, with a peer, with a fault.
//!
//! A node is one control and some [`Lane`]s. Both are state machines without IO: events and rows in,
//! [`Effects`] out. The daemon runs them on threads, sockets and disks; the simulator runs whole clusters of
//! them in one thread.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod control;
pub mod coordinator;
pub mod digests;
pub mod disk;
pub mod driver;
mod effects;
mod event;
pub mod gather;
pub mod jobs;
mod lane;
pub mod linearizable;
pub mod listing;
pub mod moving;
pub mod mutants;
pub mod origin;
pub mod repair;
pub mod replica;
pub mod rows;
pub mod session;
mod slice;
pub mod strong;
mod view;

pub use effects::{Action, After, Class, ClientId, Effects};
pub use event::{ControlEvent, Event};
pub use lane::{Counters, Found, Lane, OpenError, Settings, Shared, Start};
pub use slice::{KnownEpoch, Reception, SliceState, Votes};
pub use view::{Liveness, View};
