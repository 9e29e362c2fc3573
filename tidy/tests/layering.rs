//! Dependencies point down only: the manifests against the table of ARCHITECTURE.md.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Crate → which of ours it may depend on. A crate that is not here does not belong to the house.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let table: [(&str, &[&str]); 13] = [
        ("crdt", &[]),
        ("ring", &[]),
        ("swim", &[]),
        ("check", &[]),
        // It runs the daemon's program, and knows nothing of its code.
        ("local", &[]),
        ("wire", &["crdt", "ring", "swim"]),
        ("protocol", &["crdt", "ring", "swim", "wire"]),
        ("resp", &["crdt", "ring", "swim", "wire", "protocol"]),
        // Its tests judge histories of real processes, hence `check`, on networks that are cut, hence `local`.
        ("node", &["crdt", "ring", "swim", "wire", "protocol", "resp", "check", "local"]),
        ("cli", &["local"]),
        ("loadtest", &["wire", "check", "local"]),
        ("sim", &["crdt", "ring", "swim", "wire", "protocol", "check"]),
        ("tidy", &[]),
    ];
    table.into_iter().map(|(name, below)| (name, below.iter().copied().collect())).collect()
}

/// Crates that decide and do no IO.
const PURE: [&str; 7] = ["crdt", "ring", "swim", "check", "wire", "protocol", "resp"];

/// What would bring IO, threads, clocks or entropy into a pure crate.
const IMPURE: [&str; 18] = [
    "async-std",
    "axum",
    "chrono",
    "crossbeam",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "parking_lot",
    "quinn",
    "rayon",
    "reqwest",
    "rocksdb",
    "rustls",
    "socket2",
    "time",
    "tokio",
];

/// Features of a dependency that pure crates must not ask for, as they draw on the machine.
const IMPURE_FEATURES: [(&str, &[&str]); 2] =
    [("rand", &["thread_rng", "os_rng", "sys_rng", "default"]), ("hashbrown", &["rayon"])];

fn members() -> Vec<Package> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(root).no_deps().exec().unwrap();
    metadata.packages
}

fn folder(package: &str) -> &str {
    package.strip_prefix("coterie-").unwrap_or_else(|| panic!("{package} is not named coterie-…"))
}

#[test]
fn dependencies_point_down_only() {
    let allowed = allowed();
    for package in members() {
        let name = folder(&package.name).to_owned();
        let below = allowed.get(name.as_str());
        let below = below.unwrap_or_else(|| panic!("{name} is not in the layering table"));
        let siblings = package.dependencies.iter().filter(|d| d.name.starts_with("coterie-"));
        for dependency in siblings {
            let on = folder(&dependency.name);
            // A crate's tests may use it with other features.
            let itself = on == name && dependency.kind == DependencyKind::Development;
            assert!(itself || below.contains(on), "{name} must not depend on {on}");
        }
    }
}

#[test]
fn packages_are_named_after_their_folders() {
    for package in members() {
        let parent = package.manifest_path.parent().unwrap().file_name().unwrap();
        assert_eq!(folder(&package.name), parent);
    }
}

#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    for package in members().iter().filter(|p| PURE.contains(&folder(&p.name))) {
        let shipped = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
        for dependency in shipped {
            let name = dependency.name.as_str();
            assert!(!IMPURE.contains(&name), "{}: {name} is impure", package.name);
            for (_, features) in IMPURE_FEATURES.iter().filter(|(impure, _)| *impure == name) {
                let asked = dependency.features.iter().find(|f| features.contains(&f.as_str()));
                assert_eq!(asked, None, "{}: {name} with an impure feature", package.name);
                assert!(
                    !dependency.uses_default_features || !features.contains(&"default"),
                    "{}: {name} with default features",
                    package.name
                );
            }
        }
    }
}
