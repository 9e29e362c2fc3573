//! What needs no cluster.

use std::fs;
use std::path::PathBuf;

use crate::harness::coterie;

#[test]
fn the_reference_is_the_one_of_this_program() {
    let said = coterie(&["reference"]).done().out;
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == said,
        "docs/cli.md is not what the program says: `cargo run --release -p coterie-cli -- reference > docs/cli.md`"
    );
}

#[test]
fn completions_and_the_manual_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let said = coterie(&["completions", shell]).done().out;
        assert!(said.contains("zrangebyscore") && said.contains("partition"), "{shell}");
    }
    coterie(&["completions", "tcl"]).fails(2, "tcl");
    let manual = coterie(&["manual"]).done().out;
    assert!(manual.contains(".TH coterie") && manual.contains("Exit codes"), "{manual}");
}

#[test]
fn consistency_is_explained_without_a_cluster() {
    let words = ["consistency", "explain", "--n", "5", "--w", "2", "--r", "3", "--down", "1"];
    let said = coterie(&words).done().out;
    assert!(said.contains("With 1 owner down: writes are available"), "{said}");
    let mut json = vec!["--json"];
    json.extend(words);
    let said = coterie(&json).done().json();
    assert_eq!(said["reads_see_every_acknowledged_write"], false);
    assert_eq!(said["writes_survive_owners_down"], 3);
    coterie(&["consistency", "explain", "--n", "3", "--w", "4"]).fails(2, "no 4 can take part");
    coterie(&["consistency", "explain", "--r", "local_quorum"]).fails(2, "local_quorum");
}

#[test]
fn lines_that_make_no_sense_are_refused_with_what_would() {
    coterie(&[]).fails(2, "Usage: coterie");
    coterie(&["sing"]).fails(2, "sing");
    coterie(&["get"]).fails(2, "KEY");
    coterie(&["ring", "turn"]).fails(2, "turn");
    coterie(&["--within", "soon", "status"]).fails(2, "soon");
    coterie(&["cluster", "partition", "0", "a,b"]).fails(2, "no group");
    coterie(&["set", "k", "v", "--nx", "--xx"]).fails(2, "not both");
    coterie(&["--ca", "/nowhere/ca.pem", "status"]).fails(1, "/nowhere/ca.pem");
}

#[test]
fn where_nobody_listens_nothing_was_changed() {
    // Nobody listens on port 1.
    let nowhere = ["--node", "http://127.0.0.1:1"];
    let commands: [&[&str]; 22] = [
        &["status"],
        &["members"],
        &["ring", "show"],
        &["ring", "owners", "k"],
        &["ring", "plan"],
        &["ring", "commit", "--yes"],
        &["ring", "clear", "--yes"],
        &["node", "leave", "abcd", "--yes"],
        &["moves"],
        &["bucket", "list"],
        &["bucket", "create", "b"],
        &["consistency"],
        &["get", "k"],
        &["set", "k", "v"],
        &["del", "k"],
        &["keys"],
        &["explain", "k"],
        &["repair", "status"],
        &["hints"],
        &["barrier"],
        &["top", "--once"],
        &["doctor"],
    ];
    for command in commands {
        let line: Vec<&str> = nowhere.iter().chain(command).copied().collect();
        let said = coterie(&line).fails(3, "nobody listens there");
        assert!(said.out.is_empty() || command[0] == "del", "{command:?}: {said:?}");
    }
    let said = coterie(&["--node", "http://127.0.0.1:1", "--json", "status"]);
    let told: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!((&told["outcome"], &told["exit_code"]), (&"unavailable".into(), &3.into()));
    coterie(&["cluster", "status", "--dir", "/nowhere/at/all"]).fails(3, "no cluster is up");
    coterie(&["cluster", "down", "--dir", "/nowhere/at/all"]).fails(3, "no cluster is up");
}

#[test]
fn certificates_and_configurations_are_the_daemons() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("authority");
    let dir = dir.to_str().unwrap();
    let said = coterie(&["cert", "init", "--dir", dir]).done().out;
    assert!(said.contains("authority and gossip key are in"), "{said}");
    coterie(&["cert", "init", "--dir", dir]).fails(1, "coterie-node cert failed");
    coterie(&["cert", "knit"]).fails(2, "knit");
    let said = coterie(&["config", "check", "--data-dir", "/tmp/d", "--bootstrap"]).done().out;
    assert!(said.contains("The node begins a cluster"), "{said}");
    coterie(&["config", "check", "--data-dir", "/tmp/d", "--lanes", "0"]).fails(1, "lanes");
}
