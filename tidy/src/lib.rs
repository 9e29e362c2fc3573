//! The house rules that no compiler checks, as tests: see `tests/`. Here is the tree that they look at.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Where the tree begins.
///
/// # Panics
/// If this crate lies in no folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A manifest, read.
///
/// # Panics
/// If it is not there or does not parse.
#[must_use]
pub fn manifest(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The folders of the workspace's members.
///
/// # Panics
/// If the workspace's manifest does not list them.
#[must_use]
pub fn members() -> Vec<String> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

/// Every Rust file of the members.
///
/// # Panics
/// If the tree cannot be read, or is hardly there.
#[must_use]
pub fn sources() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = members().iter().map(|member| root().join(member)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    assert!(sources.len() > 50, "the tree was found");
    sources
}
