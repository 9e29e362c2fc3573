//! What commands say, and the cluster does, where nodes are down, cut off, added and gone: one story on one cluster.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../harness/mod.rs"]
mod harness;

use harness::{TestCluster, until};
use serde_json::{Value, json};

/// How many members a node believes to be so.
fn members(cluster: &TestCluster, node: usize, liveness: &str) -> Value {
    let said = cluster.at(&[node], &["--json", "status"]);
    if said.code == 0 { said.json()["members"][liveness].clone() } else { Value::Null }
}

fn until_down(cluster: &TestCluster, node: usize, count: u64) {
    until("nodes are missed", || members(cluster, node, "down") == json!(count));
}

#[test]
fn a_cluster_is_broken_healed_grown_and_shrunk() {
    let mut cluster = TestCluster::start("broken");
    one_node_is_down(&mut cluster);
    there_is_no_majority(&mut cluster);
    the_network_is_cut(&mut cluster);
    nodes_come_and_go(&mut cluster);
    let said = cluster.cluster(&["down", "--remove-data"]).fails(7, "All data");
    assert!(said.out.is_empty());
    let down = cluster.cluster(&["down", "--remove-data", "--yes"]).done().json();
    assert_eq!((&down["stopped"], &down["data_removed"]), (&json!(true), &json!(true)));
    assert!(!cluster.directory.exists());
    cluster.cluster(&["status"]).fails(3, "no cluster is up");
}

/// What is asked for of a node.
fn asked(cluster: &TestCluster, id: &str) -> Value {
    let members = cluster.json(&["members"]);
    let member = members["members"].as_array().unwrap().iter().find(|it| it["node"] == id);
    member.unwrap()["asked"].clone()
}

fn one_node_is_down(cluster: &mut TestCluster) {
    cluster.run(&["sadd", "cart", "apples"]).done();
    let killed = cluster.cluster(&["kill", "2"]).done().json();
    assert_eq!(killed["nodes"][2]["condition"], "killed");
    cluster.cluster(&["kill", "2"]).fails(5, "does not run");
    until_down(cluster, 0, 1);
    // A quorum goes on, and all of them is more than there are.
    cluster.run(&["sadd", "cart", "pears"]).done();
    cluster.run(&["sadd", "cart", "plums", "--level", "all"]).fails(3, "unavailable");
    cluster.run(&["get", "greeting", "--level", "all"]).fails(3, "unavailable");
    cluster.at(&[2], &["status"]).fails(3, "nobody listens there");
    cluster.at(&[2, 0], &["smembers", "cart"]).done();
    assert!(cluster.run(&["members"]).done().out.contains(" down "));
    assert!(cluster.run(&["ring", "owners", "cart"]).done().out.contains(" down "));
    cluster.run(&["backup", "create", "partly"]).fails(3, "not every node did it");
    assert!(cluster.run(&["backup", "list"]).done().out.contains("2 of 3"));
    until("hints are kept", || cluster.json(&["hints"])["bytes"].as_u64().unwrap() > 0);
    assert_eq!(cluster.json(&["hints"])["silent"].as_array().unwrap().len(), 1);
    let said = cluster.run(&["barrier", "--wait-within", "1s"]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.out.contains("down"), "{said:?}");
    assert_eq!(cluster.run(&["repair", "now", "--wait-within", "1s"]).code, 6);
    assert!(cluster.run(&["repair", "status"]).done().out.contains("does not answer"));
    let said = cluster.run(&["doctor"]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.out.contains("misses 1"), "{said:?}");
    assert!(cluster.run(&["top", "--once", "--every", "100ms"]).done().out.contains("1 down"));
}

fn there_is_no_majority(cluster: &mut TestCluster) {
    cluster.cluster(&["pause", "1"]).done();
    until_down(cluster, 0, 2);
    cluster.run(&["set", "greeting", "hello"]).fails(3, "unavailable");
    cluster.run(&["get", "cart:none"]).fails(3, "unavailable");
    cluster.run(&["set", "greeting", "hello", "--level", "one"]).done();
    assert_eq!(cluster.run(&["get", "greeting", "--level", "one"]).done().out, "hello\n");
    let failed = cluster.run(&["del", "greeting", "other"]).fails(3, "unavailable");
    assert_eq!(failed.out, "0\n");
    cluster.at(&[1], &["--within", "1s", "status"]).fails(3, "did not answer in time");
    cluster.at(&[1], &["--within", "1s", "set", "k", "v"]).fails(4, "did not answer in time");
    // What is asked for stays asked for, and can be taken back.
    let waits = ["--wait-within", "1s"];
    let create = ["bucket", "create", "late", waits[0], waits[1]];
    cluster.run(&create).fails(4, "not in force yet");
    let id = cluster.id(1);
    cluster
        .run(&["node", "weight", &id, "5", "--wait", waits[0], waits[1]])
        .fails(4, "stays asked for");
    assert!(cluster.run(&["status"]).done().out.contains("something is asked for"));
    cluster
        .run(&["node", "leave", &id, "--yes", "--wait", waits[0], waits[1]])
        .fails(4, "stays asked for");
    assert_eq!(asked(cluster, &id)["state"], "draining");
    cluster.run(&["node", "stay", &id]).done();
    assert_eq!(asked(cluster, &id)["state"], "active");
    let planned = cluster.json(&["ring", "plan"]);
    assert!(planned["nodes"].as_array().unwrap().len() == 3, "{planned}");
    cluster.run(&["ring", "clear", "--yes"]).done();
    assert_eq!(asked(cluster, &id)["weight"], 1);

    let healed = cluster.cluster(&["heal"]).done().json();
    assert!(healed["nodes"].as_array().unwrap().iter().all(|node| node["condition"] == "running"));
    cluster.wait_ready();
    cluster.run(&["barrier"]).done();
    assert_eq!(cluster.at(&[2], &["get", "greeting", "--level", "one"]).done().out, "hello\n");
    assert_eq!(cluster.at(&[2], &["smembers", "cart"]).done().out, "apples\npears\n");
    until("the bucket is in force", || cluster.at(&[2], &["bucket", "show", "late"]).code == 0);
}

