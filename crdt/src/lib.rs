//! Values that merge: what a key of Coterie holds, how replicas of it join, and what operations on it
//! answer and change.
//!
//! Everything is a join. A key's state is a point in a join-semilattice ([`State`]); an operation
//! evaluates to a reply and a [`Delta`]; a replica takes a delta in by [`join_delta`], some of another
//! replica's cells by [`join_partial`], all of them in chunks by a [`Transfer`], and nothing in any other way. This crate does no IO, asks no
//! clock and draws no randomness: rows come in through [`Cells`] and go out as [`Changes`], time and
//! randomness come in through [`Mint`].
#![warn(clippy::wildcard_enum_match_arm)]

pub mod address;
mod cell;
mod cells;
mod context;
pub mod decimal;
mod delta;
pub mod digest;
mod dot;
pub mod encoding;
mod footprint;
mod join;
mod kind;
mod mint;
pub mod mutants;
pub mod operation;
mod partial;
mod payload;
pub mod position;
mod recount;
mod root;
pub mod sketch;
mod stamp;
mod state;
pub mod tally;
mod token;
mod transfer;

pub use address::{Address, AddressRange};
pub use cell::Cell;
pub use cells::{Cells, Direction};
pub use context::Context;
pub use delta::Delta;
pub use dot::{Actor, Dot};
pub use footprint::{Footprint, Need};
pub use join::{Changes, Derived, adopt_context, join_delta, join_partial, sweep};
pub use kind::{COUNTED_KINDS, Kind, Shown};
pub use mint::{Actors, Mint};
pub use partial::{FootprintMismatch, Partial};
pub use payload::{Payload, Score};
pub use recount::{Recount, recount};
pub use root::{Counts, PendingDelete, Root};
pub use stamp::{Clock, DRIFT_MILLIS_MAX, HybridTime, Stamp};
pub use state::State;
pub use token::{ContextToken, TokenError};
pub use transfer::{
    Transfer, TransferError, abandon_transfer, begin_transfer, complete_transfer, join_transferred,
};
