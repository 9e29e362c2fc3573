//! Looking at the cluster, and changing what it promises and who owns what.

use serde_json::json;

use crate::cluster;

#[test]
fn the_cluster_is_shown() {
    let said = cluster().run(&["status"]).done().out;
    assert!(said.contains("3 up, 0 suspect, 0 down"), "{said}");
    assert_eq!(cluster().json(&["status"])["in_cluster"], true);
    let said = cluster().run(&["members"]).done().out;
    assert_eq!(said.matches(" active ").count(), 3, "{said}");
    assert_eq!(cluster().json(&["members"])["members"].as_array().unwrap().len(), 3);
    let said = cluster().run(&["ring", "show", "--partitions"]).done().out;
    assert!(said.contains("64 partitions, 3 owners each"), "{said}");
    assert!(said.lines().count() > 64, "{said}");
    let owners = cluster().json(&["ring", "owners", "some key"]);
    assert_eq!(owners["owners"].as_array().unwrap().len(), 3, "{owners}");
    cluster().run(&["ring", "owners", "k", "--bucket", "nowhere"]).fails(5, "no such bucket");
    // The first node does not listen: the next is asked.
    let nodes = ["--node", "http://127.0.0.1:1", "--node", &cluster().nodes[1], "status"];
    crate::harness::coterie(&nodes).done();
    let status = cluster().cluster(&["status"]).done().json();
    for node in status["nodes"].as_array().unwrap() {
        for field in ["process", "resp", "http", "gossip", "peers", "node"] {
            assert!(!node[field].is_null(), "{field}: {node}");
        }
    }
    cluster().cluster(&["kill", "7"]).fails(5, "there is no node 7");
    cluster().cluster(&["resume", "0"]).fails(5, "not paused");
    cluster().cluster(&["up"]).fails(5, "is up already");
}

#[test]
fn repair_is_looked_at_and_waited_for() {
    cluster().run(&["sadd", "repair:1", "a", "b"]).done();
    let said = cluster().run(&["repair", "now", "--wait-within", "60s"]).done().out;
    assert_eq!(said, "all owners are equal.\n");
    let status = cluster().json(&["repair", "status"]);
    assert_eq!((&status["nodes"], &status["silent"]), (&json!(3), &json!([])));
    assert_eq!((&status["unreceived"], &status["damaged_keys"]), (&json!(0), &json!(0)));
    assert!(
        cluster().run(&["repair", "status"]).done().out.contains("copies of slices on 3 nodes")
    );
    assert_eq!(
        cluster().run(&["barrier", "repair:1"]).done().out,
        "All owners of the key are equal.\n"
    );
    assert_eq!(cluster().json(&["barrier"])["equal"], true);
    cluster().run(&["hints"]).done();
    assert_eq!(cluster().json(&["hints"])["silent"], json!([]));
    let said = cluster().run(&["top", "--once", "--every", "200ms"]).done().out;
    assert!(said.contains("commands/s") && said.matches(" up ").count() >= 3, "{said}");
    assert_eq!(cluster().json(&["top", "--every", "100ms"])["nodes"].as_array().unwrap().len(), 3);
    cluster().run(&["top", "--once", "--every", "1ms"]).fails(2, "100ms");
}

#[test]
fn the_doctor_finds_clocks_disks_and_paths() {
    let said = cluster().run(&["--json", "doctor"]);
    // Machines differ in what they let nodes have; nodes that serve are well in all else.
    let findings = said.json();
    let of = |check: &str| {
        let all = findings["findings"].as_array().unwrap().iter();
        all.filter(|it| it["check"] == check).map(|it| it["verdict"].clone()).collect::<Vec<_>>()
    };
    for check in ["http", "ready", "members"] {
        assert_eq!(of(check), vec![json!("well"); 3], "{check}: {findings}");
    }
    assert!(of("udp path").len() >= 3, "each node talks to others: {findings}");
    assert_eq!((of("clock").len(), of("disk").len(), of("files").len()), (3, 3, 3));
    assert_eq!(said.code, if findings["well"] == true { 0 } else { 6 });
    assert!(cluster().run(&["doctor"]).out.contains("udp path"));
}