fn the_network_is_cut(cluster: &mut TestCluster) {
    let cut = cluster.cluster(&["partition", "0", "1,2"]).done().json();
    assert_eq!(cut["cut"], json!([[0, 1], [0, 2], [1, 0], [2, 0]]));
    until_down(cluster, 0, 2);
    until_down(cluster, 1, 1);
    cluster.at(&[0], &["incr", "stock"]).fails(3, "unavailable");
    cluster.at(&[1], &["incr", "stock", "5"]).done();
    cluster.at(&[0], &["incr", "stock", "3", "--level", "one"]).done();
    cluster.cluster(&["heal"]).done();
    cluster.wait_ready();
    cluster.run(&["barrier"]).done();
    assert_eq!(cluster.run(&["get", "stock", "--level", "all"]).done().out, "8\n");
    let cut = cluster.cluster(&["partition", "--one-way", "0", "1"]).done().json();
    assert_eq!(cut["cut"], json!([[0, 1]]));
    cluster.cluster(&["partition", "--one-way", "0", "1", "2"]).fails(2, "two groups");
    cluster.cluster(&["partition", "0", "9"]).fails(5, "there is no node 9");
    cluster.cluster(&["disturb", "--loss-permille", "20", "--delay-millis-max", "5"]).done();
    cluster.cluster(&["heal"]).done();
    cluster.wait_ready();
}

fn nodes_come_and_go(cluster: &mut TestCluster) {
    cluster.cluster(&["add"]).done();
    let fourth = cluster.id(3);
    let joined = cluster.run(&["node", "join", "--wait", &fourth, "--wait-within", "300s"]).done();
    assert!(joined.out.contains("has all it is to own"), "{joined:?}");
    cluster.wait_ready();
    assert_eq!(cluster.json(&["ring", "show"])["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(cluster.at(&[3], &["get", "stock"]).done().out, "8\n");

    // It leaves in order, and its process ends.
    let words = ["node", "leave", &fourth, "--yes", "--wait", "--wait-within", "300s"];
    cluster.run(&words).done();
    until("the node that left has ended", || {
        cluster.cluster(&["status"]).done().json()["nodes"][3]["condition"] == "left"
    });
    assert_eq!(cluster.json(&["ring", "show"])["nodes"].as_array().unwrap().len(), 3);

    // Another one takes the place of one that is gone.
    cluster.cluster(&["kill", "2"]).done();
    let gone = cluster.id(2);
    cluster.cluster(&["add"]).done();
    let newcomer = cluster.id(4);
    until("the newcomer is known", || {
        let members = cluster.json(&["members"]);
        members["members"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["node"] == newcomer[..] && it["asked"].is_object())
    });
    let words = ["node", "replace", &gone, &newcomer, "--yes", "--wait", "--wait-within", "300s"];
    cluster.run(&words).done();
    let ring = cluster.json(&["ring", "show"]);
    let now: Vec<_> =
        ring["nodes"].as_array().unwrap().iter().map(|node| node["node"].clone()).collect();
    assert!(now.contains(&json!(newcomer)) && !now.contains(&json!(gone)), "{ring}");
    assert_eq!(cluster.run(&["smembers", "cart"]).done().out, "apples\npears\n");
    assert_eq!(cluster.run(&["get", "stock", "--level", "all"]).done().out, "8\n");

    // One that is gone for good, with nobody to take its place.
    cluster.cluster(&["add"]).done();
    let lost = cluster.id(5);
    cluster.run(&["node", "join", "--wait", &lost, "--wait-within", "300s"]).done();
    cluster.cluster(&["kill", "5"]).done();
    until("it is missed", || cluster.run(&["members"]).done().out.contains(" down "));
    cluster.run(&["node", "remove", &lost, "--yes", "--wait", "--wait-within", "300s"]).done();
    let ring = cluster.json(&["ring", "show"]);
    assert!(ring["nodes"].as_array().unwrap().iter().all(|it| it["node"] != lost[..]), "{ring}");
    cluster.run(&["incr", "stock", "--level", "all"]).done();
}
