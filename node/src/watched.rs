//! Files that are read again once they have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What tells one content of a file from the next without reading it: its inode, its length, and when it was changed. Nothing where
/// there is no file.
type Stamp = Option<(u64, u64, i64, i64)>;

/// Files, and how they were when they were looked at last.
#[derive(Debug)]
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    seen: Mutex<Vec<Stamp>>,
}

impl Watched {
    /// Files that are about to be read for the first time.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Watched {
        let seen = Mutex::new(stamps(&paths));
        Watched { paths, seen }
    }

    /// Whether any of them has changed since the last look. To be asked before they are read: what changes while they are is
    /// noticed at the next look. What cannot be used is told of once, until it changes again.
    pub(crate) fn look(&self) -> bool {
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
    fn a_change_is_seen_once_whichever_file_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().join("one"), directory.path().join("other")];
        let watched = Watched::new(paths.to_vec());
        assert!(!watched.look());
        for path in &paths {
            for content in ["a", "longer"] {
                fs::write(path, content).unwrap();
                assert!(watched.look() && !watched.look());
            }
        }
        fs::remove_file(&paths[0]).unwrap();
        assert!(watched.look() && !watched.look());
    }
}
