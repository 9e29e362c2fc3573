//! Key to owners, and how ownership moves.
//!
//! A key hashes to a [`Partition`]; a [`Layout`] lists each partition's owners. Operators and nodes
//! say what they want in an [`Intent`]; the planner turns the intent and the layout in force into
//! the next layout, agreement chooses one layout per version, and moves hand data over.

#![warn(clippy::wildcard_enum_match_arm)]

mod encoding;
mod intent;
mod layout;
mod node;
mod partition;
mod planner;

pub mod decision;
#[cfg(feature = "serde")]
mod message;
pub mod moves;
pub mod register;
mod rules;

pub use encoding::Malformed;
pub use intent::{
    BUCKETS_MAX, BucketKind, BucketName, BucketPolicy, EditError, Intent, IntentError, Level,
    NODES_MAX, NameError, NodeIntent, NodeState, PlacementPolicy, REPLICAS_MAX, Spread,
};
pub use layout::{
    Layout, LayoutError, LayoutHash, LayoutParts, Member, VOTERS_MAX, fallbacks::Fallbacks,
};
pub use node::{NodeId, Place, PlaceError};
pub use partition::{KeyHash, Partition, Partitioner, PartitionerError};
pub use planner::{
    Explanation, Move, NodePlan, Plan, PlanError, Transfer, VerifyError, Warning, bootstrap,
    moves as moves_between, plan, verify,
};
