//! Why certificates or keys are not used, each with what to do about it.

use std::io;
use std::path::PathBuf;

use coterie_ring::NodeId;
use thiserror::Error;

/// Why certificates or keys are not used.
#[derive(Debug, Error)]
pub enum CertificatesError {
    /// A file cannot be read or written.
    #[error("{}: cannot be {done}; `coterie-node cert node` makes the files of a node", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        done: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file is there that would be overwritten.
    #[error("{}: is there already and is not overwritten; choose another directory", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// Others may read a secret.
    #[error("{}: everybody on this machine may access it (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{}: holds no {wanted}; copy it again, or make it anew with `coterie-node cert`", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A certificate does not say whose it is.
    #[error("{}: the certificate names no node of a cluster; use one made by `coterie-node cert node`", path.display())]
    Unnamed {
        /// Which.
        path: PathBuf,
    },
    /// The certificate is not one that peers would take.
    #[error("{}: peers would refuse this certificate; renew it with `coterie-node cert renew`", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Key and certificate are not made for each other.
    #[error("{}: is not the key of the certificate beside it; copy both from one directory", path.display())]
    KeyMismatch {
        /// The key.
        path: PathBuf,
        /// What was found.
        source: rustls::Error,
    },
    /// New files are another node's: a node keeps its name as long as it lives.
    #[error(
        "the new certificate names node {:032x} of cluster {:032x}, but this is node {:032x} of cluster {:032x}; put its own files there",
        .found.1.0, .found.0, .own.1.0, .own.0
    )]
    OtherNode {
        /// Cluster and node of the files.
        found: (u128, NodeId),
        /// Cluster and node that runs.
        own: (u128, NodeId),
    },
    /// A gossip key cannot be used or dropped.
    #[error("{}: {problem}", path.display())]
    GossipKeys {
        /// The file.
        path: PathBuf,
        /// What stands against it, and what to do.
        problem: &'static str,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made")]
    Made(#[source] rcgen::Error),
    /// The cryptography library refused.
    #[error("the cryptography library refuses")]
    Cryptography(#[source] rustls::Error),
}
