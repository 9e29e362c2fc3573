//! Backups: made on every node, listed, checked, restored, removed; and what is said of damaged ones.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cluster;
use crate::harness::coterie;

/// Where each node has the backup of a name.
fn directories(name: &str) -> Vec<PathBuf> {
    let listed = cluster().json(&["backup", "list"]);
    let backup = listed["backups"].as_array().unwrap().iter().find(|it| it["name"] == name);
    let nodes = backup.map(|it| it["nodes"].as_array().unwrap().clone()).unwrap_or_default();
    let directory = |it: &Value| Path::new(it["directory"].as_str().unwrap()).join(name);
    nodes.iter().map(directory).collect()
}

/// Changes one byte in the middle of the largest file of a backup; its name.
fn damage(backup: &Path) -> String {
    let mut files = vec![backup.to_owned()];
    let mut largest: Option<(u64, PathBuf)> = None;
    while let Some(path) = files.pop() {
        let about = fs::metadata(&path).unwrap();
        if about.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if largest.as_ref().is_none_or(|(bytes, _)| about.len() > *bytes) {
            largest = Some((about.len(), path));
        }
    }
    let (_, path) = largest.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn backups_are_made_checked_restored_and_removed() {
    let members: Vec<String> = (0..2_000).map(|number| format!("member{number}")).collect();
    cluster().run(&["sadd", "backed:up", &members.join(" ")]).done();
    let made = cluster().json(&["backup", "create", "nightly"]);
    assert_eq!((&made["complete"], made["nodes"].as_array().unwrap().len()), (&json!(true), 3));
    cluster().run(&["backup", "create", "nightly"]).fails(5, "nightly");
    cluster().run(&["backup", "create", "../elsewhere"]).fails(5, "name");
    assert!(cluster().run(&["backup", "list"]).done().out.contains("3 of 3"));
    let made = directories("nightly");
    assert_eq!(made.len(), 3);

    let verified = cluster().json(&["backup", "verify", "nightly"]);
    assert_eq!(verified["complete"], true, "{verified}");
    cluster().run(&["backup", "verify", "weekly"]).fails(5, "weekly");
    cluster().run(&["backup", "verify"]).fails(2, "<NAME>");
    let from = made[0].to_str().unwrap();
    coterie(&["backup", "verify", "--from", from]).done();
    coterie(&["backup", "verify", "--from", "/nowhere"]).fails(1, "/nowhere");

    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let restore = |from: &str, data: &Path, more: &[&str]| {
        let data = data.to_str().unwrap();
        let mut line = vec!["backup", "restore", "--from", from, "--data-dir", data];
        line.extend(["--scope", "node"]);
        line.extend(more);
        coterie(&line)
    };
    restore(from, &data, &[]).fails(7, "goes back to its backup");
    assert!(!data.exists(), "nothing is done unasked");
    restore(from, &data, &["--yes"]).done();
    assert!(fs::read_dir(&data).unwrap().count() > 0);
    restore(from, &data, &["--yes"]).fails(1, "data");

    let damaged = damage(&made[0]);
    let said = cluster().run(&["--json", "backup", "verify", "nightly"]);
    assert_eq!(said.code, 6, "{said:?}");
    let outcomes = said.json();
    let outcomes = outcomes["nodes"].as_array().unwrap();
    let outcome = |word: &str| outcomes.iter().filter(|it| it["outcome"] == word).count();
    assert_eq!((outcome("damaged"), outcome("done")), (1, 2), "{outcomes:?}");
    assert!(said.out.contains(&damaged), "{damaged} is not in {said:?}");
    let said = coterie(&["backup", "verify", "--from", from]).fails(1, "is damaged");
    assert!(said.out.contains(&damaged), "{damaged} is not in {said:?}");
    let said = restore(from, &home.path().join("other"), &["--yes"]).fails(1, "");
    assert!((said.out.clone() + &said.err).contains(&damaged), "{damaged} is not in {said:?}");
    assert!(!home.path().join("other").join("CURRENT").exists());

    cluster().run(&["backup", "remove", "nightly"]).fails(7, "would be deleted");
    cluster().run(&["backup", "remove", "nightly", "--yes"]).done();
    assert!(directories("nightly").is_empty());
    cluster().run(&["backup", "remove", "nightly", "--yes"]).fails(5, "nightly");
}
