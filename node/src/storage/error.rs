//! Why a store cannot be opened or used, and what to do about it.

use std::io;
use std::path::PathBuf;

use coterie_protocol::rows::StoreError;
use thiserror::Error;

use super::directory::Identity;

/// Why a data directory cannot be opened, or something asked of the whole store was not done.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The operating system refuses something.
    #[error("cannot {action} {path}")]
    Directory {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Two processes would write to one store.
    #[error(
        "the data directory {directory} is in use by {holder}: stop that first, or give this node a \
         directory of its own"
    )]
    InUse {
        /// Which.
        directory: PathBuf,
        /// By whom, as far as is known.
        holder: String,
    },
    /// The directory is another node's.
    #[error(
        "the data directory {directory} belongs to node {found}, but the certificate is that of node \
         {expected}: start with that node's certificate, or with another data directory"
    )]
    Other {
        /// Which.
        directory: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Whose it should be.
        expected: Identity,
    },
    /// Whose directory it is cannot be said.
    #[error(
        "{path} does not say whose data directory this is ({reason}): restore the file from a backup, or \
         move the directory away to start empty"
    )]
    Marker {
        /// The file that should say so.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A backup is restored to where there is something already.
    #[error(
        "the data directory {directory} holds a store already: restore to a directory that is empty, or move \
         this one away first"
    )]
    Occupied {
        /// Which.
        directory: PathBuf,
    },
    /// The store does not open.
    #[error(
        "the store in {directory} is damaged: {detail}. If the disk is sound now and the cluster has other \
         copies, move the directory away and start again: the node receives its share afresh"
    )]
    Damaged {
        /// The data directory.
        directory: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk fails, or is full.
    #[error("the store in {directory} cannot be used: {detail}")]
    Store {
        /// The data directory.
        directory: PathBuf,
        /// How the store takes it.
        #[source]
        source: StoreError,
        /// What the database says.
        detail: String,
    },
}

impl StorageError {
    pub(super) fn of(directory: impl Into<PathBuf>, error: &rocksdb::Error) -> Self {
        let (directory, detail) = (directory.into(), error.to_string());
        match error.kind() {
            rocksdb::ErrorKind::Corruption => StorageError::Damaged { directory, detail },
            _ => StorageError::Store { directory, source: store_error(error), detail },
        }
    }
}

/// How a driver takes an error of the database.
pub(super) fn store_error(error: &rocksdb::Error) -> StoreError {
    // The database hands over the system's words and no number.
    if error.as_ref().contains("No space left on device") || error.as_ref().contains("space limit")
    {
        StoreError::Full
    } else {
        StoreError::Io
    }
}
