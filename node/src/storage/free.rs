//! How much of the disk is free, looked at off the lanes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, TrySendError, bounded};

use super::error::StorageError;
use super::{directory, reading};

/// Free space as it was about a second ago.
pub(super) struct Free {
    seen: Arc<Seen>,
    /// Asks for a look now. The thread ends when this is gone.
    look: Sender<()>,
}

#[derive(Debug, Default)]
struct Seen {
    permille: AtomicU16,
    bytes: AtomicU64,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl Free {
    /// Looks once, and goes on looking on a thread of its own.
    pub(super) fn watch(directory: &Path) -> Result<Self, StorageError> {
        let seen = Arc::new(Seen::default());
        seen.look(directory)?;
        let (look, asked) = bounded(1);
        let (shown, path) = (seen.clone(), PathBuf::from(directory));
        let work = move || {
            while asked.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Disconnected) {
                if let Err(error) = shown.look(&path) {
                    tracing::warn!(%error, "free space of the disk is not known");
                }
            }
        };
        let thread = std::thread::Builder::new().name("storage-free".to_owned());
        thread.spawn(work).map_err(reading::cannot_start)?;
        Ok(Free { seen, look })
    }

    /// Of 1,000 parts.
    pub(super) fn permille(&self) -> u16 {
        self.seen.permille.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// Something made it likely that it is another now.
    pub(super) fn refresh(&self) {
        match self.look.try_send(()) {
            // Where a look is asked for already, that does.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

impl Seen {
    fn look(&self, path: &Path) -> Result<(), StorageError> {
        let (permille, bytes) = free(path)?;
        self.permille.store(permille, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// What this process may still write there: parts of 1,000, and bytes.
pub(super) fn free(path: &Path) -> Result<(u16, u64), StorageError> {
    let disk = rustix::fs::statvfs(path)
        .map_err(|error| directory::failed("look at free space of", path, error.into()))?;
    // Blocks that are kept for the superuser are neither free nor in use, as df has it.
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let all = used.saturating_add(disk.f_bavail);
    let permille =
        if all == 0 { 1_000 } else { u128::from(disk.f_bavail) * 1_000 / u128::from(all) };
    let permille = u16::try_from(permille).expect("a part is no more than the whole");
    Ok((permille, disk.f_bavail.saturating_mul(disk.f_frsize)))
}
