//! Checking a backup: every byte of its files, then that its database opens and holds what it should.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::damage::Damage;
use super::error::{BackupError, failed};
use super::files;
use super::manifest::{FileOf, Manifest};
use crate::storage::survey;

/// What a check has found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What the backup is of, where that can be told.
    pub manifest: Option<Manifest>,
    /// What is wrong with it: nothing where it is whole.
    pub damages: Vec<Damage>,
}

/// Checks a backup. Nothing is written.
///
/// # Errors
/// [`BackupError`], where nothing can be said of it at all.
pub fn verify(backup: &Path) -> Result<Verified, BackupError> {
    let manifest = match Manifest::read(backup)? {
        Ok(manifest) => manifest,
        Err(damage) => return Ok(Verified { manifest: None, damages: vec![damage] }),
    };
    let store = backup.join(files::STORE);
    let mut damages = Vec::new();
    for file in &manifest.files {
        damages.extend(check(&store, file)?);
    }
    let expected: BTreeSet<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    let found = if store.exists() { files::names(&store)? } else { Vec::new() };
    let foreign = found.into_iter().filter(|name| !expected.contains(name.as_str()));
    damages.extend(foreign.map(|file| Damage::Foreign { file }));
    // Which partitions a damaged file is of, only the database can tell.
    match survey(&store, manifest.identity(), manifest.partitions()) {
        Ok(found) => damages.extend(manifest.compare(&found)),
        Err(detail) => damages.push(Damage::Store(detail)),
    }
    Ok(Verified { manifest: Some(manifest), damages })
}

fn check(store: &Path, expected: &FileOf) -> Result<Option<Damage>, BackupError> {
    let (path, file) = (store.join(&expected.name), expected.name.clone());
    let opened = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Damage::Missing { file }));
        }
        opened => opened.map_err(|source| failed("open", &path, source))?,
    };
    let (found, sha256) = match files::hash(opened) {
        Ok(found) => found,
        // A sector that cannot be read any more.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            return Ok(Some(Damage::Content { file }));
        }
        Err(source) => return Err(failed("read", &path, source)),
    };
    Ok(if found != expected.bytes {
        Some(Damage::Length { file, expected: expected.bytes, found })
    } else if sha256 != expected.sha256 {
        Some(Damage::Content { file })
    } else {
        None
    })
}
