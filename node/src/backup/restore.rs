//! Making a data directory of a backup.

use std::path::Path;

use super::damage::Damage;
use super::error::BackupError;
use super::files;
use super::manifest::Manifest;
use super::verify::verify;
use crate::storage::{Scope, install};

/// Makes a data directory of a backup that is whole. The backup is left as it is, and shares nothing with the copy.
///
/// The node that starts from it mints under new actors: what it minted after the backup is never minted again
/// (invariant 1). It needs the certificate of the same node of the same cluster.
///
/// # Errors
/// [`BackupError`]; no node starts from the directory then.
pub fn restore(backup: &Path, data_dir: &Path, scope: Scope) -> Result<Manifest, BackupError> {
    let damaged = |damages| BackupError::Damaged { path: backup.to_owned(), damages };
    let verified = verify(backup)?;
    let manifest = match verified.manifest {
        Some(manifest) if verified.damages.is_empty() => manifest,
        Some(_) | None => return Err(damaged(verified.damages)),
    };
    let from = backup.join(files::STORE);
    install(data_dir, manifest.identity(), scope, |store| {
        for file in &manifest.files {
            let copied = files::copy(&from.join(&file.name), &store.join(&file.name))?;
            if copied != (file.bytes, file.sha256.clone()) {
                // It has changed since it was checked.
                return Err(damaged(vec![Damage::Content { file: file.name.clone() }]));
            }
        }
        Ok(())
    })?;
    Ok(manifest)
}
