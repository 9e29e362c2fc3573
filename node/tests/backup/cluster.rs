//! A cluster of real processes: backed up while it is written to, a node of it put back while the others go on, and the
//! whole of it destroyed and restored at other addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::contents::{connect, read, read_strong, run, strong, written};
use crate::equal::wait_equal;
use crate::harness::doors::Doors;
use crate::harness::{Cluster, Node, Shape, program, until};

const SOON: Duration = Duration::from_secs(60);

/// Tells people how far the test is.
fn tell(progress: &str) {
    // Nobody need listen.
    drop(writeln!(std::io::stderr(), "{progress}"));
}

/// The digest of each slice that has any keys, as a node has it.
type Digests = BTreeMap<(u64, u64), String>;

fn digests(said: &Value) -> Digests {
    let slices = said["slices"].as_array().unwrap().iter();
    let digests = slices.map(|it| {
        let name = (it["partition"].as_u64().unwrap(), it["replicas"].as_u64().unwrap());
        (name, it["digest"].as_str().unwrap().to_owned())
    });
    digests.filter(|(_, digest)| !digest.trim_matches('0').is_empty()).collect()
}

#[track_caller]
fn ask(node: &Node, what: &str, body: Option<Value>, expected: u16) -> Value {
    let answer = coterie_local::answer(node.doors.http, what, body.as_ref(), SOON);
    let (status, answer) = answer.expect("the node answers");
    assert_eq!(status, expected, "{what}: {answer}");
    answer
}

