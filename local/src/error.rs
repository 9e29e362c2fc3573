//! What can go wrong with a local cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a local cluster did not do what it was told.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The daemon's program is nowhere.
    #[error(
        "there is no coterie-node in {looked}: build it (cargo build --release -p coterie-node), or name it in COTERIE_NODE_PROGRAM"
    )]
    NoProgram {
        /// Where it was looked for.
        looked: String,
    },
    /// A file, socket or process failed.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        source: io::Error,
    },
    /// `coterie-node cert` failed.
    #[error("certificates cannot be made: {said}")]
    Certificates {
        /// What it said.
        said: String,
    },
    /// A shape that cannot be.
    #[error("{what}")]
    Shape {
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The directory's file of the cluster says nothing that can be read.
    #[error("{path} is not the file of a local cluster: {problem}; use another directory, or remove this one", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The cluster is up already.
    #[error("the cluster in {directory} is up already: `coterie cluster down --dir {directory}` stops it", directory = directory.display())]
    Up {
        /// Where.
        directory: PathBuf,
    },
    /// No cluster is up there.
    #[error("no cluster is up in {directory}: `coterie cluster up --dir {directory}` starts one", directory = directory.display())]
    NotUp {
        /// Where.
        directory: PathBuf,
    },
    /// There is no such node.
    #[error("there is no node {number}: this cluster has nodes 0 to {last}")]
    NoSuchNode {
        /// Which was asked for.
        number: usize,
        /// The last that there is.
        last: usize,
    },
    /// A node is in another state than what was asked needs.
    #[error("node {number} {is}")]
    WrongState {
        /// Which node.
        number: usize,
        /// How it is, and what to do.
        is: &'static str,
    },
    /// A node has ended by itself.
    #[error("node {number} has ended by itself ({log} says more):\n{tail}", log = log.display())]
    Ended {
        /// Which node.
        number: usize,
        /// Where its log is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// Something did not come about in time.
    #[error("{} s have passed, waiting: {waiting}", within.as_secs())]
    Late {
        /// How long was waited.
        within: Duration,
        /// What was missing at the end.
        waiting: String,
    },
    /// The supervisor did not do what it was asked.
    #[error("{said}")]
    Refused {
        /// What it said.
        said: String,
    },
}

impl LocalError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> LocalError {
        let what = what.into();
        move |source| LocalError::Io { what, source }
    }
}
