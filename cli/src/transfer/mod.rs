//! `coterie export` and `import`: a bucket as lines of JSON, and back; both go on where they were interrupted.
//!
//! A line is one key, or a part of one that is large: `{"key": …, "type": "set", "part": 0, "values": […], "expires_at": …}`.
//! A field of a hash that expires has its own `expires_at`.
//! Parts of a key follow each other, and count from 0. What is exported is what people see: values, members, sums; not
//! dots and contexts. For those there are backups.

mod export;
mod import;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

pub(crate) use export::Export;
pub(crate) use import::Import;

/// How far an export or import is; kept beside its file until it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Bytes of the file that are done.
    bytes: u64,
    /// Lines that are done.
    lines: u64,
    /// Keys that are done.
    keys: u64,
    /// Where the next page of keys begins.
    cursor: Option<String>,
}

impl Progress {
    fn path(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".progress");
        PathBuf::from(name)
    }

    /// How far the work on a file is; nothing where none was begun.
    fn read(file: &Path) -> Result<Option<Progress>, Failure> {
        let path = Progress::path(file);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file(&path)(error)),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    }

    /// Where the work on a file begins, if none was interrupted there.
    fn begun(work: &str, file: &Path) -> Result<Progress, Failure> {
        if Progress::read(file)?.is_some() {
            let detail = format!("an {work} of {} was interrupted", file.display());
            let hint = "go on with it (--resume), or remove the .progress file beside it";
            return Err(Failure::usage(detail).hint(hint));
        }
        Ok(Progress::default())
    }

    /// Where the work on a file was interrupted.
    fn interrupted(work: &str, file: &Path) -> Result<Progress, Failure> {
        let none = || Failure::usage(format!("no {work} of {} was interrupted", file.display()));
        Progress::read(file)?.ok_or_else(none)
    }

    fn keep(&self, file: &Path) -> Result<(), Failure> {
        let path = Progress::path(file);
        let new = path.with_extension("progress.new");
        let text = serde_json::to_string(self).expect("progress is numbers and text");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(Failure::file(&path))
    }

    fn done(file: &Path) -> Result<(), Failure> {
        match fs::remove_file(Progress::path(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::file(&Progress::path(file))(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: serde_json::Value,
    r#type: String,
    /// Which part of the key, from 0.
    #[serde(default)]
    part: u64,
    /// What the part holds: a value, members, pairs.
    values: serde_json::Value,
    /// When the key expires, in milliseconds since 1970; on the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}
