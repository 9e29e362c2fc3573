//! The backups of a running node: made while it goes on, listed, checked, deleted.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::SystemTime;

use super::damage::Damage;
use super::error::{BackupError, failed};
use super::files;
use super::manifest::{LayoutOf, Manifest};
use super::name::{BackupName, UNFINISHED};
use super::verify::{Verified, verify};
use crate::storage::{Identity, Storage, WeakStorage, survey};

/// With less of the disk free, in parts of 1,000, no backup is made: client writes are refused then, too.
const FREE_PERMILLE_MIN: u16 = 100;

/// A node's backups. Clones are the same. All it does waits for the disk: never on a thread that others wait for.
#[derive(Clone, Debug)]
pub struct Backups(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    identity: Identity,
    storage: WeakStorage,
    /// Held while one is made or deleted.
    at_work: Mutex<()>,
}

/// A backup in a list: its name, and its manifest or why it has none.
pub type Listed = (String, Result<Manifest, String>);

/// In what circumstances a backup is made.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The layout in force here.
    pub layout: Option<LayoutOf>,
    /// The time.
    pub time: SystemTime,
}

impl Backups {
    /// The backups in a directory, which is made with the first.
    #[must_use]
    pub fn new(directory: PathBuf, identity: Identity, storage: &Storage) -> Self {
        let storage = storage.downgrade();
        Backups(Arc::new(Shared { directory, identity, storage, at_work: Mutex::new(()) }))
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    fn path(&self, name: &BackupName) -> PathBuf {
        self.0.directory.join(name.as_str())
    }

    /// Makes a backup: all that was committed when this was called is in it, and it is durable once this returns.
    ///
    /// # Errors
    /// [`BackupError`]; nothing bears the name then.
    pub fn make(&self, name: &BackupName, now: Circumstances) -> Result<Manifest, BackupError> {
        let _turn = match self.0.at_work.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let directory = &self.0.directory;
        let path = self.path(name);
        if path.exists() {
            return Err(BackupError::Exists { name: name.to_string() });
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let made = builder.create(directory);
        made.map_err(|source| failed("make the directory", directory, source))?;
        // What another process left behind when it ended.
        for left in files::names(directory)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
            remove(&directory.join(left))?;
        }
        let unfinished = directory.join(format!("{name}{UNFINISHED}"));
        let made = builder.create(&unfinished);
        made.map_err(|source| failed("make the directory", &unfinished, source))?;
        let made = self.fill(&unfinished, name, now).and_then(|manifest| {
            fs::rename(&unfinished, &path).map_err(|source| failed("rename to", &path, source))?;
            files::sync_directory(directory)?;
            Ok(manifest)
        });
        if made.is_err()
            && let Err(error) = remove(&unfinished)
        {
            tracing::warn!(%error, "what is left of a backup that failed is not removed");
        }
        made
    }

    /// Puts everything into a directory, durably.
    fn fill(
        &self,
        unfinished: &Path,
        name: &BackupName,
        now: Circumstances,
    ) -> Result<Manifest, BackupError> {
        let (identity, store) = (self.0.identity, unfinished.join(files::STORE));
        let storage = self.0.storage.upgrade().ok_or(BackupError::Closed)?;
        if storage.free_permille() < FREE_PERMILLE_MIN {
            return Err(BackupError::DiskFull);
        }
        storage.copy_store(&store)?;
        // From here on the copy alone is read: the node may close its store meanwhile.
        drop(storage);
        let listed = files::describe(&store)?;
        let partitions = now.layout.as_ref().map_or(0, |layout| layout.partitions);
        let unreadable = |detail| BackupError::Copy { path: store.clone(), detail };
        let found = survey(&store, identity, partitions).map_err(unreadable)?;
        if let Some(partition) = found.unreadable.first() {
            // It would be restored as a node that lacks what the others might have.
            return Err(unreadable(Damage::Unreadable(*partition).to_string()));
        }
        let since = now.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (layout, seconds) = (now.layout, since.as_secs());
        let manifest = Manifest::new(name.as_str(), identity, seconds, layout, listed, &found);
        manifest.write(unfinished)?;
        files::sync_directory(unfinished)?;
        Ok(manifest)
    }

    /// What there is, in the order of names: the manifest of each, or why it has none.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, BackupError> {
        list(&self.0.directory)
    }

    /// The manifest of one.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn manifest(&self, name: &BackupName) -> Result<Manifest, BackupError> {
        let path = self.path(name);
        let read = Manifest::read(&path)?;
        read.map_err(|damage| BackupError::Damaged { path, damages: vec![damage] })
    }

    /// Checks one.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn verify(&self, name: &BackupName) -> Result<Verified, BackupError> {
        verify(&self.path(name))
    }

    /// Deletes one.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn delete(&self, name: &BackupName) -> Result<(), BackupError> {
        let _turn = match self.0.at_work.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let (path, directory) = (self.path(name), &self.0.directory);
        if !path.exists() {
            return Err(BackupError::Missing { path });
        }
        // A half deleted one is never taken for one.
        let unfinished = directory.join(format!("{name}{UNFINISHED}"));
        remove(&unfinished)?;
        fs::rename(&path, &unfinished).map_err(|source| failed("rename", &path, source))?;
        remove(&unfinished)?;
        files::sync_directory(directory)
    }
}

/// The backups in a directory, in the order of names.
///
/// # Errors
/// If the directory cannot be read.
pub(super) fn list(directory: &Path) -> Result<Vec<Listed>, BackupError> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let names = files::names(directory)?.into_iter();
    let names = names.filter(|name| name.parse::<BackupName>().is_ok());
    let read = |name: String| {
        let manifest = match Manifest::read(&directory.join(&name)) {
            Ok(read) => read.map_err(|damage| damage.to_string()),
            Err(error) => Err(error.to_string()),
        };
        (name, manifest)
    };
    Ok(names.map(read).collect())
}

fn remove(directory: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| failed("remove", directory, source)),
    }
}
