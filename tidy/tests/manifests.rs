//! What every crate's manifest and sources have in common.

use std::fs;

use coterie_tidy::{manifest, members, root, sources};

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
