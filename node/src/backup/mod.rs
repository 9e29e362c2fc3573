//! Backups of a node: made while it runs, checked, and made a data directory of again (docs/decisions/0560-backups.md).
//!
//! A backup of a cluster is one of each of its nodes, under one name. Whatever had been acknowledged before the first was
//! asked for is in them, at as many owners as acknowledged it; what was under way meanwhile may be. They are of
//! different moments, which does not matter: what differs is joined, as ever.

mod command;
mod damage;
mod error;
mod files;
mod make;
mod manifest;
mod name;
mod restore;
mod verify;

pub use command::{BackupCommand, ScopeGiven};
pub(crate) use command::{entry, summary};
pub use damage::Damage;
pub use error::BackupError;
pub use make::{Backups, Circumstances, Listed};
pub use manifest::{FileOf, LayoutOf, Manifest, RowsOf, SliceOf};
pub use name::BackupName;
pub use restore::restore;
pub use verify::{Verified, verify};
