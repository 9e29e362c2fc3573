//! A node's data directory: whose it is, and that only one process uses it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coterie_ring::NodeId;

use super::error::StorageError;

/// Whose a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: u128,
    /// The node's.
    pub node: NodeId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of cluster {:032x}", self.node, self.cluster)
    }
}

/// Whose a data directory is, without opening it; `None` where it is nobody's yet.
///
/// # Errors
/// If that cannot be read.
pub fn identity(directory: &Path) -> Result<Option<Identity>, StorageError> {
    let path = directory.join(MARKER);
    let Some(text) = read_marker(&path)? else { return Ok(None) };
    parse(&text).map(Some).map_err(|reason| StorageError::Marker { path, reason })
}

/// The file that says whose the directory is (docs/formats.md, "node: data directory").
const MARKER: &str = "node";

/// The file that is locked while a process uses the directory.
const LOCK: &str = "lock";

/// Where the database lies.
const STORE: &str = "store";

/// The file that keeps room for opening the store again.
const RESERVE: &str = "reserve";

/// The first line of the marker.
const VERSION: &str = "coterie data directory, version 2";
/// In that one the leaves of digest trees were elsewhere; no release wrote it.
const VERSION_1: &str = "coterie data directory, version 1";

/// A data directory that this process, and no other, uses until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    identity: Identity,
    /// Locked.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and takes it for this process.
    pub(super) fn open(path: &Path, expected: Identity) -> Result<Self, StorageError> {
        make(path)?;
        let lock = lock(path)?;
        match identity(path)? {
            Some(found) if found != expected => {
                let directory = path.to_owned();
                return Err(StorageError::Other { directory, found, expected });
            }
            Some(_) => {}
            // Without its marker a store may be anybody's.
            None if path.join(STORE).exists() => {
                let path = path.join(MARKER);
                return Err(StorageError::Marker { path, reason: "it is missing" });
            }
            None => mark(path, expected)?,
        }
        Ok(Directory { path: path.to_owned(), identity: expected, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn store(&self) -> PathBuf {
        store(&self.path)
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.path.join(RESERVE)
    }
}

/// Makes a data directory, if it is not there.
pub(super) fn make(path: &Path) -> Result<(), StorageError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|source| failed("make the data directory", path, source))
}

/// Where the database of a data directory lies.
pub(super) fn store(directory: &Path) -> PathBuf {
    directory.join(STORE)
}

/// Writes into a directory whose it is.
pub(super) fn mark(directory: &Path, identity: Identity) -> Result<(), StorageError> {
    let text = format!("{VERSION}\ncluster {:032x}\nnode {}\n", identity.cluster, identity.node);
    write(directory, MARKER, &text)
}

/// What a marker of a directory says; `None` where there is none. One that is no text says nothing, which no version
/// writes.
pub(super) fn read_marker(path: &Path) -> Result<Option<String>, StorageError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|source| failed("open", path, source))?,
    };
    let mut text = String::new();
    // Longer than any version writes is damaged.
    match file.take(4_096).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(String::new())),
        read => read.map(|_| Some(text)).map_err(|source| failed("read", path, source)),
    }
}

/// Writes a file of a directory, whole or not at all.
pub(super) fn write(directory: &Path, name: &str, text: &str) -> Result<(), StorageError> {
    let path = directory.join(name);
    let unfinished = directory.join(format!("{name}.unfinished"));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|source| failed("write", &path, source))
}

fn parse(text: &str) -> Result<Identity, &'static str> {
    let mut lines = text.lines();
    match lines.next() {
        Some(VERSION) => {}
        Some(VERSION_1) => {
            return Err(
                "it was written by a development version of coterie, before the first release",
            );
        }
        Some(line) if line.starts_with("coterie data directory, version ") => {
            return Err("it was written by a later version of coterie");
        }
        Some(_) | None => return Err("it is damaged"),
    }
    let mut field = |name: &str| {
        let digits = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
        let is_id = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_id.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
    };
    let (cluster, node) = (field("cluster"), field("node"));
    match (cluster, node, lines.next()) {
        (Some(cluster), Some(node), None) => Ok(Identity { cluster, node: NodeId(node) }),
        _ => Err("it is damaged"),
    }
}

/// Takes a directory for this process, as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, StorageError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| failed("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.take(32).read_to_string(&mut holder);
            let holder = match (read, holder.trim().parse::<u32>()) {
                (Ok(_), Ok(id)) if id == std::process::id() => "this process".to_owned(),
                (Ok(_), Ok(id)) => format!("process {id}"),
                _ => "another process".to_owned(),
            };
            return Err(StorageError::InUse { directory: directory.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
    }
    // Who holds it is for the message above only.
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    match note(&mut file) {
        // On a full disk it is not known.
        Ok(()) | Err(_) => Ok(file),
    }
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError::Directory { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Identity = Identity { cluster: 7, node: NodeId(9) };
    const OTHER: Identity = Identity { cluster: 8, node: NodeId(9) };

    #[test]
    fn a_directory_of_another_node_is_refused_and_whose_it_is_said() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(identity(directory.path()).unwrap(), None);
        drop(Directory::open(directory.path(), ONE).unwrap());
        assert_eq!(identity(directory.path()).unwrap(), Some(ONE));
        let refused = Directory::open(directory.path(), OTHER).unwrap_err().to_string();
        assert!(refused.contains(&ONE.to_string()), "{refused}");
        assert!(refused.contains(&OTHER.to_string()), "{refused}");
        drop(Directory::open(directory.path(), ONE).unwrap());
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let used = Directory::open(directory.path(), ONE).unwrap();
        let refused = Directory::open(directory.path(), ONE).unwrap_err();
        assert!(matches!(&refused, StorageError::InUse { holder, .. } if holder == "this process"));
        drop(used);
        drop(Directory::open(directory.path(), ONE).unwrap());
    }

    #[test]
    fn a_damaged_or_missing_marker_is_never_taken_for_a_new_directory() {
        let directory = tempfile::tempdir().unwrap();
        drop(Directory::open(directory.path(), ONE).unwrap());
        let marker = directory.path().join(MARKER);
        let text = std::fs::read(&marker).unwrap();
        for length in 0..text.len() - 1 {
            std::fs::write(&marker, &text[..length]).unwrap();
            let refused = Directory::open(directory.path(), ONE).unwrap_err();
            assert!(matches!(refused, StorageError::Marker { .. }), "{length} bytes: {refused}");
        }
        std::fs::create_dir(directory.path().join(STORE)).unwrap();
        std::fs::remove_file(&marker).unwrap();
        let refused = Directory::open(directory.path(), ONE).unwrap_err();
        assert!(matches!(refused, StorageError::Marker { .. }), "{refused}");
    }
}
