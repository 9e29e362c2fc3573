//! Why a backup was not made, checked or restored, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::damage::Damage;
use crate::storage::StorageError;

/// Why something asked of backups was not done.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The name is none.
    #[error(
        "{given:?} is no name for a backup: give at most 64 letters, digits, hyphens, underscores and dots, the first a \
         letter or digit"
    )]
    Name {
        /// What was given.
        given: String,
    },
    /// A backup has the name already.
    #[error("there is a backup {name} already: give another name, or delete that one first")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none.
    #[error("there is no backup in {path}: `backup list` shows what there is")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// One at a time.
    #[error("another backup is being made: wait until it is done")]
    Busy,
    /// The disk is nearly full: a backup keeps files that would be deleted else.
    #[error("less than a tenth of the disk is free: delete old backups, or make room")]
    DiskFull,
    /// The node stops, or opens its store anew.
    #[error("the store is closed now: try again in a moment")]
    Closed,
    /// The backup is of a later version.
    #[error(
        "{path} was made by a later version of coterie (format {format}): restore it with that version"
    )]
    Later {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The backup is not what it was when it was made.
    #[error("the backup in {path} is damaged and was not restored: {}", list(.damages))]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        damages: Vec<Damage>,
    },
    /// The operating system refuses something.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A fresh copy does not read back.
    #[error("the copy of the store in {path} cannot be read: {detail}")]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// The store, or a data directory, refuses.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// At most this many findings are listed in one line.
const LISTED_MAX: usize = 8;

fn list(damages: &[Damage]) -> String {
    let mut listed: Vec<String> =
        damages.iter().take(LISTED_MAX).map(ToString::to_string).collect();
    if damages.len() > LISTED_MAX {
        listed.push(format!("and {} more", damages.len() - LISTED_MAX));
    }
    listed.join("; ")
}

/// An error of the operating system.
pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> BackupError {
    BackupError::File { action, path: path.to_owned(), source }
}
