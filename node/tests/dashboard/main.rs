//! The dashboard in headless Chromium: what it shows of a cluster of real processes, with all nodes and without one.
#![expect(clippy::unwrap_used, reason = "a test panics where something fails")]

#[allow(dead_code, reason = "it is of other tests, too")]
#[path = "../harness/mod.rs"]
mod harness;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use serde_json::{Value, json};

use harness::{Cluster, Shape};

/// Where the browser's driver is installed; installs it where it is not.
fn installed(here: &Path) -> PathBuf {
    let output = Command::new(here.join("../scripts/clients")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/clients: {said}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Has a browser look at a node's dashboard; nothing may be wrong.
#[track_caller]
fn look(modules: &Path, wanted: &Value) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("node")
        .env("NODE_PATH", modules.join("node_modules"))
        .arg(here.join("tests/dashboard/look.js"))
        .arg(wanted.to_string())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Nobody need listen.
    drop(writeln!(std::io::stderr(), "{}: {said}", wanted["scene"]));
    assert_eq!(said["wrong"], json!([]));
    assert!(said["checked"].as_u64().is_some_and(|checked| checked > 0));
}

#[test]
fn a_browser_shows_the_cluster_and_what_is_wrong_with_it() {
    let modules = installed(Path::new(env!("CARGO_MANIFEST_DIR")));
    let mut cluster = Cluster::new(Shape::default());
    cluster.start();
    let others = |node: &harness::Node| node.doors.http.to_string();
    let nodes: Vec<String> = cluster.nodes.iter().map(others).collect();
    let client = redis::Client::open(format!("redis://{}/", cluster.nodes[0].resp())).unwrap();
    let mut connection = client.get_connection().unwrap();
    let _added: u64 =
        redis::cmd("SADD").arg("cart").arg("apples").arg("pears").query(&mut connection).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Something for the rates.
            while !stop.load(Ordering::Relaxed) {
                let mut pipeline = redis::pipe();
                (0..10).for_each(|_| {
                    pipeline.cmd("INCR").arg("visits").ignore();
                });
                pipeline.query::<()>(&mut connection).unwrap();
                // The browser needs the machine, too.
                park_timeout(Duration::from_millis(50));
            }
        });
        let looked = std::panic::catch_unwind(|| {
            look(&modules, &json!({"scene": "whole", "nodes": nodes}));
        });
        stop.store(true, Ordering::Relaxed);
        looked.unwrap();
    });
    cluster.nodes[2].kill();
    look(&modules, &json!({"scene": "one down", "nodes": nodes}));
}
