//! Room on the disk that is kept for opening a store again that ran out of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use super::directory::Directory;
use super::free;

/// What opening takes at most: tables of all that logs hold, and the files that every opening writes.
const RESERVE_BYTES: u64 = 128 << 20;

/// The reserve is made only where so much would be left beside it.
const LEFT_PERMILLE: u64 = 20;

/// Makes the reserve if it is not there and the disk has room for it: 1 % of the disk, at most 128 MiB. Without it a
/// full disk has to be made room on before the store opens again.
pub(super) fn keep(directory: &Directory) {
    let path = directory.reserve();
    if path.exists() {
        return;
    }
    let Ok((permille, bytes)) = free::free(directory.path()) else { return };
    let hundredth = bytes / u64::from(permille.max(1)) * 10;
    let size = hundredth.min(RESERVE_BYTES);
    let left = bytes / u64::from(permille.max(1)) * LEFT_PERMILLE;
    if size == 0 || bytes < size + left {
        return;
    }
    let unfinished = path.with_extension("unfinished");
    let make = || -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        File::open(directory.path())?.sync_all()
    };
    if let Err(error) = make() {
        tracing::warn!(%error, "no room is kept for opening the store again on a full disk");
        // What was begun takes room for nothing.
        remove(&unfinished);
    }
}

/// Gives the reserve up.
pub(super) fn release(directory: &Directory) {
    remove(&directory.reserve());
}

fn remove(path: &std::path::Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, path = %path.display(), "cannot remove"),
    }
}
