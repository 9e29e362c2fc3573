//! A node as the service of a machine: it tells systemd how it is, logs in JSON, and lets clients in by TLS.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::harness::{Cluster, Node, Shape, program, until};

/// How long a node may take to say that it serves, or that it stops.
const SAID_WITHIN: Duration = Duration::from_secs(60);

fn one() -> Cluster {
    Cluster::new(Shape { nodes: 1, ..Shape::default() })
}

#[test]
fn systemd_is_told_when_a_node_serves_and_when_it_stops() {
    let mut cluster = one();
    let node = &mut cluster.nodes[0];
    let socket = node.home.join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(SAID_WITHIN)).unwrap();
    // What it waits for until then, and for how long it may, is said as well.
    let wait_for = |state: &str| loop {
        let mut said = [0; 1_024];
        let length = systemd.recv(&mut said).expect("something is said in time");
        if String::from_utf8_lossy(&said[..length]).lines().any(|line| line == state) {
            break;
        }
    };
    node.environment.insert("NOTIFY_SOCKET", socket);
    node.start();
    wait_for("READY=1");
    assert_eq!(node.ready(), Ok(()), "it serves by the time it says so");
    assert!(node.end(Signal::TERM).success());
    wait_for("STOPPING=1");
}

#[test]
fn each_line_of_a_log_in_json_is_an_object_with_time_level_and_message() {
    let mut cluster = one();
    cluster.nodes[0].give("log-format", "json");
    cluster.start();
    assert!(cluster.nodes[0].end(Signal::TERM).success());
    let log = cluster.nodes[0].log();
    let started = log.lines().filter(|line| {
        let line: Json =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        line["fields"]["message"] == "the node has started"
    });
    assert_eq!(started.count(), 1, "{log}");
}

fn redis_cli(node: &Node, arguments: &[&str]) -> Output {
    let port = node.resp().port().to_string();
    let mut redis_cli = Command::new("timeout");
    redis_cli.args(["60", "redis-cli", "-p", &port]).args(arguments).output().unwrap()
}

#[test]
fn clients_come_in_by_tls_and_only_so() {
    let mut cluster = one();
    let certificates = cluster.nodes[0].home.join("certificates");
    let [authority, certificate, key] =
        ["ca.pem", "node.pem", "node.key"].map(|name| certificates.join(name));
    cluster.nodes[0].give("resp-tls-certificate", certificate.display());
    cluster.nodes[0].give("resp-tls-key", key.display());
    cluster.start();
    let node = &mut cluster.nodes[0];
    let authority = authority.to_str().unwrap();
    let by_tls = |words: &[&str]| {
        let output = redis_cli(node, &[&["--tls", "--cacert", authority], words].concat());
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
    };
    assert_eq!(by_tls(&["SET", "greeting", "hello"]), ("OK\n".to_owned(), String::new()));
    assert_eq!(by_tls(&["-3", "GET", "greeting"]), ("hello\n".to_owned(), String::new()));
    let open = redis_cli(node, &["GET", "greeting"]);
    let said = String::from_utf8_lossy(&open.stdout);
    assert!(!said.contains("hello"), "{said}");
    assert_ne!(open.status.code(), Some(124), "who speaks no TLS is not left waiting");
    assert_eq!(by_tls(&["PING"]), ("PONG\n".to_owned(), String::new()), "others are still let in");
}

/// A token that was just drawn, and what the file of users has of it.
fn token() -> (String, String) {
    let drawn = program().args(["user", "token"]).output().unwrap();
    let said = String::from_utf8(drawn.stdout).unwrap();
    let (first, hash) = said.split_once('\n').unwrap();
    (first.rsplit(' ').next().unwrap().to_owned(), hash.trim().to_owned())
}

/// One user who may do everything.
fn admit(users: &Path, name: &str, hash: &str) {
    let rights = "rights = [{ verbs = [\"read\", \"update\", \"admin\"] }]";
    fs::write(users, format!("[[user]]\nname = \"{name}\"\n{hash}\n{rights}\n")).unwrap();
}

/// A certificate that was just made, which proves itself, and its key.
fn certify(certificate: &Path, key: &Path) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(certificate, certified.cert.pem()).unwrap();
    fs::write(key, certified.signing_key.serialize_pem()).unwrap();
}

#[test]
fn who_may_come_in_and_what_the_door_proves_itself_by_change_while_a_node_runs() {
    let mut cluster = one();
    let node = &mut cluster.nodes[0];
    let [users, certificate, key, trusted] =
        ["users.toml", "door.pem", "door.key", "trusted.pem"].map(|name| node.home.join(name));
    let ((old, old_hash), (new, new_hash)) = (token(), token());
    admit(&users, "ann", &old_hash);
    certify(&certificate, &key);
    fs::copy(&certificate, &trusted).unwrap();
    node.give("users", users.display());
    node.give("resp-tls-certificate", certificate.display());
    node.give("resp-tls-key", key.display());
    node.start();
    let said = |name: &str, token: &str| {
        let who = ["--user", name, "--pass", token, "--no-auth-warning", "PING"];
        let output = redis_cli(
            node,
            &[&["--tls", "--cacert", trusted.to_str().unwrap()], &who[..]].concat(),
        );
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let comes_in = |name: &str, token: &str| match said(name, token) {
        said if said == "PONG\n" => Ok(()),
        said => Err(said),
    };
    until("ann comes in", SAID_WITHIN, || comes_in("ann", &old));
    assert!(said("bob", &new).contains("WRONGPASS"), "{}", said("bob", &new));

    admit(&users, "bob", &new_hash);
    until("bob comes in", SAID_WITHIN, || comes_in("bob", &new));
    assert!(said("ann", &old).contains("WRONGPASS"), "{}", said("ann", &old));

    certify(&certificate, &key);
    until("the old certificate is not used any more", SAID_WITHIN, || {
        if said("bob", &new).contains("PONG") { Err("it still is".to_owned()) } else { Ok(()) }
    });
    fs::copy(&certificate, &trusted).unwrap();
    assert_eq!(comes_in("bob", &new), Ok(()), "{}", node.log());
}
