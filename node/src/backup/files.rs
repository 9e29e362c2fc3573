//! Files of a backup: written durably, hashed, copied.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{BackupError, failed};
use super::manifest::FileOf;

/// Where the database lies in a backup.
pub(super) const STORE: &str = "store";

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Writes a new file, durably.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), BackupError> {
    let write = || {
        let mut file = create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", path, source))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// What is in a directory, hashed, and durable from then on; in the order of their names.
pub(super) fn describe(directory: &Path) -> Result<Vec<FileOf>, BackupError> {
    let mut files = Vec::new();
    for name in names(directory)? {
        let path = directory.join(&name);
        let file = File::open(&path).map_err(|source| failed("open", &path, source))?;
        file.sync_all().map_err(|source| failed("sync", &path, source))?;
        let (bytes, sha256) = hash(file).map_err(|source| failed("read", &path, source))?;
        files.push(FileOf { name, bytes, sha256 });
    }
    sync_directory(directory)?;
    Ok(files)
}

/// The names of what is in a directory, in order.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let list = || -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = list().map_err(|source| failed("list", directory, source))?;
    names.sort();
    Ok(names)
}

/// A file's length and SHA-256.
pub(super) fn hash(mut file: impl Read) -> io::Result<(u64, String)> {
    copy_hashed(&mut file, &mut io::sink())
}

/// Copies a file durably: the length and SHA-256 of what was copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(u64, String), BackupError> {
    let mut source = File::open(from).map_err(|source| failed("open", from, source))?;
    let mut copy = || {
        let mut file = create(to)?;
        let copied = copy_hashed(&mut source, &mut file)?;
        file.sync_all()?;
        Ok(copied)
    };
    copy().map_err(|source| failed("write", to, source))
}

fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok((length, hexadecimal(&hash.finalize())));
        }
        hash.update(&chunk[..read]);
        to.write_all(&chunk[..read])?;
        length += read as u64;
    }
}

/// Makes what a directory lists durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), BackupError> {
    let synced = File::open(directory).and_then(|file| file.sync_all());
    synced.map_err(|source| failed("sync", directory, source))
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