#[test]
fn buckets_are_made_changed_and_shown() {
    let made = cluster().json(&[
        "bucket",
        "create",
        "carts",
        "--kind",
        "sloppy",
        "--replicas",
        "2",
        "--write",
        "one",
        "--read",
        "one",
        "--expiry",
        "1d",
    ]);
    assert_eq!(
        (&made["kind"], &made["replicas"], &made["write"]),
        (&json!("sloppy"), &json!(2), &json!("one"))
    );
    cluster().run(&["bucket", "create", "carts"]).fails(5, "already");
    let set = cluster().json(&["bucket", "set", "carts", "--write", "quorum", "--expiry", "0s"]);
    assert_eq!((&set["write"], &set["expiry"]), (&json!("quorum"), &json!(null)));
    assert!(cluster().run(&["bucket", "show", "carts"]).done().out.contains("sloppy"));
    assert!(cluster().run(&["bucket", "list"]).done().out.contains("carts"));
    cluster().run(&["bucket", "set", "carts"]).fails(2, "nothing is to be changed");
    cluster().run(&["bucket", "set", "carts", "--write", "most"]).fails(5, "no level");
    cluster().run(&["bucket", "show", "nowhere"]).fails(6, "no bucket");
    cluster().run(&["consistency", "set", "nowhere", "--write", "one"]).fails(6, "no bucket");
    cluster().run(&["consistency", "set", "carts", "--read", "all"]).done();
    let said = cluster().run(&["consistency"]).done().out;
    assert!(said.contains("every acknowledged write, while owners are up"), "{said}");

    cluster().run(&["bucket", "create", "locks", "--kind", "strong"]).done();
    cluster().run(&["set", "door", "ann", "--nx", "-b", "locks"]).done();
    assert_eq!(cluster().run(&["set", "door", "bob", "--nx", "-b", "locks"]).code, 6);
    assert_eq!(cluster().run(&["get", "door", "-b", "locks"]).done().out, "ann\n");
    cluster().run(&["sadd", "door", "x", "-b", "locks"]).fails(5, "");
}

#[test]
fn layouts_are_planned_and_nothing_is_done_unasked() {
    let id = cluster().id(2);
    let said = cluster().run(&["node", "leave", &id]).fails(7, "nobody can be asked");
    assert!(said.err.contains("would hand over 64 copies"), "{said:?}");
    cluster().run(&["node", "remove", &id]).fails(7, "No partition is lost");
    cluster().run(&["ring", "commit"]).fails(7, "This would be decided");
    cluster().run(&["ring", "clear"]).fails(7, "taken back");
    cluster()
        .run(&["ring", "placement", "--replicas", "2", "--spread", "nodes"])
        .fails(7, "2 owners");
    cluster().run(&["node", "leave", "zzzz", "--yes"]).fails(5, "no node is");
    cluster().run(&["node", "weight", &id[..6], "heavy"]).fails(2, "heavy");
    cluster().run(&["node", "replace", &id, "zzzz", "--yes"]).fails(5, "no node is");
    cluster().run(&["node", "zone", &id, "nowhere", "--yes"]).fails(5, "");
    let plan = cluster().json(&["ring", "plan"]);
    assert_eq!(plan["moves"], plan["moves_min"]);
    cluster().run(&["ring", "commit", "--yes"]).done();
    let said =
        cluster().run(&["node", "weight", &id, "3", "--wait", "--wait-within", "60s"]).done();
    assert!(said.out.contains("in force"), "{said:?}");
    cluster().run(&["node", "weight", &id[..8], "1", "--wait"]).done();
    cluster().run(&["node", "zone", &id, "local/other", "--wait"]).done();
    let members = cluster().json(&["members"]);
    let moved = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .any(|it| it["asked"]["place"] == "local/other");
    assert!(moved, "{members}");
    let said = cluster().run(&["node", "join"]).done().out;
    assert!(said.contains("coterie-node run") && said.contains("--join 127.0.0.1:"), "{said}");
    let moves = cluster().json(&["moves", "--wait"]);
    assert_eq!((&moves["moving"], &moves["silent"]), (&json!(0), &json!([])));
    assert!(cluster().run(&["moves"]).done().out.contains("0 slices move"));
}
