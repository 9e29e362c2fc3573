//! What is in files, read again once they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// What tells one content of a file from the next without reading it: its inode, its length, and when it was changed. Nothing where
/// there is no file.
type Stamp = Option<(u64, u64, i64, i64)>;

/// What was read of files last, and how they were then.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    paths: Vec<PathBuf>,
    seen: Mutex<Vec<Stamp>>,
    current: ArcSwap<T>,
}

impl<T> Watched<T> {
    /// Files that `read` reads.
    ///
    /// # Errors
    /// What `read` gives.
    pub(crate) fn new<E>(
        paths: Vec<PathBuf>,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Result<Self, E> {
        let seen = Mutex::new(stamps(&paths));
        let current = ArcSwap::from_pointee(read()?);
        Ok(Watched { paths, seen, current })
    }

    /// What is in use.
    pub(crate) fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// What `read` gives: what was in use before is used further.
    pub(crate) fn reload<E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<(), E> {
        self.look();
        self.current.store(Arc::new(read()?));
        Ok(())
    }

    /// As [`Watched::reload`], if any of the files is another one than at the last look; `None` if none is. Files that cannot be used are
    /// told of once, until they change again.
    pub(crate) fn reload_if_changed<E>(
        &self,
        read: impl FnOnce() -> Result<T, E>,
    ) -> Option<Result<(), E>> {
        self.look().then(|| self.reload(read))
    }

    /// Whether any of the files has changed since the last look. Before they are read: what changes while they are is noticed at the
    /// next.
    fn look(&self) -> bool {
        let now = stamps(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    paths.iter().map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_once_whichever_file_has_it_and_what_does_not_work_is_told_of_once() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().join("one"), directory.path().join("other")];
        let read = || {
            let text = |path: &PathBuf| fs::read_to_string(path).map_err(|error| error.kind());
            Ok::<_, std::io::ErrorKind>(text(&paths[0])? + &text(&paths[1])?)
        };
        let change = |path: usize, text: &str| fs::write(&paths[path], text).unwrap();
        assert!(Watched::new(paths.to_vec(), read).is_err());
        change(0, "a");
        change(1, "b");
        let watched = Watched::new(paths.to_vec(), read).unwrap();
        assert_eq!(watched.reload_if_changed(read), None);
        for (path, text, all) in [(0, "new ", "new b"), (1, "too", "new too")] {
            change(path, text);
            assert_eq!(watched.reload_if_changed(read), Some(Ok(())));
            assert_eq!(*watched.current(), all);
            assert_eq!(watched.reload_if_changed(read), None);
        }
        fs::remove_file(&paths[0]).unwrap();
        assert_eq!(watched.reload_if_changed(read), Some(Err(std::io::ErrorKind::NotFound)));
        assert_eq!(watched.reload_if_changed(read), None);
        assert_eq!(*watched.current(), "new too");
        change(0, "a");
        assert_eq!(watched.reload(read), Ok(()));
        assert_eq!((&**watched.current(), watched.reload_if_changed(read)), ("atoo", None));
    }
}