/// `coterie-node backup …`: whether it went well, and what it said.
fn command(arguments: &[&str], paths: &[(&str, &Path)]) -> (bool, String) {
    let mut command = program();
    command.arg("backup").args(arguments);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn data(node: &Node) -> PathBuf {
    node.home.join("data")
}

/// Takes a node's backup out of its data directory, as an operator would before the machine is lost.
fn saved(node: &Node, name: &str) -> PathBuf {
    let to = node.home.join(format!("saved-{name}"));
    let (from, into) = (data(node).join("backups").join(name), to.join("store"));
    fs::create_dir_all(&into).unwrap();
    for part in ["", "store"] {
        for entry in fs::read_dir(from.join(part)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

/// A node's data is gone, and made of a backup again.
#[track_caller]
fn restore(node: &Node, backup: &Path, scope: &str) {
    fs::remove_dir_all(data(node)).unwrap();
    let paths = [("--from", backup), ("--data-dir", &data(node))];
    let (done, said) = command(&["restore", "--scope", scope, "--json"], &paths);
    assert!(done, "{said}");
}

/// It starts elsewhere the next time, and joins there.
fn move_to(node: &mut Node, doors: Doors, join: std::net::SocketAddr) {
    node.doors = doors;
    let Doors { resp, http, gossip, peers } = doors;
    for (door, address) in [("resp", resp), ("http", http), ("gossip", gossip), ("peers", peers)] {
        node.give(door, address);
    }
    if node.number > 0 {
        node.give("join", join);
    }
}

/// Waits until every node knows a bucket.
#[track_caller]
fn wait_bucket(cluster: &Cluster, name: &str) {
    until(&format!("the bucket {name} is there"), SOON, || {
        for node in &cluster.nodes {
            let buckets = node.get("/v1/buckets")?.to_string();
            if !buckets.contains(&format!("\"{name}\"")) {
                return Err(format!("node {} has {buckets}", node.number));
            }
        }
        Ok(())
    });
}

/// Waits until the owners of everything are equal: each node asks the others, which what it says of itself once a second
/// does not tell.
#[track_caller]
fn wait_owners(cluster: &Cluster) {
    let all = json!({"scope": {"all": {}}, "wait": "3s"});
    for node in &cluster.nodes {
        until("the owners are equal", SOON, || {
            coterie_local::ask(node.doors.http, "POST /v1/barrier", Some(&all))
        });
    }
}

/// Waits until each node shows these digests of what it holds.
#[track_caller]
fn wait_shown(cluster: &Cluster, expected: &[Digests]) {
    for (node, expected) in cluster.nodes.iter().zip(expected) {
        until("the digests are shown", SOON, || {
            let shown = digests(&node.get("/v1/repair")?);
            if shown == *expected {
                Ok(())
            } else {
                Err(format!("node {}: {shown:?}", node.number))
            }
        });
    }
}

#[test]
fn a_restored_cluster_equals_the_one_that_was_backed_up_by_digest() {
    let mut cluster = Cluster::new(Shape::default());
    cluster.start();
    let kind = json!({"kind": "strong"});
    ask(&cluster.nodes[1], "PUT /v1/buckets/strong", Some(kind), 202);
    wait_bucket(&cluster, "strong");
    let mut connection = connect(cluster.nodes[0].resp());
    run(&mut connection, &written(1));
    run(&mut connect(cluster.nodes[1].resp()), &strong(1));
    wait_equal(&cluster);
    let expected = run(&mut connection, &read());

    // All three, one after the other, while nobody writes: they are equal.
    wait_owners(&cluster);
    let quiet = json!({"name": "quiet"});
    let mut before: Vec<Digests> = Vec::new();
    for node in &cluster.nodes {
        let made = ask(node, "POST /v1/backups", Some(quiet.clone()), 201);
        assert!(made["rows"].as_u64() > Some(4_000), "{made}");
        before.push(digests(&ask(node, "GET /v1/backups/quiet", None, 200)));
    }
    assert!(before[0].len() > 60, "{} slices have keys", before[0].len());
    wait_shown(&cluster, &before);
    ask(&cluster.nodes[0], "POST /v1/backups", Some(quiet), 409);
    ask(&cluster.nodes[0], "POST /v1/backups", Some(json!({"name": "../etc"})), 422);

    // One more while it is written to: what is in it fits together.
    let stop = AtomicBool::new(false);
    let address = cluster.nodes[1].resp();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = connect(address);
            while !stop.load(Ordering::Relaxed) {
                run(&mut connection, &written(2)[..600]);
            }
        });
        let busy = Some(json!({"name": "busy"}));
        ask(&cluster.nodes[0], "POST /v1/backups", busy, 201);
        stop.store(true, Ordering::Relaxed);
    });
    let found = ask(&cluster.nodes[0], "POST /v1/backups/busy/verify", None, 200);
    assert_eq!(found["whole"], true, "{found}");
    tell("backups are made");

    // One node goes back while the others have gone on.
    run(&mut connection, &written(3));
    let later = run(&mut connection, &read());
    let saved: Vec<PathBuf> = cluster.nodes.iter().map(|node| saved(node, "quiet")).collect();
    cluster.nodes[2].kill();
    restore(&cluster.nodes[2], &saved[2], "node");
    cluster.nodes[2].start();
    cluster.wait_ready();
    let mut through = connect(cluster.nodes[2].resp());
    assert!(run(&mut through, &read()) == later, "the node that went back lacks something");
    run(&mut through, &written(4));
    wait_equal(&cluster);
    tell("one node went back");

    // All is gone, and comes back elsewhere.
    cluster.nodes.iter_mut().for_each(Node::kill);
    let doors: Vec<Doors> = cluster.nodes.iter().map(|_| Doors::free(1)).collect();
    let first = doors[0].gossip;
    for ((node, backup), doors) in cluster.nodes.iter_mut().zip(&saved).zip(doors) {
        restore(node, backup, "cluster");
        move_to(node, doors, first);
    }
    cluster.start();
    wait_equal(&cluster);
    wait_shown(&cluster, &before);
    let mut connection = connect(cluster.nodes[2].resp());
    assert!(run(&mut connection, &read()) == expected, "the restored cluster reads otherwise");
    tell("the cluster is restored, and equal");

    // It lives: it is written to under new actors, strong registers and layouts are voted on.
    run(&mut connection, &written(2));
    run(&mut connect(cluster.nodes[0].resp()), &strong(7));
    let strong = run(&mut connect(cluster.nodes[1].resp()), &read_strong());
    assert_eq!(redis::from_redis_value::<u64>(strong[50].clone()).unwrap(), 56);
    ask(&cluster.nodes[1], "PUT /v1/buckets/after", Some(json!({})), 202);
    wait_bucket(&cluster, "after");
    wait_equal(&cluster);
}
