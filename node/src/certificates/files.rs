//! Files of certificates and keys: read with care, written for their owner only and as a whole.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::CertificatesError;

/// The certificate of the cluster's authority; several while it is changed for another.
pub(super) const CA: &str = "ca.pem";
/// The authority's key. Nodes do not have it.
pub(super) const CA_KEY: &str = "ca.key";
/// A node's certificate.
pub(super) const NODE: &str = "node.pem";
/// Its key.
pub(super) const NODE_KEY: &str = "node.key";
/// The keys of gossip.
pub(super) const GOSSIP_KEY: &str = "gossip.key";

/// What a node reads.
const OF_A_NODE: [&str; 4] = [CA, NODE, NODE_KEY, GOSSIP_KEY];

/// More than any of these files has.
const BYTES_MAX: u64 = 1 << 20;

/// A node's files.
pub(super) fn of_a_node(directory: &Path) -> Vec<PathBuf> {
    OF_A_NODE.iter().map(|name| directory.join(name)).collect()
}

fn failed(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> CertificatesError {
    let path = path.to_owned();
    move |source| CertificatesError::File { path, done, source }
}

/// Reads a file that everybody may read.
pub(super) fn read(directory: &Path, name: &str) -> Result<Vec<u8>, CertificatesError> {
    let path = directory.join(name);
    let metadata = fs::metadata(&path).map_err(failed(&path, "read"))?;
    if metadata.len() > BYTES_MAX {
        return Err(CertificatesError::Content { path, wanted: "certificate or key" });
    }
    fs::read(&path).map_err(failed(&path, "read"))
}

/// Reads a secret, which must be one: of its owner, and at most of a group.
pub(super) fn read_secret(directory: &Path, name: &str) -> Result<Vec<u8>, CertificatesError> {
    let path = directory.join(name);
    let mode = fs::metadata(&path).map_err(failed(&path, "read"))?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(CertificatesError::Exposed { path, mode });
    }
    read(directory, name)
}

/// What is to become of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Refuse,
    Replace,
}

/// Writes files with mode 0600: none if one is there that must not be, each as a whole.
pub(super) fn write(
    directory: &Path,
    files: &[(&str, &[u8])],
    existing: Existing,
) -> Result<(), CertificatesError> {
    fs::create_dir_all(directory).map_err(failed(directory, "made"))?;
    if existing == Existing::Refuse {
        let there = files.iter().map(|(name, _)| directory.join(name)).find(|path| path.exists());
        if let Some(path) = there {
            return Err(CertificatesError::Exists { path });
        }
    }
    for (name, bytes) in files {
        let path = directory.join(name);
        replace(directory, &path, bytes).map_err(failed(&path, "written"))?;
    }
    Ok(())
}

fn replace(directory: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = PathBuf::from(path).into_os_string();
    new.push(".new");
    // Left by one that was interrupted, perhaps with another mode.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(directory)?.sync_all()
}
