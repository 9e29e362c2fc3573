//! The chain of decided layouts: each chosen by voters that the one before names, with no leader.
//!
//! [`Decision`] k + 1 is a layout whose parent is layout k, with what is still moving. It is chosen by
//! one [register](crate::register) among the voters of layout k; any member may propose. On a split at
//! most one side has a majority of them, so at most one side changes who owns what. Who hears of a later
//! decision fetches those it lacks.
//!
//! Voters check a proposal before they vote: they run the planner again. Once decided, a decision is
//! followed by all, and only its place in the chain is checked.

mod agreement;
mod chain;
mod message;
mod moving;
mod proposal;
mod wire;

pub use agreement::{Agreement, Effect, Event, Settings, TakeIn};
pub use chain::{Chain, ChainError, DECISIONS_KEPT, Learned, LostSet};
pub use message::{DECISIONS_PER_MESSAGE_MAX, Message, Tip};
pub use moving::{Decision, DecisionError};
pub use proposal::{PLANNER, ProposalError, bootstrap, successor, verify};
