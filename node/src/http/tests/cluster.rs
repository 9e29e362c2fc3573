//! What operators see and ask for.

use std::sync::Arc;

use axum::http::StatusCode;
use coterie_protocol::control::{Answer, Command, CommandError};
use coterie_protocol::moving;
use coterie_protocol::repair::barrier::{Cause, Lacking, Outcome, Scope};
use coterie_protocol::{Liveness, View};
use coterie_ring::{BucketKind, BucketPolicy, Level, NodeId, NodeState, Partition};
use coterie_wire::Slice;
use serde_json::json;

use super::fake::{Answers, Fake, ME, view};
use crate::engine::gateway::LaneFacts;
use crate::metrics::LaneMetrics;

#[tokio::test]
async fn a_node_is_ready_once_it_is_in_a_cluster_with_all_it_had_and_its_lanes_run() {
    let fake = Fake::outside(Answers::default(), None);
    let reason = async || {
        let said = fake.call("GET", "/readyz").await;
        let json = said.json();
        assert_eq!(json["ready"] == json!(true), said.status == StatusCode::OK);
        json["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(&fake.call("GET", "/healthz").await.body[..], b"ok\n");
    assert!(reason().await.contains("no cluster"));
    fake.gateway.show(Arc::new(View { amnesiac: true, ..view() }));
    assert!(reason().await.contains("lost data"));
    fake.gateway.show(Arc::new(View { me: NodeId(9), ..view() }));
    assert!(reason().await.contains("no member"));
    fake.gateway.show(Arc::new(view()));
    assert!(reason().await.contains("0 of 2 lanes"));
    for lane in 0..2 {
        let metrics = LaneMetrics::new(1).snapshot();
        fake.gateway.publish(LaneFacts { lane, metrics, ..LaneFacts::default() });
    }
    assert!(reason().await.contains("serves"));
}

#[tokio::test]
async fn outside_a_cluster_data_and_the_ring_say_so() {
    let fake = Fake::outside(Answers::default(), None);
    for path in ["/v1/ring", "/v1/keys/db0/k", "/v1/buckets", "/v1/ring/owners/db0/k"] {
        let said = fake.call("GET", path).await;
        assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(said.error(), "not_serving");
    }
}

#[tokio::test]
async fn the_ring_and_the_owners_of_a_key_are_those_of_the_view() {
    let fake = Fake::new(Answers::default());
    let mut seen = view();
    seen.members.insert(NodeId(2), Liveness::Up);
    fake.gateway.show(Arc::new(seen));
    let ring = fake.call("GET", "/v1/ring").await.json();
    assert_eq!(ring["partitions"], json!(8));
    assert_eq!(ring["owners"].as_array().unwrap().len(), 8);
    assert_eq!(ring["nodes"][0]["liveness"], json!("up"));
    assert_eq!(ring["nodes"][1]["liveness"], json!("up"));
    assert_eq!(ring["nodes"][2]["liveness"], json!("down"));
    let owners = fake.call("GET", "/v1/ring/owners/db0/k").await.json();
    assert_eq!(owners["owners"].as_array().unwrap().len(), 3);
    let partition = usize::try_from(owners["partition"].as_u64().unwrap()).unwrap();
    let first = ring["owners"][partition][0].as_u64().unwrap();
    let first = &ring["nodes"][usize::try_from(first).unwrap()]["node"];
    assert_eq!(owners["owners"][0]["node"], *first);
    let said = fake.call("GET", "/v1/ring/owners/nothing/k").await;
    assert_eq!((said.status, said.error().as_str()), (StatusCode::NOT_FOUND, "no_such_bucket"));
}

#[tokio::test]
async fn each_command_reaches_control_as_it_was_meant() {
    let fake = Fake::new(Answers::default());
    let (node, other) = (NodeId(2), NodeId(3));
    let nodes = |path: &str| path.replace("{node}", &node.to_string());
    let cases = [
        ("POST", "/v1/ring/commit", json!({}), Command::Commit),
        ("POST", "/v1/ring/clear", json!({}), Command::Clear),
        ("POST", "/v1/nodes/{node}/leave", json!({}), Command::Leave { node }),
        ("POST", "/v1/nodes/{node}/stay", json!({}), Command::Stay { node }),
        ("PATCH", "/v1/nodes/{node}", json!({"weight": 5}), Command::Weight { node, weight: 5 }),
        (
            "POST",
            "/v1/nodes/remove",
            json!({"nodes": [other.to_string()], "data_may_be_lost": true}),
            Command::Remove { nodes: vec![other] },
        ),
        (
            "POST",
            "/v1/nodes/{node}/replace",
            json!({"by": other.to_string(), "data_may_be_lost": true}),
            Command::Replace { old: node, new: other },
        ),
        (
            "POST",
            "/v1/force",
            json!({"nodes": [other.to_string()], "data_may_be_lost": true}),
            Command::Force { removed: vec![other] },
        ),
        ("POST", "/v1/moves/give-up", json!({"owners": 1}), Command::GiveUp { owners: 1 }),
        (
            "PUT",
            "/v1/buckets/caf%C3%A9",
            json!({"kind": "sloppy", "write": "one", "expiry": "0s"}),
            Command::Bucket {
                name: "café".to_owned(),
                policy: BucketPolicy {
                    kind: BucketKind::Sloppy,
                    write: Level::One,
                    ..BucketPolicy::default()
                },
            },
        ),
        (
            "PUT",
            "/v1/buckets/strong",
            json!({"read": "all"}),
            Command::Bucket {
                name: "strong".to_owned(),
                policy: BucketPolicy {
                    kind: BucketKind::Strong,
                    read: Level::All,
                    ..BucketPolicy::default()
                },
            },
        ),
    ];
    for (method, path, body, command) in cases {
        let said = fake.json(method, &nodes(path), &body.to_string()).await;
        assert_eq!(said.status, StatusCode::ACCEPTED, "{path}: {said:?}");
        assert_eq!(*fake.commands.lock().unwrap().last().unwrap(), command, "{path}");
    }
    let before = fake.commands.lock().unwrap().len();
    let refused = [
        ("PATCH", "/v1/nodes/{node}", json!({})),
        ("PATCH", "/v1/nodes/{node}", json!({"zone": "nowhere"})),
        ("POST", "/v1/nodes/xyz/leave", json!({})),
        ("POST", "/v1/nodes/remove", json!({"nodes": [], "data_may_be_lost": true})),
        ("POST", "/v1/force", json!({"nodes": [], "data_may_be_lost": false})),
        ("POST", "/v1/force", json!({"nodes": []})),
        ("PUT", "/v1/buckets/b", json!({"kind": "weak"})),
    ];
    for (method, path, body) in refused {
        let said = fake.json(method, &nodes(path), &body.to_string()).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{path} {body}: {said:?}");
    }
    assert_eq!(fake.commands.lock().unwrap().len(), before);
}

#[tokio::test]
async fn what_control_refuses_is_told_with_what_to_do() {
    let node = NodeId(2);
    let cases = [
        (CommandError::NoCluster, StatusCode::SERVICE_UNAVAILABLE),
        (CommandError::UnknownNode { node }, StatusCode::NOT_FOUND),
        (CommandError::WrongState { node, state: NodeState::Removed }, StatusCode::CONFLICT),
    ];
    for (error, status) in cases {
        let mut error = Some(error);
        let fake = Fake::new(Answers::to_commands(move |_| Err(error.take().unwrap())));
        let said = fake.call("POST", &format!("/v1/nodes/{node}/leave")).await;
        assert_eq!(said.status, status, "{said:?}");
        said.error();
    }
}

#[tokio::test]
async fn the_plan_is_shown_with_what_it_moves() {
    let fake = Fake::new(Answers::to_commands(|command| {
        assert_eq!(command, Command::Plan);
        let seen = view();
        let mut intent = seen.decision.layout().snapshot().clone();
        let mut wanted = intent.node(ME).unwrap().clone();
        wanted.state = NodeState::Draining;
        intent.set_node(ME, wanted).unwrap();
        Ok(Answer::Plan(coterie_ring::plan(seen.decision.layout(), &intent)?))
    }));
    let plan = fake.call("GET", "/v1/ring/plan").await.json();
    assert_eq!(plan["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(plan["nodes"][0]["after"], json!(0));
    assert!(!plan["warnings"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_barrier_says_whether_owners_are_equal_or_who_lacks_what() {
    let slice = Slice { partition: Partition(1), replicas: 3 };
    let lacking = vec![Lacking { slice, owner: NodeId(2), cause: Cause::Down }];
    let fake = Fake::new(Answers {
        barrier: Box::new(move |scope| match scope {
            Scope::Key(_) => Outcome::Done,
            Scope::Slice(_) => Outcome::NotOwner,
            Scope::All => Outcome::Expired { lacking: lacking.clone(), more: 0 },
        }),
        ..Answers::default()
    });
    let barrier = async |scope: &str, status: StatusCode| {
        let body = format!("{{\"scope\": {scope}, \"wait\": \"1s\"}}");
        let said = fake.json("POST", "/v1/barrier", &body).await;
        assert_eq!(said.status, status, "{said:?}");
        said.json()
    };
    let key = "{\"key\": {\"bucket\": \"db0\", \"key\": \"k\"}}";
    assert_eq!(barrier(key, StatusCode::OK).await, json!({"equal": true}));
    let slice = "{\"slice\": {\"partition\": 1, \"replicas\": 3}}";
    barrier(slice, StatusCode::MISDIRECTED_REQUEST).await;
    barrier("{\"slice\": {\"partition\": 8, \"replicas\": 3}}", StatusCode::BAD_REQUEST).await;
    let said = barrier("{\"all\": {}}", StatusCode::GATEWAY_TIMEOUT).await;
    assert_eq!(said["lacking"][0]["cause"], json!("it is down"));
}

#[tokio::test]
async fn moves_are_shown_with_what_was_sent_and_what_is_waited_for() {
    let fake = Fake::new(Answers::default());
    let mut metrics = LaneMetrics::new(1);
    (metrics.counts.moved_rows_out, metrics.counts.moved_bytes_out) = (3, 400);
    let slice = Slice { partition: Partition(5), replicas: 3 };
    let waits = vec![moving::Wait { slice, owner: NodeId(2), cause: moving::Cause::Down }];
    let facts = LaneFacts { waits, metrics: metrics.snapshot(), ..LaneFacts::default() };
    fake.gateway.publish(facts);
    let said = fake.call("GET", "/v1/moves").await.json();
    assert_eq!((&said["rows_sent"], &said["bytes_sent"]), (&json!(3), &json!(400)));
    let wait = json!({"for": NodeId(2).to_string(), "cause": "the new owner is down"});
    assert_eq!(said["here"][0]["waiting"], json!([wait]));
    assert_eq!(
        (&said["here"][0]["partition"], &said["here"][0]["permille"]),
        (&json!(5), &json!(0))
    );
}

#[tokio::test]
async fn the_machine_is_shown_as_it_is() {
    let fake = Fake::new(Answers::default());
    let said = fake.call("GET", "/v1/machine").await.json();
    assert!(said["wall_millis"].as_u64().unwrap() > 1_700_000_000_000, "{said}");
    assert!(said["socket_receive_bytes_max"].as_u64().unwrap() > 0, "{said}");
    assert_eq!(said["paths"], json!([]));
}

#[tokio::test]
async fn a_scrape_has_a_family_for_everything_that_is_counted() {
    let fake = Fake::new(Answers::default());
    let mut metrics = LaneMetrics::new(1);
    metrics.request(0, Some(Level::Quorum), crate::metrics::OutcomeKind::Done, 150);
    let hints = vec![(NodeId(2), 77)];
    let facts = LaneFacts { hints, metrics: metrics.snapshot(), ..LaneFacts::default() };
    fake.gateway.publish(facts);
    fake.call("GET", "/v1/keys/db0/k").await;
    let said = fake.call("GET", "/metrics").await;
    assert!(said.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(said.body.to_vec()).unwrap();
    let commands = "coterie_commands_total{command=\"GET\",level=\"quorum\",outcome=\"done\"} 1";
    assert!(text.contains(commands), "{text}");
    let route = "coterie_http_request_duration_seconds_count{method=\"GET\",route=\"/v1/keys/{bucket}/{key}\"";
    assert!(text.contains(route), "{text}");
    let hints = format!("coterie_hint_bytes{{owner=\"{}\"}} 77", NodeId(2));
    assert!(text.contains(&hints), "{text}");
    for family in [
        "coterie_node_info",
        "coterie_in_cluster",
        "coterie_layout_version",
        "coterie_members",
        "coterie_command_duration_seconds",
        "coterie_resp_connections",
        "coterie_swim_events",
        "coterie_slices",
        "coterie_lane_notes",
        "coterie_lane_events",
        "coterie_sync_messages",
        "coterie_storage_events",
        "coterie_process_resident_bytes",
    ] {
        assert!(text.contains(&format!("# TYPE {family} ")), "{family}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
