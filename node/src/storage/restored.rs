//! Data directories that are made of a backup, and what a node has to know of that when it starts in one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::directory::{self, Identity, failed};
use super::error::StorageError;

/// The file that says that the store is of a backup, until the node has taken note of it (docs/formats.md, "node: data
/// directory").
const MARKER: &str = "restored";

/// Its first line.
const VERSION: &str = "coterie restored data directory, version 1";

/// Who went back to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All nodes of the cluster, each to its own of the same name: nobody has gone on.
    Cluster,
    /// This node alone, while the others went on.
    Node,
}

impl Scope {
    fn line(self) -> &'static str {
        match self {
            Scope::Cluster => "cluster",
            Scope::Node => "node",
        }
    }
}

/// Whether the store in a data directory is of a backup that no node has started from yet.
///
/// # Errors
/// If that cannot be read, or is damaged: a node that does not know would mint dots anew that it has minted before.
pub fn restored(directory: &Path) -> Result<Option<Scope>, StorageError> {
    let path = directory.join(MARKER);
    let Some(text) = directory::read_marker(&path)? else { return Ok(None) };
    let mut lines = text.lines();
    match (lines.next(), lines.next(), lines.next()) {
        (Some(VERSION), Some("cluster"), None) => Ok(Some(Scope::Cluster)),
        (Some(VERSION), Some("node"), None) => Ok(Some(Scope::Node)),
        _ => Err(StorageError::Marker { path, reason: "what it says of a restore is damaged" }),
    }
}

/// The node has taken note, on disk.
///
/// # Errors
/// If the file cannot be removed.
pub fn forget_restored(directory: &Path) -> Result<(), StorageError> {
    let path = directory.join(MARKER);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("remove", &path, source)),
    }
    sync(directory)
}

/// Makes a data directory of a store that `fill` copies into the directory it is given. Until all is there and on disk
/// no node starts from it; a restore that was cut off may be begun again.
///
/// # Errors
/// [`StorageError::Occupied`] where there is a store already; what `fill` says; what the disk says.
pub fn install<E: From<StorageError>>(
    data_dir: &Path,
    identity: Identity,
    scope: Scope,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    directory::make(data_dir)?;
    let _lock = directory::lock(data_dir)?;
    let store = directory::store(data_dir);
    let unfinished = data_dir.join("store.unfinished");
    let is_begun = directory::identity(data_dir)?.is_none() && restored(data_dir)?.is_some();
    if is_begun {
        remove(&store)?;
    } else if directory::identity(data_dir)?.is_some() || store.exists() {
        return Err(StorageError::Occupied { directory: data_dir.to_owned() }.into());
    }
    remove(&unfinished)?;
    fs::create_dir(&unfinished)
        .map_err(|source| failed("make the directory", &unfinished, source))?;
    fill(&unfinished)?;
    sync(&unfinished)?;
    directory::write(data_dir, MARKER, &format!("{VERSION}\n{}\n", scope.line()))?;
    fs::rename(&unfinished, &store).map_err(|source| failed("rename to", &store, source))?;
    sync(data_dir)?;
    // From here on it is a node's.
    Ok(directory::mark(data_dir, identity)?)
}

fn remove(directory: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| failed("remove", directory, source)),
    }
}

fn sync(directory: &Path) -> Result<(), StorageError> {
    let synced = File::open(directory).and_then(|file| file.sync_all());
    synced.map_err(|source| failed("sync", directory, source))
}

#[cfg(test)]
mod tests {
    use coterie_ring::NodeId;

    use super::*;

    const ONE: Identity = Identity { cluster: 7, node: NodeId(9) };

    fn filled(store: &Path) -> Result<(), StorageError> {
        fs::write(store.join("CURRENT"), "x").map_err(|source| failed("write", store, source))
    }

    #[test]
    fn a_restored_directory_says_so_until_that_is_noted() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        assert_eq!(restored(&data).unwrap(), None);
        install(&data, ONE, Scope::Cluster, filled).unwrap();
        assert_eq!(directory::identity(&data).unwrap(), Some(ONE));
        assert_eq!(restored(&data).unwrap(), Some(Scope::Cluster));
        assert!(directory::store(&data).join("CURRENT").exists());
        forget_restored(&data).unwrap();
        assert_eq!(restored(&data).unwrap(), None);
        let again = install(&data, ONE, Scope::Node, filled);
        assert!(matches!(again, Err(StorageError::Occupied { .. })), "{again:?}");
    }

    #[test]
    fn a_restore_that_was_cut_off_starts_no_node_and_may_be_begun_again() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        let cut = |store: &Path| {
            filled(store)?;
            Err(StorageError::Occupied { directory: store.to_owned() })
        };
        assert!(install(&data, ONE, Scope::Node, cut).is_err());
        assert_eq!(directory::identity(&data).unwrap(), None);
        // Cut off right before the last step.
        install(&data, ONE, Scope::Node, filled).unwrap();
        fs::remove_file(data.join("node")).unwrap();
        assert!(directory::Directory::open(&data, ONE).is_err());
        install(&data, ONE, Scope::Node, filled).unwrap();
        assert_eq!(restored(&data).unwrap(), Some(Scope::Node));
    }

    #[test]
    fn a_damaged_note_of_a_restore_is_never_taken_for_none() {
        let data = tempfile::tempdir().unwrap();
        for text in ["", "coterie", &format!("{VERSION}\nnobody\n"), &format!("{VERSION}\n")] {
            fs::write(data.path().join(MARKER), text).unwrap();
            assert!(restored(data.path()).is_err(), "{text:?}");
        }
    }
}
