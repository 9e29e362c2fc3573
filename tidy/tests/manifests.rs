//! What every crate's manifest and sources have in common.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifest(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn members() -> Vec<String> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

/// Every Rust file of the members.
fn sources() -> Vec<PathBuf> {
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

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for member in members() {
        let manifest = manifest(&root().join(&member).join("Cargo.toml"));
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits.and_then(|value| value.as_bool()), Some(true), "{member}");
    }
}

#[test]
fn versions_of_dependencies_are_said_once() {
    for member in members() {
        let manifest = manifest(&root().join(&member).join("Cargo.toml"));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(section).and_then(|s| s.as_table()) else {
                continue;
            };
            for (name, value) in dependencies {
                let inherits = value.get("workspace").is_some();
                let itself = value.get("path").is_some_and(|path| path.as_str() == Some("."));
                assert!(inherits || itself, "{member}: {name} is not taken from the workspace");
            }
        }
    }
}

#[test]
fn there_is_one_profile() {
    let profiles = manifest(&root().join("Cargo.toml"))["profile"].as_table().unwrap().clone();
    assert_eq!(profiles.keys().collect::<Vec<_>>(), ["release"]);
}

#[test]
fn every_file_opens_with_what_it_is() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let documented = text.starts_with("//! ") || text.starts_with("#![");
        assert!(documented, "{} does not open with a `//!` sentence", path.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
    ];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for mark in marks {
            assert!(!text.contains(mark), "{} has {mark}", path.display());
        }
    }
}

#[test]
fn no_file_outgrows_a_head() {
    for path in sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: what second idea moved in?", path.display());
    }
}
